/* SPDX-License-Identifier: Apache-2.0 */
/* Slots: what is pending, for whom, until when; and what happens when there are no more. */
#include "change_fixture.h"

#define SECOND MS(1000)

static int add(etv_pending_t *pending, const char *name, apr_uint64_t number, apr_time_t until_us)
{
    etv_pending_what_t what = what_of(name, number);

    return etv_pending_add(pending, &what, until_us);
}

static int take(etv_pending_t *pending, apr_time_t now_us, apr_time_t until_us,
                etv_pending_what_t *what)
{
    int from = 0;

    return etv_pending_take_due(pending, scope, now_us, until_us, &from, what);
}

START_TEST(there_and_gone)
{
    etv_pending_t *pending = make_pending();
    etv_hash128_t hash = etv_hash_name("m", 1), elsewhere = {1, 2};
    int slot;

    ck_assert(!etv_pending_any(pending));
    slot = add(pending, "m", 1, 5 * SECOND);
    ck_assert_int_ge(slot, 0);
    ck_assert(etv_pending_any(pending));
    ck_assert(etv_pending_has(pending, scope, hash, SECOND));
    ck_assert(!etv_pending_has(pending, elsewhere, hash, SECOND));
    ck_assert(!is_pending(pending, "n"));
    /* also when nobody cares any more: it was not delivered */
    ck_assert(etv_pending_has(pending, scope, hash, 9 * SECOND));
    etv_pending_remove(pending, slot);
    ck_assert(!etv_pending_has(pending, scope, hash, SECOND));
    ck_assert(!etv_pending_any(pending));
}
END_TEST

START_TEST(each_use_has_its_own_handle)
{
    etv_pending_t *pending = make_pending();
    int first = add(pending, "m", 1, SECOND), second;

    etv_pending_remove(pending, first);
    second = add(pending, "n", 2, SECOND);
    ck_assert_int_ne(first, second);
    ck_assert(!etv_pending_renew(pending, first, 2 * SECOND));
    etv_pending_remove(pending, first);
    ck_assert(is_pending(pending, "n"));
    ck_assert_int_eq((int)etv_pending_next_due(pending), (int)SECOND);
    ck_assert(etv_pending_renew(pending, second, 2 * SECOND));
    ck_assert_int_eq((int)etv_pending_next_due(pending), (int)(2 * SECOND));
    etv_pending_remove(pending, second);
    ck_assert(!etv_pending_any(pending));
    ck_assert(!etv_pending_renew(pending, -1, SECOND));
    etv_pending_remove(pending, -1);
    etv_pending_remove(pending, -2);
}
END_TEST

START_TEST(handles_wrap)
{
    etv_pending_t *pending = make_pending();
    int first = add(pending, "m", 1, SECOND), slot = first;

    for (int i = 0; i < 1 << 19; i++) {
        ck_assert_int_ge(slot, 0);
        etv_pending_remove(pending, slot);
        slot = add(pending, "m", 1, SECOND);
    }
    ck_assert_int_eq(slot, first);
    ck_assert(is_pending(pending, "m"));
    ck_assert_int_eq(etv_pending_count(pending), 1);
}
END_TEST

