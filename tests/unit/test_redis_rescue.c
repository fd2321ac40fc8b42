/* SPDX-License-Identifier: Apache-2.0 */
/* Changes whose owners are gone, in Redis: completed by whoever finds them, and nobody else's. */
#include "redis_change_fixture.h"

#include "mirror_fixture.h"

static void await_death(const char *owner)
{
    while (number_of(&server, apr_pstrcat(pool, "EXISTS v:%alive:", owner, NULL))) {
        usleep(500);
    }
}

START_TEST(only_when_the_owner_is_gone)
{
    etv_store_t *here = store_default(), *there = store_default();
    etv_change_id_t id = change_id(OWNER_A, 1, GRACE_LONG);
    int open;

    tell(&server, "SET v:a 1");
    ck_assert_int_eq(rescue(there, "a", &open), APR_SUCCESS);
    ck_assert_int_eq(open, 0);
    ck_assert_str_eq(text_of(&server, "GET v:a"), "1");
    ck_assert_int_eq(announce(here, "a", &id), APR_SUCCESS);
    ck_assert_int_eq(rescue(there, "a", &open), APR_SUCCESS);
    ck_assert_int_eq(open, 1);
    ck_assert_int_eq(state_of(there, "a"), ETV_MODEL_OPEN);
    ck_assert_str_eq(text_of(&server, "GET v:a"), "1");
    ck_assert_int_eq(seen.n, 0);
    id.grace_us = MS(20);
    ck_assert_int_eq(announce(here, "a", &id), APR_SUCCESS);
    await_death(OWNER_A);
    ck_assert_int_eq(state_of(there, "a"), ETV_MODEL_OPEN);
    ck_assert_int_eq(rescue(there, "a", &open), APR_SUCCESS);
    ck_assert_int_eq(open, 0);
    ck_assert_int_eq(state_of(there, "a"), ETV_MODEL_FOUND);
    ck_assert_str_ne(text_of(&server, "GET v:a"), "1");
    ck_assert_int_eq(logged("ETV0141"), 1);
    ck_assert_int_eq(seen.n, 1);
    /* The owner was only slow: it ends its change as if nothing had happened. */
    ck_assert_int_eq(complete(here, "a", &id), APR_SUCCESS);
    ck_assert_int_eq(withdraw(here, "a", &id), APR_SUCCESS);
}
END_TEST

START_TEST(the_living_are_left)
{
    etv_store_t *store = store_default();
    etv_change_id_t live = change_id(OWNER_A, 1, GRACE_LONG), dead = change_id(OWNER_B, 1, MS(1));
    int open;

    for (int i = 0; i < 20; i++) {
        live.number = (apr_uint64_t)i;
        dead.number = (apr_uint64_t)i;
        ck_assert_int_eq(announce(store, "a", &live), APR_SUCCESS);
        ck_assert_int_eq(announce(store, "a", &dead), APR_SUCCESS);
    }
    await_death(OWNER_B);
    ck_assert_int_eq(rescue(store, "a", &open), APR_SUCCESS);
    ck_assert_int_eq(open, 1);
    ck_assert_int_eq((int)number_of(&server, "SCARD v:%open:a"), 20);
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(
            (int)number_of(&server, apr_psprintf(pool, "SISMEMBER v:%%open:a %s.%d", OWNER_A, i)),
            1);
    }
    ck_assert_int_eq(state_of(store, "a"), ETV_MODEL_OPEN);
}
END_TEST

/* --- what no change has left there --- */

