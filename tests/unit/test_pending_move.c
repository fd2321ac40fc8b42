/* SPDX-License-Identifier: Apache-2.0 */
/* What is pending for stores that the configuration has no more. */
#include "change_fixture.h"

#define SECOND MS(1000)

static const etv_hash128_t new_scope[] = {{31, 32}, {33, 34}};

static int add(etv_pending_t *pending, const char *name, apr_uint64_t number, apr_time_t until_us)
{
    etv_pending_what_t what = what_of(name, number);

    return etv_pending_add(pending, &what, until_us);
}

static int has(const etv_pending_t *pending, etv_hash128_t of, const char *name)
{
    return etv_pending_has(pending, of, etv_hash_name(name, strlen(name)), SECOND);
}

START_TEST(as_long_as_the_stores_are_the_same)
{
    etv_pending_t *pending = make_pending();

    for (int restart = 0; restart < 3; restart++) {
        etv_pending_use_stores(pending, &scope, 1);
        add(pending, "m", 1, 0);
        ck_assert(!has(pending, new_scope[0], "m"));
        ck_assert_int_eq(etv_pending_move(pending, &scope, 1, SECOND), 0);
    }
    ck_assert_int_eq(etv_pending_count(pending), 3);
}
END_TEST

START_TEST(what_is_due_is_due_for_the_new_ones)
{
    etv_pending_t *pending = make_pending();
    etv_pending_what_t what;
    int from = 0;

    etv_pending_use_stores(pending, &scope, 1);
    add(pending, "m", 5, 0);
    etv_pending_use_stores(pending, new_scope, 2);
    ck_assert(has(pending, new_scope[0], "m"));
    ck_assert_int_eq(etv_pending_move(pending, new_scope, 2, SECOND), 1);
    ck_assert_int_eq(etv_pending_count(pending), 2);
    ck_assert_int_eq(etv_pending_move(pending, new_scope, 2, SECOND), 0);
    ck_assert_int_lt(etv_pending_take_due(pending, scope, SECOND, 2 * SECOND, &from, &what), 0);
    for (int i = 0; i < 2; i++) {
        int slot;

        from = 0;
        slot = etv_pending_take_due(pending, new_scope[i], SECOND, 2 * SECOND, &from, &what);
        ck_assert_int_ge(slot, 0);
        ck_assert_int_eq((int)what.id.number, 0);
        ck_assert_int_eq((int)what.name_len, 1);
        ck_assert_int_eq(what.name[0], 'm');
        ck_assert(has(pending, new_scope[i], "m"));
        etv_pending_remove(pending, slot);
    }
    ck_assert(!etv_pending_any(pending));
}
END_TEST

/** By a child of before, which has its store yet; whose changes all stores' children must see. */
START_TEST(what_is_under_way_is_left)
{
    etv_pending_t *pending = make_pending();
    etv_change_id_t other = what_of("m", 6).id;
    int slot;

    etv_pending_use_stores(pending, &scope, 1);
    etv_pending_use_stores(pending, new_scope, 1);
    slot = add(pending, "m", 5, 9 * SECOND);
    ck_assert_int_eq(etv_pending_move(pending, new_scope, 1, SECOND), 0);
    ck_assert(has(pending, scope, "m"));
    ck_assert(has(pending, new_scope[0], "m"));
    ck_assert(!has(pending, new_scope[0], "n"));
    ck_assert(etv_pending_has_other(pending, new_scope[0], etv_hash_name("m", 1), &other, SECOND));
    etv_pending_remove(pending, slot);
    ck_assert(!has(pending, new_scope[0], "m"));
    /* The same stores as ever: what was there once may yet be. */
    etv_pending_use_stores(pending, new_scope, 1);
    add(pending, "m", 5, 9 * SECOND);
    ck_assert(has(pending, new_scope[0], "m"));
}
END_TEST

/** An old child that tries and tries in vain must not hold it. */
START_TEST(only_the_new_ones_are_delivered_to)
{
    etv_pending_t *pending = make_pending();
    etv_hash128_t many[65];
    etv_pending_what_t what;
    int from = 0;

    etv_pending_use_stores(pending, &scope, 1);
    add(pending, "m", 1, 0);
    etv_pending_use_stores(pending, new_scope, 2);
    ck_assert_int_lt(etv_pending_take_due(pending, scope, SECOND, 2 * SECOND, &from, &what), 0);
    etv_pending_use_stores(pending, &scope, 1);
    ck_assert_int_ge(etv_pending_take_due(pending, scope, SECOND, 2 * SECOND, &from, &what), 0);
    /* More than can be told apart: whoever has it may deliver it. */
    for (int i = 0; i < 65; i++)
        many[i] = (etv_hash128_t){100 + (apr_uint64_t)i, 1};
    etv_pending_use_stores(pending, many, 65);
    from = 0;
    ck_assert_int_ge(etv_pending_take_due(pending, scope, 3 * SECOND, 4 * SECOND, &from, &what), 0);
    ck_assert_int_eq(etv_pending_move(pending, many, 65, 5 * SECOND), 1);
    ck_assert_int_eq(etv_pending_count(pending), 65);
}
END_TEST

START_TEST(nothing_is_lost_when_there_is_no_room)
{
    etv_pending_t *pending = make_pending();
    char name[16];
    int slot = -1;

    etv_pending_use_stores(pending, &scope, 1);
    for (int i = 0; i < ETV_PENDING_SLOTS; i++) {
        snprintf(name, sizeof(name), "m%d", i);
        slot = add(pending, name, (apr_uint64_t)i + 1, i ? 9 * SECOND : 0);
    }
    etv_pending_use_stores(pending, new_scope, 2);
    ck_assert_int_eq(etv_pending_move(pending, new_scope, 2, SECOND), 0);
    ck_assert(has(pending, new_scope[0], "m0"));
    etv_pending_remove(pending, slot);
    ck_assert_int_eq(etv_pending_move(pending, new_scope, 2, SECOND), 0); /* room for one */
    ck_assert(has(pending, new_scope[1], "m0"));
    /* What found room stands for itself. */
    ck_assert_int_eq(etv_pending_count(pending), ETV_PENDING_SLOTS);
    ck_assert_int_eq(etv_pending_move(pending, new_scope, 1, SECOND), 1);
    ck_assert_int_eq(etv_pending_count(pending), ETV_PENDING_SLOTS - 1);
    ck_assert(has(pending, new_scope[0], "m0"));
}
END_TEST

int main(void)
{
    return etv_check_run(
        "pending_move",
        (const TTest *[]){as_long_as_the_stores_are_the_same, what_is_due_is_due_for_the_new_ones,
                          what_is_under_way_is_left, only_the_new_ones_are_delivered_to,
                          nothing_is_lost_when_there_is_no_room, NULL});
}