START_TEST(due_ones_are_taken_once)
{
    etv_pending_t *pending = make_pending();
    char longest[ETV_MODEL_NAME_MOST + 1];
    etv_pending_what_t what;
    int slot, again;

    memset(longest, 'x', ETV_MODEL_NAME_MOST);
    longest[ETV_MODEL_NAME_MOST] = '\0';
    slot = add(pending, longest, 7, 5 * SECOND);
    ck_assert_int_eq(take(pending, 5 * SECOND - 1000, 9 * SECOND, &what), -1);
    again = take(pending, 5 * SECOND, 9 * SECOND, &what);
    ck_assert_int_ge(again, 0);
    ck_assert_uint_eq(what.name_len, ETV_MODEL_NAME_MOST);
    ck_assert_int_eq(memcmp(what.name, longest, ETV_MODEL_NAME_MOST), 0);
    ck_assert_str_eq(what.id.owner, "0123456789abcdef");
    ck_assert_uint_eq(what.id.number, 7);
    ck_assert_int_eq((int)what.id.grace_us, (int)MINUTES);
    ck_assert_uint_eq(what.hash.lo, etv_hash_name(longest, ETV_MODEL_NAME_MOST).lo);
    ck_assert_uint_eq(what.scope.hi, scope.hi);
    /* it is the taker's now */
    ck_assert_int_eq(take(pending, 8 * SECOND, 9 * SECOND, &what), -1);
    ck_assert(!etv_pending_renew(pending, slot, 20 * SECOND));
    etv_pending_remove(pending, slot);
    ck_assert(is_pending(pending, longest));
    /* which died */
    slot = take(pending, 9 * SECOND, 12 * SECOND, &what);
    ck_assert_int_ge(slot, 0);
    etv_pending_remove(pending, again);
    ck_assert(is_pending(pending, longest));
    etv_pending_remove(pending, slot);
    ck_assert(!etv_pending_any(pending));
}
END_TEST

START_TEST(only_of_the_store)
{
    etv_pending_t *pending = make_pending();
    etv_hash128_t elsewhere = {1, 2};
    etv_pending_what_t what;
    int from = 0;

    add(pending, "m", 1, SECOND);
    ck_assert_int_eq(etv_pending_take_due(pending, elsewhere, 2 * SECOND, 3 * SECOND, &from, &what),
                     -1);
    from = 0;
    ck_assert_int_ge(etv_pending_take_due(pending, scope, 2 * SECOND, 3 * SECOND, &from, &what), 0);
    ck_assert_int_eq(etv_pending_take_due(pending, scope, 2 * SECOND, 3 * SECOND, &from, &what),
                     -1);
}
END_TEST

START_TEST(due_at_once)
{
    etv_pending_t *pending = make_pending();
    etv_pending_what_t what;
    int slot = add(pending, "m", 1, 50 * SECOND);

    ck_assert(etv_pending_renew(pending, slot, 0));
    ck_assert_int_ge(etv_pending_next_due(pending), 1);
    ck_assert_int_ge(take(pending, 1, SECOND, &what), 0);
}
END_TEST

START_TEST(tentative_ones)
{
    etv_pending_t *pending = make_pending();
    etv_pending_what_t a = what_of("m", 1), b = what_of("m", 2);
    int slot;

    a.tentative = b.tentative = 1;
    slot = etv_pending_add(pending, &a, SECOND);
    etv_pending_add(pending, &b, SECOND);
    ck_assert(is_pending(pending, "m"));
    ck_assert(!etv_pending_has_other(pending, scope, a.hash, &a.id, 1));
    ck_assert(!etv_pending_has_other(pending, scope, a.hash, &b.id, 1));
    etv_pending_confirm(pending, scope, a.hash, &a.id);
    ck_assert(!etv_pending_has_other(pending, scope, a.hash, &a.id, 1));
    ck_assert(etv_pending_has_other(pending, scope, a.hash, &b.id, 1));
    ck_assert(etv_pending_renew(pending, slot, 2 * SECOND));
    etv_pending_remove(pending, slot);
    ck_assert(!etv_pending_has_other(pending, scope, a.hash, &b.id, 1));
    ck_assert(is_pending(pending, "m"));
}
END_TEST

static int leave(etv_pending_t *pending, const char *name, apr_uint64_t number, int told,
                 apr_time_t until_us)
{
    etv_pending_what_t what = what_of(name, number);
    int slot = etv_pending_add(pending, &what, 9 * SECOND);

    return etv_pending_leave(pending, slot, &what, told, SECOND, until_us);
}

