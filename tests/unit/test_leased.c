/* SPDX-License-Identifier: Apache-2.0 */
/* Lookups through the mirror, against a real server: what is known is not asked for, what is not
 * known is asked for once, and what has changed is never taken for known. */
#include "leased_fixture.h"
#include "proxy_fixture.h"

/** No round of the listener falls into a test: what the server counts are lookups. */
#define LONG_MS 60000

static settings_t settings_long(void)
{
    return settings_leased(server.path, etv_make_mirror(64), LONG_MS);
}

/* --- hits and misses --- */

START_TEST(what_is_known_is_not_asked_for)
{
    settings_t s = settings_long();
    etv_store_t *store;
    etv_model_t m[3];
    etv_snapshot_t first, later;
    int before = 0;

    s.config.keep_secret = 1;
    tell(&server, "MSET v:a 17 v:b x");
    store = store_in_use(&s);
    for (int i = 0; i < etv_some(20000); i++) {
        m[0] = model("a", 0);
        m[1] = model("b", 0);
        m[2] = model("none", 0);
        ck_assert_int_eq(store->ops->lookup(store, pool, m, 3, i ? &later : &first), ETV_LOOKUP_OK);
        ASSERT_TOKEN(m[0], "17");
        ASSERT_TOKEN(m[1], "x");
        ck_assert_int_eq(m[2].state, ETV_MODEL_ABSENT);
        if (i == 0) {
            before = calls(&server, "exec");
        }
    }
    ck_assert_int_eq(calls(&server, "exec"), before);
    ck_assert_int_eq(same_instance(&first, &later), 1);
    ck_assert_ptr_nonnull(later.secret);
    ck_assert_mem_eq(first.secret, later.secret, ETV_SECRET_BYTES);
    ck_assert_int_eq(store->ops->lookup(store, pool, m, 0, &later), ETV_LOOKUP_OK);
    while (!logged("ETV0130")) { /* is said a moment after it is so */
        usleep(1000);
    }
}
END_TEST

START_TEST(a_miss_is_one_transaction)
{
    settings_t s = settings_long();
    etv_store_t *store;
    etv_model_t m[ETV_MODELS_MOST + 1];
    etv_snapshot_t snapshot;
    char names[ETV_MODELS_MOST + 1][16];

    for (int i = 0; i <= ETV_MODELS_MOST; i++) {
        snprintf(names[i], sizeof(names[i]), "m%d", i);
        m[i] = model(names[i], 0);
    }
    store = store_in_use(&s);
    for (int n = 1; n <= ETV_MODELS_MOST; n += 31) {
        int before = calls(&server, "exec");

        for (int round = 0; round < 3; round++) {
            for (int i = 0; i < n; i++) {
                m[i] = model(names[i], 0);
            }
            ck_assert_int_eq(store->ops->lookup(store, pool, m, n, &snapshot), ETV_LOOKUP_OK);
        }
        ck_assert_int_eq(calls(&server, "exec") - before, 1);
    }
    ck_assert_int_eq(store->ops->lookup(store, pool, m, ETV_MODELS_MOST + 1, &snapshot),
                     ETV_LOOKUP_UNAVAILABLE);
}
END_TEST

START_TEST(without_a_secret_there_is_none)
{
    settings_t s = settings_long();
    etv_store_t *store = store_in_use(&s);
    etv_model_t m;
    etv_snapshot_t snapshot;

    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(look(store, "a", 0, &m, &snapshot), ETV_LOOKUP_OK);
        ck_assert_ptr_null(snapshot.secret);
    }
}
END_TEST

START_TEST(tokens_of_all_lengths_are_the_same_twice)
{
    static const apr_size_t lens[] = {0, 1, 23, 24, 25, 47, 48, 49, 511, 512};
    settings_t s = settings_long();
    etv_store_t *store = store_in_use(&s);

    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        etv_model_t first, again;

        set_bytes(&server, "v:m", lens[i]);
        await_unknown(&s, "m");
        ck_assert_int_eq(look(store, "m", 0, &first, NULL), ETV_LOOKUP_OK);
        ck_assert_int_eq(first.state, ETV_MODEL_FOUND);
        while (!known(&s, "m")) { /* the push of the SET may have come after it */
            ck_assert_int_eq(look(store, "m", 0, &first, NULL), ETV_LOOKUP_OK);
        }
        ck_assert_int_eq(look(store, "m", 0, &again, NULL), ETV_LOOKUP_OK);
        ck_assert_int_eq(again.state, ETV_MODEL_FOUND);
        ck_assert_uint_eq(first.token_len, again.token_len);
        ck_assert_int_eq(memcmp(first.token, again.token, again.token_len), 0);
    }
}
END_TEST

