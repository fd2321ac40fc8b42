/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that cares for changes: while they are under way, when the store fails, and when the
 * process that made them is gone. */
#include <signal.h>
#include <sys/wait.h>

#include "change_fixture.h"

static etv_pending_t *pending;
static counting_t *store;

static void prepare(void)
{
    pending = make_pending();
    store = make_counting();
    journal.text[0] = '\0';
}

START_TEST(renewed_while_under_way)
{
    etv_keeper_t *keeper;
    etv_change_t *change;
    etv_pending_what_t what;
    apr_time_t first_due_us;
    int from = 0;

    prepare();
    keeper = make_keeper(pool, pending, &store->base);
    begin_one(pool, keeper, &store->base, "m", MINUTES, 0, &change);
    first_due_us = etv_pending_next_due(pending);
    AWAIT(etv_pending_next_due(pending) > first_due_us);
    ck_assert_int_eq(etv_pending_count(pending), 1);
    /* the store is told again */
    AWAIT(atomic_load(&store->announced) >= 3);
    ck_assert_uint_eq(atomic_load(&store->last_number), 1);
    ck_assert_int_eq(atomic_load(&store->last_n), 1);

    /* somebody takes the slot for abandoned all the same: there is another one soon */
    ck_assert_int_ge(etv_pending_take_due(pending, scope, etv_boottime_us() + 2 * MINUTES,
                                          etv_boottime_us() + 2 * MINUTES, &from, &what),
                     0);
    AWAIT(etv_pending_count(pending) == 2);
    ck_assert_int_eq(etv_change_end(change), APR_SUCCESS);
    AWAIT(etv_pending_count(pending) == 1);
}
END_TEST

static pid_t fork_changer(etv_pending_t *shared, const char *name, apr_interval_time_t grace_us)
{
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (!pid) {
        apr_pool_t *own;
        etv_change_t *change;

        apr_pool_create(&own, NULL);
        begin_one(own, make_keeper(own, shared, &store->base), &store->base, name, grace_us, 0,
                  &change);
        for (;;)
            pause();
    }
    return pid;
}

START_TEST(completed_for_the_dead)
{
    pid_t child;

    prepare();
    make_keeper(pool, pending, &store->base); /* sleeps, nothing is pending */
    child = fork_changer(pending, "m", MS(1000));
    AWAIT(is_pending(pending, "m"));
    etv_keeper_start(make_keeper(pool, pending, &store->base));
    kill(child, SIGKILL);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    AWAIT(!is_pending(pending, "m"));
    ck_assert_int_ge(atomic_load(&store->completed), 1);
    ck_assert_uint_eq(atomic_load(&store->last_number), 1);
    AWAIT(is_logged("ETV0153"));
}
END_TEST

START_TEST(delivered_together)
{
    prepare();
    for (int i = 0; i < 100; i++) {
        char name[16];
        etv_pending_what_t what;

        snprintf(name, sizeof(name), "m%d", i);
        what = what_of(name, 0);
        ck_assert_int_ge(etv_pending_add(pending, &what, 1), 0);
    }
    make_keeper(pool, pending, &store->base); /* starts at once: something is pending */
    AWAIT(etv_pending_count(pending) == 0);
    ck_assert_int_eq(atomic_load(&store->bumps), 4);
    ck_assert_int_eq(atomic_load(&store->completed), 0);
}
END_TEST

START_TEST(each_change_by_itself)
{
    etv_pending_what_t a = what_of("a", 1), b = what_of("b", 2), c = what_of("c", 1);

    prepare();
    etv_pending_add(pending, &a, 1);
    etv_pending_add(pending, &b, 1);
    etv_pending_add(pending, &c, 1);
    make_keeper(pool, pending, &store->base);
    AWAIT(etv_pending_count(pending) == 0);
    ck_assert_int_eq(atomic_load(&store->completed), 2);
    ck_assert_str_eq(store->bumped, "a c b ");
}
END_TEST

/* One that is refused for good is in nobody's way. */
START_TEST(one_is_refused)
{
    etv_pending_what_t told = what_of("told", 1);

    prepare();
    refuse(store, "m7");
    for (int i = 0; i < 100; i++) {
        char name[16];
        etv_pending_what_t what;

        snprintf(name, sizeof(name), "m%d", i);
        what = what_of(name, 0);
        etv_pending_add(pending, &what, 1);
    }
    etv_pending_add(pending, &told, 1);
    make_keeper(pool, pending, &store->base);
    AWAIT(etv_pending_count(pending) == 1);
    ck_assert(is_pending(pending, "m7"));
    AWAIT(is_logged("ETV0151"));
    refuse(store, "");
    AWAIT(!etv_pending_any(pending));
}
END_TEST

START_TEST(all_are_refused)
{
    prepare();
    atomic_store(&store->fails, 1);
    for (int i = 0; i < 1000; i++) {
        char name[16];
        etv_pending_what_t what;

        snprintf(name, sizeof(name), "m%d", i);
        what = what_of(name, 0);
        etv_pending_add(pending, &what, 1);
    }
    make_keeper(pool, pending, &store->base);
    AWAIT(is_logged("ETV0151"));
    atomic_store(&store->fails, 0);
    AWAIT(!etv_pending_any(pending));
}
END_TEST