START_TEST(one_stands_for_all)
{
    etv_pending_t *pending = make_pending();
    etv_pending_what_t what;
    int slot;

    for (apr_uint64_t i = 1; i <= 100; i++) {
        ck_assert(leave(pending, "m", i, 0, i == 50 ? 3 * SECOND : 2 * SECOND));
        ck_assert(leave(pending, "n", 0, 1, 2 * SECOND));
    }
    ck_assert_int_eq(etv_pending_count(pending), 2);
    ck_assert(is_pending(pending, "m") && is_pending(pending, "n"));
    slot = take(pending, 2 * SECOND, 4 * SECOND, &what);
    ck_assert_int_eq(what.name[0], 'n');
    etv_pending_remove(pending, slot);
    /* what was to last the longest */
    ck_assert_int_eq(take(pending, 3 * SECOND - 1000, 4 * SECOND, &what), -1);
    slot = take(pending, 3 * SECOND, 4 * SECOND, &what);
    ck_assert_int_ge(slot, 0);
    ck_assert_uint_eq(what.id.number, 0); /* the store was told of none */
    etv_pending_remove(pending, slot);
    ck_assert(!etv_pending_any(pending));
}
END_TEST

START_TEST(some_keep_their_names)
{
    etv_pending_t *pending = make_pending();
    etv_pending_what_t what;
    int slot, n = 0;

    ck_assert(leave(pending, "m", 1000, 0, 0));
    for (apr_uint64_t i = 1; i <= 100; i++)
        ck_assert(leave(pending, "m", i, 1, 0));
    ck_assert_int_eq(etv_pending_count(pending), 5);
    while ((slot = take(pending, SECOND, 4 * SECOND, &what)) >= 0) {
        ck_assert_uint_lt(what.id.number, 5);
        etv_pending_remove(pending, slot);
        n++;
    }
    ck_assert_int_eq(n, 5);
    /* one by the same name is the same */
    for (int i = 0; i < 10; i++)
        ck_assert(leave(pending, "m", 1, 1, 0));
    ck_assert_int_eq(etv_pending_count(pending), 1);
}
END_TEST

/* A delivery that is under way does not count for what ends during it. */
START_TEST(what_is_taken_stands_for_nothing)
{
    etv_pending_t *pending = make_pending();
    etv_pending_what_t what;
    int taken;

    ck_assert(leave(pending, "m", 1, 0, 0));
    taken = take(pending, SECOND, 3 * SECOND, &what);
    ck_assert(leave(pending, "m", 2, 0, 0));
    ck_assert_int_eq(etv_pending_count(pending), 2);
    etv_pending_remove(pending, taken);
    ck_assert(is_pending(pending, "m"));

    /* it takes too long */
    taken = take(pending, SECOND, SECOND, &what);
    ck_assert(leave(pending, "m", 3, 0, 0));
    ck_assert_int_eq(etv_pending_count(pending), 1);
    etv_pending_remove(pending, taken);
    ck_assert(is_pending(pending, "m"));

    /* it fails, and comes back to another */
    taken = take(pending, SECOND, 3 * SECOND, &what);
    ck_assert(leave(pending, "m", 4, 0, 0));
    ck_assert(etv_pending_leave(pending, taken, &what, 1, SECOND, 2 * SECOND));
    ck_assert_int_eq(etv_pending_count(pending), 1);
    ck_assert_int_eq(take(pending, 2 * SECOND - 1000, 4 * SECOND, &what), -1);
    taken = take(pending, 2 * SECOND, 4 * SECOND, &what);
    etv_pending_remove(pending, taken);
    ck_assert(!etv_pending_any(pending));
}
END_TEST