START_TEST(garbage_is_removed)
{
    etv_store_t *store = store_default();
    etv_change_id_t live = change_id(OWNER_A, 1, GRACE_LONG);
    redisReply *reply;
    int open;

    for (int with_live = 0; with_live < 2; with_live++) {
        reply = redisCommand(server.admin, "SADD v:%%open:a %b %s %s %s %b %s", "\0\r\n", (size_t)3,
                             "x", OWNER_A, OWNER_A ".1.2", "", (size_t)0, "*");
        ck_assert_int_eq((int)reply->integer, 6);
        freeReplyObject(reply);
        if (with_live) {
            ck_assert_int_eq(announce(store, "a", &live), APR_SUCCESS);
        }
        ck_assert_int_eq(rescue(store, "a", &open), APR_SUCCESS);
        ck_assert_int_eq(open, with_live);
        ck_assert_int_eq((int)number_of(&server, "SCARD v:%open:a"), with_live);
    }
    /* An owner whose sign of life is of any type lives. */
    tell(&server, "DEL v:%alive:" OWNER_A);
    tell(&server, "RPUSH v:%alive:" OWNER_A " x");
    ck_assert_int_eq(rescue(store, "a", &open), APR_SUCCESS);
    ck_assert_int_eq(open, 1);
}
END_TEST

/** More than is looked at in one round, and in one call. */
START_TEST(a_large_set)
{
    etv_store_t *store = store_default();
    etv_change_id_t live = change_id(OWNER_A, 1, GRACE_LONG);
    int left = etv_some(20000);
    int calls = 0;
    int open = 1;

    for (int i = 0; i < left; i++) {
        redisAppendCommand(server.admin, "SADD v:%%open:a %016x.1", i);
    }
    for (int i = 0; i < left; i++) {
        redisReply *reply;

        ck_assert_int_eq(redisGetReply(server.admin, (void **)&reply), REDIS_OK);
        freeReplyObject(reply);
    }
    ck_assert_int_eq(announce(store, "a", &live), APR_SUCCESS);
    for (; number_of(&server, "SCARD v:%open:a") > 1; calls++) {
        ck_assert_int_le(calls, 1000);
        ck_assert_int_eq(rescue(store, "a", &open), APR_SUCCESS);
        ck_assert_int_eq(open, 1);
    }
    ck_assert_int_gt(calls, 1);
    ck_assert_int_eq((int)number_of(&server, "SISMEMBER v:%open:a " OWNER_A ".1"), 1);
    ck_assert_int_eq(complete(store, "a", &live), APR_SUCCESS);
    ck_assert_int_eq(state_of(store, "a"), ETV_MODEL_FOUND);
}
END_TEST

START_TEST(what_only_a_person_can_remove)
{
    static const apr_size_t lengths[] = {20000, 200000, 0};
    etv_store_t *store = store_default();
    int open;

    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        tell(&server, "FLUSHALL");
        if (lengths[i]) {
            char *member = apr_pcalloc(pool, lengths[i]);

            memset(member, 'x', lengths[i]);
            freeReplyObject(redisCommand(server.admin, "SADD v:%%open:a %b", member, lengths[i]));
        } else {
            tell(&server, "SET v:%open:a x");
        }
        ck_assert_int_ne(rescue(store, "a", &open), APR_SUCCESS);
        ck_assert_int_eq(open, 1);
        ck_assert_int_eq(state_of(store, "a"), ETV_MODEL_OPEN);
    }
    ck_assert_int_eq(logged("ETV0140"), 1);
    ck_assert_int_eq(logged("v:%open:a"), 1);
    ck_assert_int_eq(logged("ETV0110"), 1);
    ck_assert_int_eq(logged("xxx"), 0);
}
END_TEST

/* --- several at the same time --- */

#define RACERS 6

typedef struct {
    etv_store_t *store;
    atomic_int *stop;
    int succeeded;
} racer_t;

static void *race_rescue(void *arg)
{
    racer_t *racer = arg;
    apr_pool_t *p;

    apr_pool_create_unmanaged_ex(&p, NULL, NULL);
    while (!atomic_load(racer->stop)) {
        etv_model_t m = model("a", 0);
        int open;

        apr_pool_clear(p);
        racer->succeeded +=
            racer->store->ops->changes->rescue(racer->store, p, &m, &open) == APR_SUCCESS;
    }
    apr_pool_destroy(p);
    return NULL;
}