START_TEST(what_is_absent_is_remembered_until_it_is_there)
{
    settings_t s = settings_long();
    etv_store_t *store = store_in_use(&s);
    etv_model_t m;
    int before = 0;

    for (int learned = 0; learned < 2; learned++) {
        const char *name = learned ? "x" : "y";

        for (int i = 0; i < 100; i++) {
            ck_assert_int_eq(learned ? look_learned(store, name, &m)
                                     : look(store, name, 0, &m, NULL),
                             ETV_LOOKUP_OK);
            ck_assert_int_eq(m.state, ETV_MODEL_ABSENT);
            before = i ? before : calls(&server, "exec");
        }
        ck_assert_int_eq(calls(&server, "exec"), before);
        tell(&server, learned ? "SET v:x 5" : "SET v:y 5");
        await_unknown(&s, name);
        ck_assert_int_eq(look_learned(store, name, &m), ETV_LOOKUP_OK);
        ASSERT_TOKEN(m, "5");
        tell(&server, learned ? "DEL v:x" : "DEL v:y");
        do {
            ck_assert_int_eq(look_learned(store, name, &m), ETV_LOOKUP_OK);
        } while (m.state != ETV_MODEL_ABSENT);
    }
}
END_TEST

START_TEST(what_may_be_created_is_created)
{
    settings_t s = settings_long();
    etv_store_t *store = store_in_use(&s);
    etv_model_t absent, made, again;

    ck_assert_int_eq(look(store, "c", 0, &absent, NULL), ETV_LOOKUP_OK);
    ck_assert_int_eq(absent.state, ETV_MODEL_ABSENT);
    ck_assert_int_eq(known(&s, "c"), 1);
    ck_assert_int_eq(look(store, "c", 1, &made, NULL), ETV_LOOKUP_OK);
    ck_assert_int_eq(made.state, ETV_MODEL_FOUND);
    do { /* until its push has been heard */
        ck_assert_int_eq(look(store, "c", 0, &again, NULL), ETV_LOOKUP_OK);
    } while (again.state != ETV_MODEL_FOUND);
    ck_assert_uint_eq(made.token_len, again.token_len);
    ck_assert_int_eq(memcmp(made.token, again.token, made.token_len), 0);
}
END_TEST

START_TEST(what_is_unusable_is_not_remembered)
{
    settings_t s = settings_long();
    etv_store_t *store;
    etv_model_t m;
    int before;

    set_bytes(&server, "v:long", ETV_TOKEN_MOST + 1);
    tell(&server, "RPUSH v:list 1");
    store = store_in_use(&s);
    for (int i = 0; i < 3; i++) {
        before = calls(&server, "exec");
        ck_assert_int_eq(look(store, "long", 0, &m, NULL), ETV_LOOKUP_OK);
        ck_assert_int_eq(m.state, ETV_MODEL_UNUSABLE);
        ck_assert_int_eq(known(&s, "long"), 0);
        ck_assert_int_eq(calls(&server, "exec"), before + 1);
        ck_assert_int_eq(look(store, "list", 1, &m, NULL), ETV_LOOKUP_OK);
        ck_assert_int_eq(m.state, ETV_MODEL_UNUSABLE);
        ck_assert_int_eq(known(&s, "list"), 0);
    }
}
END_TEST

START_TEST(stores_do_not_mix)
{
    settings_t a = settings_long(), b = a;
    etv_store_t *store_a, *store_b;
    etv_model_t m;

    b.config.prefix = "w:";
    b.config.scope = etv_hash_name("other", 5);
    b.config.channel = etv_mirror_channel(a.config.mirror, etv_hash_name("other", 5));
    tell(&server, "MSET v:a 1 w:a 2");
    store_a = store_in_use(&a);
    store_b = store_in_use(&b);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(look(store_a, "a", 0, &m, NULL), ETV_LOOKUP_OK);
        ASSERT_TOKEN(m, "1");
        ck_assert_int_eq(look(store_b, "a", 0, &m, NULL), ETV_LOOKUP_OK);
        ASSERT_TOKEN(m, "2");
    }
    tell(&server, "SET w:a 3");
    await_unknown(&b, "a");
    ck_assert_int_eq(known(&a, "a"), 1);
}
END_TEST

/* --- bumps --- */