/* More models than there is room for: none is lost, and all is pending until they have it. */
START_TEST(more_than_fit)
{
    enum { MANY = ETV_PENDING_SLOTS + 100 };
    etv_keeper_t *keeper;
    apr_time_t over_us;

    prepare();
    keeper = make_keeper(pool, pending, &store->base);
    atomic_store(&store->fails, APR_EAGAIN);
    for (int i = 0; i < MANY + 300; i++) {
        apr_pool_t *request;
        etv_change_t *change;
        char name[16];

        snprintf(name, sizeof(name), "m%d", i % MANY);
        apr_pool_create(&request, pool);
        begin_one(request, keeper, &store->base, name, MS(1000), 0, &change);
        ck_assert_int_ne(etv_change_end(change), APR_SUCCESS);
        apr_pool_destroy(request);
        ck_assert(is_pending(pending, name));
    }
    ck_assert_int_eq(etv_pending_count(pending), ETV_PENDING_SLOTS);
    over_us = etv_boottime_us() + MS(3000); /* longer than any would have lasted by itself */
    AWAIT(etv_boottime_us() > over_us);
    ck_assert(is_pending(pending, "other"));
    atomic_store(&store->bumps_all, 0);
    atomic_store(&store->fails, 0);
    AWAIT(!etv_pending_any(pending));
    ck_assert_int_ge(atomic_load(&store->bumps_all), MANY);
    ck_assert_int_lt(atomic_load(&store->bumps), MANY / 4);
}
END_TEST

/* --- two processes --- */

/* The keeper of one is held up, and the other one takes its change for left behind. What comes
 * after that has a bump of its own. */
START_TEST(delivered_before_its_end)
{
    counting_t *other = make_counting();
    etv_keeper_t *keeper;
    etv_change_t *change;

    prepare();
    keeper = make_keeper(pool, pending, &store->base);
    etv_keeper_start(make_keeper(pool, pending, &other->base));
    begin_one(pool, keeper, &store->base, "m", MS(1000), 0, &change);
    atomic_store(&store->slow_ms, 3000);
    AWAIT(atomic_load(&other->completed) == 1);
    AWAIT(!is_pending(pending, "m"));
    atomic_store(&store->fails, APR_TIMEUP);
    ck_assert_int_ne(etv_change_end(change), APR_SUCCESS);
    ck_assert(is_pending(pending, "m") || atomic_load(&other->completed) == 2);
    AWAIT(atomic_load(&other->completed) == 2);
    AWAIT(!is_pending(pending, "m"));
    atomic_store(&store->slow_ms, 0);
    atomic_store(&store->fails, 0);
    AWAIT(atomic_load(&store->announcing) == 2); /* it has come back */
}
END_TEST

/* Each call takes its time, all of them longer than the grace. */
START_TEST(renewed_between_slow_calls)
{
    etv_keeper_t *keeper;
    etv_change_t *change[8];
    int before;

    prepare();
    keeper = make_keeper(pool, pending, &store->base);
    for (int i = 0; i < 8; i++) {
        char name[16];

        snprintf(name, sizeof(name), "m%d", i);
        begin_one(pool, keeper, &store->base, name, MS(3000), 0, &change[i]);
    }
    before = atomic_load(&store->announced);
    atomic_store(&store->slow_ms, 500);
    while (atomic_load(&store->announced) < before + 12) {
        ck_assert_int_ge(etv_pending_next_due(pending), etv_boottime_us() - MS(100));
        usleep(10000);
    }
    atomic_store(&store->slow_ms, 0);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(etv_change_end(change[i]), APR_SUCCESS);
    ck_assert_int_eq(atomic_load(&store->completed), 8);
}
END_TEST

START_TEST(waits_for_the_store)
{
    etv_pending_what_t what = what_of("m", 1);
    etv_hash128_t elsewhere = {1, 2};
    etv_pending_what_t alien = what_of("n", 1);

    prepare();
    alien.scope = elsewhere;
    atomic_store(&store->fails, 1);
    etv_pending_add(pending, &what, 1);
    etv_pending_add(pending, &alien, 1);
    make_keeper(pool, pending, &store->base);
    AWAIT(is_logged("ETV0151: the store takes no bumps: 2 models"));
    ck_assert(is_pending(pending, "m"));
    atomic_store(&store->fails, 0);
    AWAIT(!is_pending(pending, "m"));
    AWAIT(is_logged("ETV0152"));
    /* what is of no store that is known stays */
    ck_assert_int_eq(etv_pending_count(pending), 1);
}
END_TEST

START_TEST(looks_once)
{
    etv_keeper_t *keeper;
    etv_model_t model = model_of("m"), other = model_of("n");

    prepare();
    keeper = make_keeper(pool, pending, &store->base);
    for (int i = 0; i < 100; i++)
        etv_keeper_look(keeper, scope, &model);
    AWAIT(was_bumped(store, "m "));
    for (int i = 0; i < 100; i++)
        etv_keeper_look(keeper, scope, &model);
    AWAIT((etv_keeper_look(keeper, scope, &other), was_bumped(store, "n ")));
    /* again after a second */
    AWAIT((etv_keeper_look(keeper, scope, &model), was_bumped(store, "m n m ")));
}
END_TEST