/** A living owner's change is never taken away, however many look, and however short its grace: a
 *  sign of life that comes between the look and the removal saves it. */
START_TEST(the_living_survive_a_storm)
{
    etv_store_t *store = store_default();
    etv_change_id_t live = change_id(OWNER_A, 1, GRACE_LONG);
    etv_change_id_t dead = change_id(OWNER_B, 1, MS(1));
    racer_t racer[RACERS];
    pthread_t thread[RACERS];
    atomic_int stop = 0;

    ck_assert_int_eq(announce(store, "a", &live), APR_SUCCESS);
    for (int i = 0; i < RACERS; i++) {
        racer[i] = (racer_t){.store = i % 2 ? store : store_default(), .stop = &stop};
        ck_assert_int_eq(pthread_create(&thread[i], NULL, race_rescue, &racer[i]), 0);
    }
    for (int i = 0; i < etv_some(300); i++) {
        dead.number = (apr_uint64_t)i;
        ck_assert_int_eq(announce(store, "a", &dead), APR_SUCCESS);
        ck_assert_int_eq(announce(store, "a", &live), APR_SUCCESS);
        ck_assert_int_eq((int)number_of(&server, "SISMEMBER v:%open:a " OWNER_A ".1"), 1);
        ck_assert_int_eq(state_of(store, "a"), ETV_MODEL_OPEN);
    }
    while (number_of(&server, "SCARD v:%open:a") > 1) { /* and all the dead go */
        usleep(500);
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < RACERS; i++) {
        pthread_join(thread[i], NULL);
        ck_assert_int_gt(racer[i].succeeded, 0);
    }
    ck_assert_int_eq((int)number_of(&server, "SISMEMBER v:%open:a " OWNER_A ".1"), 1);
}
END_TEST

START_TEST(without_rights_and_server)
{
    static const char *const lacking[] = {"-srandmember", "-exists", "-watch", "-srem", "-set"};
    server_t own;
    settings_t s;
    etv_store_t *store;
    int open;

    server_start(&own, "rescue", 0, NULL);
    for (size_t i = 0; i < sizeof(lacking) / sizeof(lacking[0]); i++) {
        tell(&own, "ACL SETUSER u reset on >p ~v:* +@all");
        tell(&own, apr_psprintf(pool, "ACL SETUSER u %s", lacking[i]));
        tell(&own, "SADD v:%open:a " OWNER_A ".1");
        seen.n = 0;
        s = settings_unix(own.path);
        s.url.user = "u";
        s.url.password = "p";
        ck_assert_int_ne(rescue(store_make(&s), "a", &open), APR_SUCCESS);
        ck_assert_int_eq(open, 1);
        ck_assert_int_eq(logged("ETV0105"), 1);
        ck_assert_int_eq((int)number_of(&own, "SCARD v:%open:a") < 2, 1);
    }
    s = settings_unix(own.path);
    store = store_make(&s);
    tell(&own, "SADD v:%open:a " OWNER_A ".1");
    ck_assert_int_eq(rescue(store, "a", &open), APR_SUCCESS);
    tell(&own, "SADD v:%open:a " OWNER_A ".1");
    server_kill(&own);
    ck_assert_int_ne(rescue(store, "a", &open), APR_SUCCESS);
    ck_assert_int_eq(open, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("redis_rescue");
    TCase *t = tcase_create("rescue");

    tcase_add_unchecked_fixture(t, suite_setup, suite_teardown);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, only_when_the_owner_is_gone);
    tcase_add_test(t, the_living_are_left);
    tcase_add_test(t, garbage_is_removed);
    tcase_add_test(t, a_large_set);
    tcase_add_test(t, what_only_a_person_can_remove);
    tcase_add_test(t, the_living_survive_a_storm);
    tcase_add_test(t, without_rights_and_server);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
