/* SPDX-License-Identifier: Apache-2.0 */
/* A change from its beginning to its end: what the store is told, and what is pending meanwhile. */
#include "change_fixture.h"

#define ETV_RECORD_ALL (2 * ETV_MODELS_MOST)

static etv_pending_t *pending;
static counting_t *store;
static etv_keeper_t *keeper;

static void prepare(void)
{
    pending = make_pending();
    store = make_counting();
    keeper = make_keeper(pool, pending, &store->base);
    journal.text[0] = '\0';
}

static etv_change_e begin(const char *name, int as_read, etv_change_t **change)
{
    return begin_one(pool, keeper, &store->base, name, MINUTES, as_read, change);
}

START_TEST(pending_from_begin_to_end)
{
    etv_change_t *change;

    prepare();
    ck_assert_int_eq(begin("m", 0, &change), ETV_CHANGE_ANNOUNCED);
    ck_assert_int_eq(atomic_load(&store->announced), 1);
    ck_assert(is_pending(pending, "m"));
    ck_assert(!is_pending(pending, "other"));
    ck_assert_int_eq(etv_change_bump(change), APR_SUCCESS);
    ck_assert_int_eq(atomic_load(&store->bumps), 1);
    ck_assert(is_pending(pending, "m"));
    ck_assert_int_eq(etv_change_end(change), APR_SUCCESS);
    ck_assert_int_eq(atomic_load(&store->completed), 1);
    ck_assert(!is_pending(pending, "m"));
    ck_assert(!etv_pending_any(pending));
    /* nothing comes after the end */
    ck_assert_int_eq(etv_change_end(change), APR_SUCCESS);
    ck_assert_int_eq(etv_change_bump(change), APR_SUCCESS);
    etv_change_withdraw(change);
    ck_assert_int_eq(atomic_load(&store->completed) + atomic_load(&store->bumps), 2);
}
END_TEST

START_TEST(what_was_added_is_bumped)
{
    etv_model_t late[] = {model_of("late"), model_of("m"), model_of("late")};
    etv_change_t *change;

    prepare();
    begin("m", 0, &change);
    etv_change_add(change, late, 3);
    ck_assert(is_pending(pending, "late"));
    ck_assert_int_eq(etv_pending_count(pending), 2);
    ck_assert_int_eq(etv_change_end(change), APR_SUCCESS);
    ck_assert_int_eq(atomic_load(&store->completed), 1);
    ck_assert_int_eq(atomic_load(&store->bumps), 1);
    ck_assert_str_eq(store->bumped, "m late ");
    ck_assert(!etv_pending_any(pending));
}
END_TEST

START_TEST(most_models)
{
    char names[ETV_RECORD_ALL][16];
    etv_model_t models[ETV_RECORD_ALL];
    etv_change_t *change;

    prepare();
    for (int i = 0; i < ETV_RECORD_ALL; i++) {
        snprintf(names[i], sizeof(names[i]), "m%d", i);
        models[i] = model_of(names[i]);
    }
    ck_assert_int_eq(etv_change_begin(pool, keeper, &store->base, scope, models, ETV_MODELS_MOST,
                                      MINUTES, 0, &change),
                     ETV_CHANGE_ANNOUNCED);
    etv_change_add(change, models + ETV_MODELS_MOST, ETV_RECORD_ALL - ETV_MODELS_MOST);
    ck_assert_int_eq(etv_pending_count(pending), 2 * ETV_MODELS_MOST);
    ck_assert_int_eq(etv_change_end(change), APR_SUCCESS);
    ck_assert(!etv_pending_any(pending));
    ck_assert(was_bumped(store, "m63 "));
}
END_TEST

START_TEST(without_announcement)
{
    etv_model_t model = model_of("m");
    etv_change_t *change;

    prepare();
    change = etv_change_make(pool, keeper, &store->base, scope, MINUTES);
    etv_change_add(change, &model, 1);
    ck_assert(is_pending(pending, "m"));
    ck_assert_int_eq(etv_change_end(change), APR_SUCCESS);
    ck_assert_int_eq(atomic_load(&store->announced), 0);
    ck_assert_int_eq(atomic_load(&store->completed), 0);
    ck_assert_int_eq(atomic_load(&store->bumps), 1);
    ck_assert(!etv_pending_any(pending));
}
END_TEST

START_TEST(store_down_at_first)
{
    etv_change_t *change;

    prepare();
    atomic_store(&store->fails, 1);
    ck_assert_int_eq(begin("m", 0, &change), ETV_CHANGE_LOCAL);
    ck_assert(is_pending(pending, "m"));
    atomic_store(&store->fails, 0);
    /* it may have been announced all the same */
    ck_assert_int_eq(etv_change_end(change), APR_SUCCESS);
    ck_assert_int_eq(atomic_load(&store->completed), 1);
    ck_assert(!is_pending(pending, "m"));
}
END_TEST