START_TEST(no_more_looks_than_fit)
{
    etv_keeper_t *keeper;
    char names[300][16];

    prepare();
    keeper = make_keeper(pool, pending, &store->base);
    for (int i = 0; i < 300; i++) {
        etv_model_t model;

        snprintf(names[i], sizeof(names[i]), "m%d", i);
        model = model_of(names[i]);
        etv_keeper_look(keeper, scope, &model);
    }
    AWAIT(atomic_load(&store->rescued) > 0);
}
END_TEST

/* The request ends while the keeper tells the store that it goes on. */
START_TEST(what_crosses_the_end_is_withdrawn)
{
    etv_keeper_t *keeper;
    etv_change_t *change;

    prepare();
    keeper = make_keeper(pool, pending, &store->base);
    begin_one(pool, keeper, &store->base, "m", MS(2000), 0, &change);
    atomic_store(&store->slow_ms, 300);
    AWAIT(atomic_load(&store->announcing));
    ck_assert_int_eq(etv_change_end(change), APR_SUCCESS);
    AWAIT(atomic_load(&store->announced) == 2);
    AWAIT(atomic_load(&store->withdrawn) == 1);
    ck_assert_int_eq(atomic_load(&store->completed), 1);
}
END_TEST

/* What the store did not answer to may reach it yet. */
START_TEST(what_may_have_been_told_is_withdrawn)
{
    etv_keeper_t *keeper;
    etv_change_t *change;

    prepare();
    keeper = make_keeper(pool, pending, &store->base);
    atomic_store(&store->fails, 1);
    begin_one(pool, keeper, &store->base, "m", MS(500), 0, &change);
    atomic_store(&store->fails, 0);
    ck_assert_int_eq(etv_change_end(change), APR_SUCCESS);
    AWAIT(atomic_load(&store->withdrawn) == 2);
}
END_TEST

START_TEST(ends_while_the_store_is_slow)
{
    apr_pool_t *child;
    etv_keeper_t *keeper;
    etv_change_t *change;

    prepare();
    apr_pool_create(&child, pool);
    keeper = make_keeper(child, pending, &store->base);
    begin_one(pool, keeper, &store->base, "m", MS(500), 0, &change);
    atomic_store(&store->slow_ms, 300);
    AWAIT(atomic_load(&store->announcing));
    ck_assert_int_eq(etv_change_end(change), APR_SUCCESS);
    etv_keeper_retire(keeper);
    apr_pool_destroy(child); /* waits for that one call */
    ck_assert_int_eq(atomic_load(&store->announced), 2);
}
END_TEST

START_TEST(never_started)
{
    apr_pool_t *child;

    prepare();
    apr_pool_create(&child, pool);
    etv_keeper_retire(make_keeper(child, pending, &store->base));
    etv_keeper_retire(NULL);
    apr_pool_destroy(child);
}
END_TEST

/* --- many threads --- */

typedef struct {
    etv_keeper_t *keeper;
    pthread_t thread;
} changer_t;

static void *change_a_lot(void *baton)
{
    changer_t *c = baton;
    apr_pool_t *own, *request;

    apr_pool_create_unmanaged_ex(&own, NULL, NULL);
    for (int i = 0; i < 300; i++) {
        etv_model_t late = model_of("late");
        etv_change_t *change;

        apr_pool_create(&request, own);
        begin_one(request, c->keeper, &store->base, "m", MS(500), i % 3 == 0, &change);
        if (change && i % 2)
            etv_change_add(change, &late, 1);
        if (change && i % 5 == 1)
            etv_change_withdraw(change);
        else if (change && i % 5 != 2)
            etv_change_end(change);
        etv_keeper_look(c->keeper, scope, &late);
        if (i % 50 == 0)
            usleep(20000);
        apr_pool_destroy(request);
    }
    apr_pool_destroy(own);
    return NULL;
}

START_TEST(threads_at_once)
{
    changer_t changers[3];
    etv_keeper_t *keeper;

    prepare();
    keeper = make_keeper(pool, pending, &store->base);
    for (int i = 0; i < 3; i++) {
        changers[i].keeper = keeper;
        ck_assert_int_eq(pthread_create(&changers[i].thread, NULL, change_a_lot, &changers[i]), 0);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(changers[i].thread, NULL);
    AWAIT(etv_pending_count(pending) == 0);
}
END_TEST

int main(void)
{
    return etv_check_run(
        "keeper",
        (const TTest *[]){renewed_while_under_way, completed_for_the_dead, delivered_together,
                          each_change_by_itself, one_is_refused, all_are_refused, more_than_fit,
                          delivered_before_its_end, renewed_between_slow_calls, waits_for_the_store,
                          looks_once, no_more_looks_than_fit, what_crosses_the_end_is_withdrawn,
                          what_may_have_been_told_is_withdrawn, ends_while_the_store_is_slow,
                          never_started, threads_at_once, NULL});
}