START_TEST(a_bump_is_seen_at_once)
{
    settings_t s = settings_long();
    etv_store_t *a = store_in_use(&s), *b = store_make(&s);
    etv_model_t m, bumped;

    for (int i = 0; i < etv_some(500); i++) {
        ck_assert_int_eq(look(b, "m", 1, &m, NULL), ETV_LOOKUP_OK);
        bumped = model("m", 0);
        ck_assert_int_eq(a->ops->bump(a, pool, &bumped, 1), APR_SUCCESS);
        ck_assert_int_eq(look(b, "m", 0, &m, NULL), ETV_LOOKUP_OK);
        ck_assert_uint_eq(m.token_len, bumped.token_len);
        ck_assert_int_eq(memcmp(m.token, bumped.token, m.token_len), 0);
    }
}
END_TEST

/** The listener hears nothing for a while, and what it published still holds. */
START_TEST(a_bump_is_seen_before_its_push)
{
    settings_t s = settings_long();
    etv_model_t m[3], bumped[3];
    etv_snapshot_t snapshot;
    etv_store_t *a, *b;
    proxy_t proxy;

    proxy_start(&proxy, server.path);
    s.url.path = proxy.path;
    a = store_in_use(&s);
    b = store_make(&s);
    tell(&server, "MSET v:x 1 v:y 1 v:z 1 v:other 1");
    atomic_store(&proxy.hold_pushes, 1);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 3; i++) {
            static const char *const names[] = {"x", "y", "z"};

            m[i] = bumped[i] = model(names[i], 0);
        }
        ck_assert_int_eq(b->ops->lookup(b, pool, m, 3, &snapshot), ETV_LOOKUP_OK);
        ck_assert_int_eq(look(b, "other", 0, m, NULL), ETV_LOOKUP_OK);
        ck_assert_int_eq(a->ops->bump(a, pool, bumped, 3), APR_SUCCESS);
        m[0] = model("x", 0);
        ck_assert_int_eq(b->ops->lookup(b, pool, m, 3, &snapshot), ETV_LOOKUP_OK);
        for (int i = 0; i < 3; i++) {
            ck_assert_uint_eq(m[i].token_len, bumped[i].token_len);
            ck_assert_int_eq(memcmp(m[i].token, bumped[i].token, m[i].token_len), 0);
        }
    }
    tell(&server, "SET v:other 2"); /* not by this host: the lease is what was asked for */
    ck_assert_int_eq(look(b, "other", 0, m, NULL), ETV_LOOKUP_OK);
    ASSERT_TOKEN(m[0], "1");
    atomic_store(&proxy.hold_pushes, 0);
    await_unknown(&s, "other");
    ck_assert_int_eq(look(b, "other", 0, m, NULL), ETV_LOOKUP_OK);
    ASSERT_TOKEN(m[0], "2");
    apr_pool_clear(pool);
    proxy_stop(&proxy);
}
END_TEST

/** The acknowledgement is lost, not the bump. */
START_TEST(a_bump_without_an_answer_voids_what_is_known)
{
    settings_t s = settings_long();
    etv_store_t *store;
    etv_model_t m, bumped = model("m", 0);
    proxy_t proxy;

    proxy_start(&proxy, server.path);
    s.url.path = proxy.path;
    s.config.command_timeout_us = MS(1000);
    tell(&server, "SET v:m 1");
    store = store_in_use(&s);
    ck_assert_int_eq(look(store, "m", 0, &m, NULL), ETV_LOOKUP_OK);
    ck_assert_int_eq(known(&s, "m"), 1);
    atomic_store(&proxy.hold_all, 1);
    ck_assert_int_ne(store->ops->bump(store, pool, &bumped, 1), APR_SUCCESS);
    ck_assert_int_eq(in_use(&s), 1);
    ck_assert_int_eq(known(&s, "m"), 0);
    atomic_store(&proxy.hold_all, 0);
    while (look(store, "m", 0, &m, NULL) != ETV_LOOKUP_OK) {
        usleep(1000);
    }
    ck_assert_int_eq(is_token(&m, "1"), 0);
    apr_pool_clear(pool);
    proxy_stop(&proxy);
}
END_TEST

/* --- names of requests --- */

typedef struct {
    etv_store_t *store;
    int n;
    int ok, busy, other;
} asker_t;

static void *ask_learned(void *baton)
{
    asker_t *asker = baton;
    apr_pool_t *own;

    apr_pool_create(&own, NULL);
    for (int i = 0; i < asker->n; i++) {
        char text[16];
        etv_snapshot_t snapshot;
        etv_model_t m;
        etv_lookup_e result;

        snprintf(text, sizeof(text), "%p%d", (void *)baton, i);
        m = model(text, 0);
        m.learned = 1;
        result = asker->store->ops->lookup(asker->store, own, &m, 1, &snapshot);
        asker->ok += result == ETV_LOOKUP_OK;
        asker->busy += result == ETV_LOOKUP_BUSY;
        asker->other += result == ETV_LOOKUP_UNAVAILABLE;
    }
    apr_pool_destroy(own);
    return NULL;
}