START_TEST(store_down_at_the_end)
{
    etv_change_t *change;

    prepare();
    begin("m", 0, &change);
    atomic_store(&store->fails, 1);
    ck_assert_int_ne(etv_change_end(change), APR_SUCCESS);
    ck_assert(is_pending(pending, "m"));
    AWAIT(is_logged("ETV0151"));
    ck_assert(is_pending(pending, "m"));
    atomic_store(&store->fails, 0);
    AWAIT(!is_pending(pending, "m"));
    ck_assert_int_eq(atomic_load(&store->completed), 1);
    ck_assert(was_bumped(store, "m "));
    AWAIT(is_logged("ETV0152"));
}
END_TEST

START_TEST(withdrawn)
{
    etv_change_t *change;

    prepare();
    begin("m", 0, &change);
    etv_change_withdraw(change);
    ck_assert_int_eq(atomic_load(&store->withdrawn), 1);
    ck_assert(!etv_pending_any(pending));
    ck_assert_int_eq(atomic_load(&store->completed) + atomic_load(&store->bumps), 0);
}
END_TEST

START_TEST(withdrawn_while_store_is_down)
{
    etv_change_t *change;

    prepare();
    begin("m", 0, &change);
    atomic_store(&store->fails, 1);
    etv_change_withdraw(change);
    ck_assert(is_pending(pending, "m"));
    atomic_store(&store->fails, 0);
    AWAIT(!is_pending(pending, "m"));
    ck_assert_int_eq(atomic_load(&store->completed), 1);
}
END_TEST

START_TEST(pool_goes_first)
{
    apr_pool_t *request;
    etv_change_t *change;

    apr_time_t left_us;

    prepare();
    apr_pool_create(&request, pool);
    begin_one(request, keeper, &store->base, "m", MS(1000), 0, &change);
    left_us = etv_boottime_us();
    apr_pool_destroy(request); /* the backend may go on */
    ck_assert(is_pending(pending, "m"));
    AWAIT(!is_pending(pending, "m"));
    ck_assert_int_ge(etv_boottime_us() - left_us, MS(1000));
    ck_assert_int_eq(atomic_load(&store->completed), 1);
}
END_TEST

/* A child ends: its keeper delivers what has ended, and nothing else. */
START_TEST(process_goes_first)
{
    apr_pool_t *child;
    etv_keeper_t *own;
    etv_change_t *open, *ended;

    prepare();
    apr_pool_create(&child, pool);
    own = make_keeper(child, pending, &store->base);
    begin_one(child, own, &store->base, "open", MINUTES, 0, &open);
    begin_one(child, own, &store->base, "ended", MINUTES, 0, &ended);
    atomic_store(&store->fails, 1);
    ck_assert_int_ne(etv_change_end(ended), APR_SUCCESS);
    atomic_store(&store->fails, 0);
    apr_pool_destroy(child);
    etv_keeper_start(keeper);
    AWAIT(!is_pending(pending, "ended"));
    ck_assert(is_pending(pending, "open"));
    ck_assert(was_bumped(store, "ended "));
    ck_assert(!was_bumped(store, "open "));
    ck_assert_int_eq(atomic_load(&store->withdrawn), 0);
}
END_TEST

/* What surely nobody was told of leaves nothing behind when it is refused. */
START_TEST(withdrawn_before_anybody_was_told)
{
    etv_change_t *change;

    prepare();
    atomic_store(&store->fails, APR_EAGAIN);
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(begin("m", i % 2, &change), ETV_CHANGE_LOCAL);
        etv_change_withdraw(change);
    }
    ck_assert(!etv_pending_any(pending));
}
END_TEST

/* A store that does not take anything for long. */
START_TEST(many_changes_of_few_models)
{
    static const char *const names[] = {"a", "b", "c"};
    etv_change_t *change;

    prepare();
    for (int i = 0; i < 9000; i++) {
        apr_pool_t *request;

        atomic_store(&store->fails, i < 100 ? APR_TIMEUP : i < 200 ? APR_EGENERAL : APR_EAGAIN);
        apr_pool_create(&request, pool);
        begin_one(request, keeper, &store->base, names[i % 3], MINUTES, 0, &change);
        ck_assert_int_ne(etv_change_end(change), APR_SUCCESS);
        apr_pool_destroy(request);
        ck_assert(is_pending(pending, names[i % 3]));
        ck_assert(!is_pending(pending, "other"));
    }
    ck_assert_int_le(etv_pending_count(pending), 3 * 10);
    atomic_store(&store->fails, 0);
    AWAIT(!etv_pending_any(pending));
    ck_assert(was_bumped(store, "a ") && was_bumped(store, "b ") && was_bumped(store, "c "));
    ck_assert_int_le(atomic_load(&store->completed) + atomic_load(&store->bumps), 3 * 10);
}
END_TEST