/* Somebody has taken the slot, and delivered it before the end. */
START_TEST(left_without_a_slot)
{
    etv_pending_t *pending = make_pending();
    etv_pending_what_t what = what_of("m", 1), taken;
    int slot = etv_pending_add(pending, &what, SECOND), fillers[ETV_PENDING_SLOTS];

    etv_pending_remove(pending, take(pending, SECOND, 2 * SECOND, &taken));
    ck_assert(!is_pending(pending, "m"));
    ck_assert(etv_pending_leave(pending, slot, &what, 1, SECOND, 0));
    ck_assert(is_pending(pending, "m"));
    etv_pending_remove(pending, take(pending, SECOND, 2 * SECOND, &taken));
    ck_assert(!etv_pending_any(pending));

    for (int i = 0; i < ETV_PENDING_SLOTS; i++)
        fillers[i] = add(pending, "filler", 1, MINUTES);
    ck_assert(!etv_pending_leave(pending, -1, &what, 1, SECOND, 0));
    ck_assert(etv_pending_overflows(pending, SECOND));
    /* what has one keeps it, by its name */
    what = what_of("filler", 1);
    ck_assert(etv_pending_leave(pending, fillers[7], &what, 0, SECOND, 0));
    ck_assert_int_eq(etv_pending_count(pending), ETV_PENDING_SLOTS);
    for (int i = 0; i < ETV_PENDING_SLOTS; i++)
        etv_pending_remove(pending, fillers[i]);
    ck_assert_int_eq(etv_pending_count(pending), 1);
}
END_TEST

START_TEST(full)
{
    etv_pending_t *pending = make_pending();
    etv_hash128_t hash = etv_hash_name("other", 5);
    etv_change_id_t id = what_of("x", 9).id;
    int slots[ETV_PENDING_SLOTS];

    for (int i = 0; i < ETV_PENDING_SLOTS; i++)
        ck_assert_int_ge(slots[i] = add(pending, "m", (apr_uint64_t)i, 5 * SECOND), 0);
    ck_assert_int_eq(etv_pending_count(pending), ETV_PENDING_SLOTS);
    ck_assert(!etv_pending_has(pending, scope, hash, SECOND));
    ck_assert_int_eq(add(pending, "n", 1, 7 * SECOND), -1);
    ck_assert_int_eq(add(pending, "n", 1, 6 * SECOND), -1);
    ck_assert(etv_pending_has(pending, scope, hash, 7 * SECOND - 1));
    ck_assert(etv_pending_has_other(pending, scope, hash, &id, 7 * SECOND - 1));
    ck_assert(!etv_pending_has(pending, scope, hash, 7 * SECOND));
    for (int i = 0; i < ETV_PENDING_SLOTS; i++)
        etv_pending_remove(pending, slots[i]);
    ck_assert(etv_pending_any(pending));
    ck_assert(etv_pending_has(pending, scope, hash, SECOND));
    etv_pending_tidy(pending, 6 * SECOND);
    ck_assert(etv_pending_any(pending));
    etv_pending_tidy(pending, 7 * SECOND);
    ck_assert(!etv_pending_any(pending));
}
END_TEST

START_TEST(people_are_told_once)
{
    etv_pending_t *pending = make_pending();
    etv_hash128_t elsewhere = {1, 2};

    ck_assert(!etv_pending_may_calm(pending, scope, SECOND));
    ck_assert(etv_pending_may_warn(pending, scope, SECOND));
    ck_assert(!etv_pending_may_warn(pending, scope, 2 * SECOND));
    ck_assert(!etv_pending_may_calm(pending, elsewhere, 3 * SECOND));
    ck_assert(etv_pending_may_calm(pending, scope, 3 * SECOND));
    ck_assert(!etv_pending_may_calm(pending, scope, 4 * SECOND));
    ck_assert(!etv_pending_may_warn(pending, scope, 5 * SECOND));
    ck_assert(etv_pending_may_warn(pending, scope, 50 * SECOND));
    ck_assert(etv_pending_may_calm(pending, scope, 51 * SECOND));
}
END_TEST

int main(void)
{
    return etv_check_run("pending",
                         (const TTest *[]){there_and_gone, each_use_has_its_own_handle,
                                           handles_wrap, due_ones_are_taken_once, only_of_the_store,
                                           due_at_once, tentative_ones, one_stands_for_all,
                                           some_keep_their_names, what_is_taken_stands_for_nothing,
                                           left_without_a_slot, full, people_are_told_once, NULL});
}