START_TEST(learned_names_have_half_of_the_connections)
{
    for (int most = 1; most <= 4; most++) {
        settings_t s = settings_long();
        asker_t askers[4] = {{0}}, one = {.n = 1};
        int limit = (most + 1) / 2;
        pthread_t threads[4];
        etv_store_t *store;
        etv_model_t m;
        proxy_t proxy;

        proxy_start(&proxy, server.path);
        s.url.path = proxy.path;
        s.config.connections_most = most;
        tell(&server, "SET v:configured 1");
        one.store = store = store_in_use(&s);
        ck_assert_int_eq(look(store, "configured", 0, &m, NULL), ETV_LOOKUP_OK);
        ck_assert_int_eq(look_learned(store, "learned", &m), ETV_LOOKUP_OK);
        atomic_store(&proxy.hold_all, 1);
        for (int i = 0; i < limit; i++) {
            askers[i] = (asker_t){.store = store, .n = 1};
            ck_assert_int_eq(pthread_create(&threads[i], NULL, ask_learned, &askers[i]), 0);
        }
        while (atomic_load(&((etv_redis_t *)store)->learned) < limit) {
            usleep(500);
        }
        ask_learned(&one);
        ck_assert_int_eq(one.busy, 1);
        ck_assert_int_eq(look(store, "configured", 0, &m, NULL), ETV_LOOKUP_OK); /* known */
        ck_assert_int_eq(look_learned(store, "learned", &m), ETV_LOOKUP_OK);     /* the same */
        atomic_store(&proxy.hold_all, 0);
        for (int i = 0; i < limit; i++) {
            pthread_join(threads[i], NULL);
            ck_assert_int_eq(askers[i].ok, 1);
        }
        ask_learned(&one);
        ck_assert_int_eq(one.ok, 1);
        ck_assert_int_eq(atomic_load(&((etv_redis_t *)store)->learned), 0);
        apr_pool_clear(pool);
        proxy_stop(&proxy);
    }
}
END_TEST

/** Many names that clients make up, by many threads: what is configured stays known. */
START_TEST(a_flood_of_names_costs_the_configured_ones_nothing)
{
    settings_t s = settings_long();
    asker_t askers[4];
    pthread_t threads[4];
    etv_store_t *store;
    char names[16][16];
    etv_model_t m;
    int ok = 0;

    tell(&server, "MSET v:c0 1 v:c5 1");
    store = store_in_use(&s);
    for (int i = 0; i < 16; i++) {
        snprintf(names[i], sizeof(names[i]), "c%d", i);
        ck_assert_int_eq(look(store, names[i], 0, &m, NULL), ETV_LOOKUP_OK);
    }
    for (int i = 0; i < 4; i++) {
        askers[i] = (asker_t){.store = store, .n = etv_some(1000)};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask_learned, &askers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(askers[i].other, 0);
        ok += askers[i].ok;
    }
    ck_assert_int_gt(ok, 0);
    for (int i = 0; i < 16; i++) {
        ck_assert_int_eq(known(&s, names[i]), 1);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("leased");
    TCase *tc = tcase_create("leased");

    suite_add_tcase(suite, tc);
    tcase_set_timeout(tc, 60);
    tcase_add_unchecked_fixture(tc, suite_setup, suite_teardown);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, what_is_known_is_not_asked_for);
    tcase_add_test(tc, a_miss_is_one_transaction);
    tcase_add_test(tc, without_a_secret_there_is_none);
    tcase_add_test(tc, tokens_of_all_lengths_are_the_same_twice);
    tcase_add_test(tc, what_is_absent_is_remembered_until_it_is_there);
    tcase_add_test(tc, what_may_be_created_is_created);
    tcase_add_test(tc, what_is_unusable_is_not_remembered);
    tcase_add_test(tc, stores_do_not_mix);
    tcase_add_test(tc, a_bump_is_seen_at_once);
    tcase_add_test(tc, a_bump_is_seen_before_its_push);
    tcase_add_test(tc, a_bump_without_an_answer_voids_what_is_known);
    tcase_add_test(tc, learned_names_have_half_of_the_connections);
    tcase_add_test(tc, a_flood_of_names_costs_the_configured_ones_nothing);
    return run_suite(suite);
}