START_TEST(left_for_its_grace)
{
    apr_pool_t *request;
    etv_change_t *change;
    apr_time_t left_us;

    prepare();
    apr_pool_create(&request, pool);
    begin_one(request, keeper, &store->base, "m", MS(1000), 0, &change);
    left_us = etv_boottime_us();
    etv_change_leave(change);
    ck_assert_int_eq(etv_change_end(change), APR_SUCCESS); /* nothing comes after it */
    apr_pool_destroy(request);
    ck_assert_int_eq(atomic_load(&store->withdrawn), 0);
    AWAIT(!is_pending(pending, "m"));
    ck_assert_int_ge(etv_boottime_us() - left_us, MS(1000));
    ck_assert_int_eq(atomic_load(&store->completed), 1);
    ck_assert_int_eq(atomic_load(&store->bumps), 0);
}
END_TEST

START_TEST(one_reader_wins)
{
    etv_change_t *first, *second, *other;

    prepare();
    ck_assert_int_eq(begin("m", 1, &first), ETV_CHANGE_ANNOUNCED);
    ck_assert_int_eq(begin("m", 1, &second), ETV_CHANGE_EXISTS);
    ck_assert_ptr_null(second);
    ck_assert_int_eq(begin("n", 1, &other), ETV_CHANGE_ANNOUNCED);
    ck_assert_int_eq(atomic_load(&store->announced_as_read), 2);
    ck_assert_int_eq(etv_pending_count(pending), 2);
    etv_change_end(first);
    ck_assert_int_eq(begin("m", 1, &second), ETV_CHANGE_ANNOUNCED);
    etv_change_end(second);
    etv_change_end(other);
    ck_assert(!etv_pending_any(pending));
}
END_TEST

START_TEST(not_as_read)
{
    etv_change_t *change;

    prepare();
    atomic_store(&store->exists, 1);
    ck_assert_int_eq(begin("m", 1, &change), ETV_CHANGE_EXISTS);
    ck_assert(!etv_pending_any(pending));
    ck_assert_int_eq(begin("m", 0, &change), ETV_CHANGE_ANNOUNCED);
    etv_change_end(change);
}
END_TEST

START_TEST(no_room_in_shared_memory)
{
    etv_change_t *change;
    int slots[ETV_PENDING_SLOTS];

    prepare();
    for (int i = 0; i < ETV_PENDING_SLOTS; i++) {
        etv_pending_what_t what = what_of("filler", 0);

        slots[i] = etv_pending_add(pending, &what, etv_boottime_us() + MINUTES);
        ck_assert_int_ge(slots[i], 0);
    }
    ck_assert_int_eq(begin("r", 1, &change), ETV_CHANGE_LOCAL); /* nobody knows of others */
    ck_assert_int_eq(atomic_load(&store->announced_as_read), 0);
    etv_change_withdraw(change);
    ck_assert_int_eq(atomic_load(&store->withdrawn), 0);
    ck_assert_int_eq(begin_one(pool, keeper, &store->base, "m", MS(800), 0, &change),
                     ETV_CHANGE_ANNOUNCED);
    ck_assert(is_pending(pending, "anything"));
    atomic_store(&store->fails, 1);
    ck_assert_int_ne(etv_change_end(change), APR_SUCCESS);
    ck_assert(is_pending(pending, "m"));
    for (int i = 0; i < ETV_PENDING_SLOTS; i++)
        etv_pending_remove(pending, slots[i]);
    AWAIT(is_logged("ETV0151")); /* it found its way into a slot */
    atomic_store(&store->fails, 0);
    AWAIT(was_bumped(store, "m "));
    AWAIT(etv_pending_count(pending) == 0);
}
END_TEST

int main(void)
{
    return etv_check_run(
        "change",
        (const TTest *[]){pending_from_begin_to_end, what_was_added_is_bumped, most_models,
                          without_announcement, store_down_at_first, store_down_at_the_end,
                          withdrawn, withdrawn_while_store_is_down, pool_goes_first,
                          process_goes_first, withdrawn_before_anybody_was_told,
                          many_changes_of_few_models, left_for_its_grace, one_reader_wins,
                          not_as_read, no_room_in_shared_memory, NULL});
}
