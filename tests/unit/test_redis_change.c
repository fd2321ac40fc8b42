/* SPDX-License-Identifier: Apache-2.0 */
/* Changes in Redis, against a real server: what is under way has no version on any host. */
#include "redis_change_fixture.h"

#include "mirror_fixture.h"
#include "store/redis_change.h"

/* --- members --- */

START_TEST(shapes_of_members)
{
    static const struct {
        const char *text;
        int right;
    } row[] = {
        {OWNER_A ".0", 1},
        {OWNER_A ".18446744073709551615", 1},
        {"0123456789abcdef.1", 1},
        {"", 0},
        {".", 0},
        {OWNER_A, 0},
        {OWNER_A ".", 0},
        {OWNER_A "1", 0},
        {OWNER_A ".1x", 0},
        {OWNER_A ".-1", 0},
        {OWNER_A ".184467440737095516151", 0},
        {"0123456789ABCDEF.1", 0},
        {"0123456789abcde.11", 0},
        {"0123456789abcdeg.1", 0},
        {"0123456789abcdef,1", 0},
    };
    char member[ETV_REDIS_MEMBER_ROOM];
    etv_change_id_t id = change_id(OWNER_B, APR_UINT64_MAX, 0);

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        ck_assert_msg(etv_redis_member_is_right(row[i].text, strlen(row[i].text)) == row[i].right,
                      "%s", row[i].text);
    }
    ck_assert_uint_eq(etv_redis_member_write(member, &id), strlen(member));
    ck_assert_str_eq(member, OWNER_B ".18446744073709551615");
    ck_assert_int_eq(etv_redis_member_is_right(member, strlen(member)), 1);
    ck_assert_int_eq(etv_redis_member_is_right(OWNER_A ".1\0", sizeof(OWNER_A) + 2), 0);
}
END_TEST

/* --- under way --- */

START_TEST(open_until_completed)
{
    etv_store_t *here = store_default(), *there = store_default();
    etv_change_id_t a = change_id(OWNER_A, 1, GRACE_LONG), b = change_id(OWNER_B, 1, GRACE_LONG);
    etv_model_t m = model("a", 0);

    tell(&server, "MSET v:a 1 v:b 2");
    ck_assert_int_eq(announce(here, "a", &a), APR_SUCCESS);
    ck_assert_int_eq(state_of(here, "a"), ETV_MODEL_OPEN);
    ck_assert_int_eq(state_of(there, "a"), ETV_MODEL_OPEN);
    ck_assert_int_eq(state_of(there, "b"), ETV_MODEL_FOUND);
    ck_assert_int_eq(announce(there, "a", &b), APR_SUCCESS);
    ck_assert_int_eq(announce(there, "a", &b), APR_SUCCESS); /* twice counts once */
    ck_assert_int_eq(here->ops->changes->complete(here, pool, &m, 1, &a), APR_SUCCESS);
    ck_assert_int_eq(m.state, ETV_MODEL_FOUND);
    ck_assert_int_eq(m.token_len == 1, 0);
    ck_assert_int_eq(strncmp(text_of(&server, "GET v:a"), (const char *)m.token, m.token_len), 0);
    ck_assert_int_eq(state_of(here, "a"), ETV_MODEL_OPEN); /* b's */
    ck_assert_int_eq(withdraw(there, "a", &b), APR_SUCCESS);
    ck_assert_int_eq(look(there, "a", 0, &m, NULL), ETV_LOOKUP_OK);
    ASSERT_TOKEN(m, text_of(&server, "GET v:a"));
    ck_assert_int_eq((int)number_of(&server, "EXISTS v:%open:a"), 0);
    ck_assert_int_eq(seen.n, 0);
}
END_TEST

START_TEST(some_of_many_are_open)
{
    etv_store_t *store = store_default();
    etv_change_id_t id = change_id(OWNER_A, 7, GRACE_LONG);
    etv_model_t m[ETV_MODELS_MOST];
    etv_snapshot_t snapshot;
    char names[ETV_MODELS_MOST][8];

    for (int i = 0; i < ETV_MODELS_MOST; i++) {
        snprintf(names[i], sizeof(names[i]), "m%d", i);
        m[i] = model(names[i], i % 2);
    }
    tell(&server, "SET v:m4 x");
    ck_assert_int_eq(announce(store, "m3", &id), APR_SUCCESS);
    ck_assert_int_eq(announce(store, "m31", &id), APR_SUCCESS);
    ck_assert_int_eq(store->ops->lookup(store, pool, m, ETV_MODELS_MOST, &snapshot), ETV_LOOKUP_OK);
    for (int i = 0; i < ETV_MODELS_MOST; i++) {
        etv_model_state_e wanted = i == 3 || i == 31 ? ETV_MODEL_OPEN
                                   : i % 2 || i == 4 ? ETV_MODEL_FOUND
                                                     : ETV_MODEL_ABSENT;
        ck_assert_msg(m[i].state == wanted, "%d: %d", i, m[i].state);
        ck_assert_int_eq(m[i].token != NULL, wanted == ETV_MODEL_FOUND);
    }
    ck_assert_int_eq((int)number_of(&server, "EXISTS v:m3 v:m31"), 0); /* nothing was created */
    ck_assert_int_eq(seen.n, 0);
}
END_TEST

START_TEST(many_models_in_one_change)
{
    etv_store_t *store = store_default();
    etv_change_id_t id = change_id(OWNER_A, 7, GRACE_LONG);
    int n = ETV_REDIS_CHANGED_MOST;
    etv_model_t *m = apr_pcalloc(pool, (apr_size_t)(n + 1) * sizeof(*m));

    for (int i = 0; i <= n; i++) {
        m[i] = model(apr_psprintf(pool, "m%d", i), 0);
    }
    ck_assert_int_eq(store->ops->changes->announce(store, pool, m, n, &id, 0), APR_SUCCESS);
    ck_assert_int_eq(state_of(store, "m1023"), ETV_MODEL_OPEN);
    ck_assert_int_eq(store->ops->changes->complete(store, pool, m, n, &id), APR_SUCCESS);
    ck_assert_int_eq(state_of(store, "m1023"), ETV_MODEL_FOUND);
    ck_assert_int_eq(store->ops->changes->announce(store, pool, m, n, &id, 0), APR_SUCCESS);
    ck_assert_int_eq(store->ops->changes->withdraw(store, pool, m, n, &id), APR_SUCCESS);
    ck_assert_int_eq(state_of(store, "m0"), ETV_MODEL_FOUND);
    n++;
    ck_assert_int_eq(store->ops->changes->announce(store, pool, m, n, &id, 0), APR_EINVAL);
    ck_assert_int_eq(store->ops->changes->complete(store, pool, m, n, &id), APR_EINVAL);
    ck_assert_int_eq(store->ops->changes->withdraw(store, pool, m, n, &id), APR_EINVAL);
    ck_assert_int_eq(store->ops->changes->complete(store, pool, m, 0, &id), APR_SUCCESS);
    ck_assert_int_eq(store->ops->changes->withdraw(store, pool, m, 0, &id), APR_SUCCESS);
}
END_TEST

/** Announcing nothing is a sign of life. */
START_TEST(signs_of_life)
{
    etv_store_t *store = store_default();
    etv_change_id_t id = change_id(OWNER_A, 1, MS(90000));

    ck_assert_int_eq(store->ops->changes->announce(store, pool, NULL, 0, &id, 0), APR_SUCCESS);
    ck_assert_int_gt((int)number_of(&server, "PTTL v:%alive:" OWNER_A), 30000);
    ck_assert_int_le((int)number_of(&server, "PTTL v:%alive:" OWNER_A), 90000);
    /* What a process shows is the same whatever the change: a short one shortens nothing. */
    id.grace_us = MS(20);
    id.alive_us = MS(90000);
    ck_assert_int_eq(announce(store, "a", &id), APR_SUCCESS);
    ck_assert_int_gt((int)number_of(&server, "PTTL v:%alive:" OWNER_A), 30000);
    id.grace_us = MS(500000);
    ck_assert_int_eq(announce(store, "a", &id), APR_SUCCESS);
    ck_assert_int_gt((int)number_of(&server, "PTTL v:%alive:" OWNER_A), 300000);
    id.grace_us = id.alive_us = 0;
    ck_assert_int_eq(announce(store, "a", &id), APR_SUCCESS);
    while (number_of(&server, "EXISTS v:%alive:" OWNER_A)) {
        usleep(500);
    }
    ck_assert_int_eq(state_of(store, "a"), ETV_MODEL_OPEN);
}
END_TEST

/* --- as read --- */

START_TEST(announced_as_read)
{
    etv_store_t *store = store_default();
    etv_change_id_t a = change_id(OWNER_A, 1, GRACE_LONG), b = change_id(OWNER_B, 1, GRACE_LONG);
    etv_model_t m[2] = {model("a", 0), model("none", 0)};
    etv_snapshot_t snapshot;

    for (int length = 1; length <= 512; length += 73) { /* tokens with and without a short form */
        set_bytes(&server, "v:a", (apr_size_t)length);
        tell(&server, "DEL v:none");
        ck_assert_int_eq(store->ops->lookup(store, pool, m, 2, &snapshot), ETV_LOOKUP_OK);
        ck_assert_int_eq(announce_as_read(store, m, 2, &a), APR_SUCCESS);
        ck_assert_int_eq(announce_as_read(store, m, 2, &b), APR_EEXIST);
        ck_assert_int_eq(announce_as_read(store, m, 2, &a), APR_EEXIST);
        ck_assert_int_eq(store->ops->changes->withdraw(store, pool, m, 2, &a), APR_SUCCESS);
        ck_assert_int_eq(announce_as_read(store, m, 2, &b), APR_SUCCESS);
        ck_assert_int_eq(store->ops->changes->withdraw(store, pool, m, 2, &b), APR_SUCCESS);
        tell(&server, "SET v:none 1");
        ck_assert_int_eq(announce_as_read(store, m, 2, &a), APR_EEXIST);
        tell(&server, "DEL v:none v:a");
        ck_assert_int_eq(announce_as_read(store, m, 2, &a), APR_EEXIST);
        tell(&server, "RPUSH v:a 1");
        ck_assert_int_eq(announce_as_read(store, m, 1, &a), APR_EEXIST);
        tell(&server, "DEL v:a");
    }
    ck_assert_int_eq((int)number_of(&server, "EXISTS v:%open:a v:%open:none"), 0);
    ck_assert_int_eq(store->ops->lookup(store, pool, m, 2, &snapshot), ETV_LOOKUP_OK);
    m[1].state = ETV_MODEL_OPEN;
    ck_assert_int_eq(announce_as_read(store, m, 2, &a), APR_EEXIST);
    m[1].state = ETV_MODEL_UNUSABLE;
    ck_assert_int_eq(announce_as_read(store, m, 2, &a), APR_EEXIST);
    ck_assert_int_eq(seen.n, 0);
}
END_TEST

/** What a refused announcement watched is of no concern to the next user of the connection. */
START_TEST(nothing_stays_watched)
{
    settings_t s = settings_unix(server.path);
    etv_change_id_t id = change_id(OWNER_A, 1, GRACE_LONG);
    etv_store_t *store;
    etv_model_t m = model("a", 0), other;
    int bumped;

    s.config.connections_most = 1;
    store = store_make(&s);
    tell(&server, "SET v:a 1");
    for (int i = 0; i < 20; i++) {
        m = model("a", 0);
        m.state = ETV_MODEL_ABSENT;
        ck_assert_int_eq(announce_as_read(store, &m, 1, &id), APR_EEXIST);
        ck_assert_int_eq(look(store, "a", 0, &other, NULL), ETV_LOOKUP_OK);
        ck_assert_int_eq(store->ops->changes->bump_if(store, pool, &m, "d", 1, &bumped),
                         APR_SUCCESS);
        ck_assert_int_eq(bumped, i == 0);
        tell(&server, "SET v:b 1");
        ck_assert_int_eq(store->ops->bump(store, pool, &other, 1), APR_SUCCESS);
        m = other;
        ck_assert_int_eq(store->ops->changes->bump_if(store, pool, &m, "d", 1, &bumped),
                         APR_SUCCESS);
        ck_assert_int_eq(bumped, 1);
    }
    ck_assert_int_eq(seen.n, 0);
}
END_TEST

#define RACERS 8

typedef struct {
    etv_store_t *store;
    etv_model_t read; /* what all have read */
    int number;
    pthread_barrier_t *start;
    apr_status_t status;
    int bumped;
} racer_t;

static void *race_announce(void *arg)
{
    racer_t *racer = arg;
    etv_change_id_t id = change_id(OWNER_A, (apr_uint64_t)racer->number, GRACE_LONG);
    etv_model_t m = racer->read;

    m.token = m.kept.token;
    pthread_barrier_wait(racer->start);
    racer->status = racer->store->ops->changes->announce(racer->store, NULL, &m, 1, &id, 1);
    return NULL;
}

static void *race_bump_if(void *arg)
{
    racer_t *racer = arg;
    etv_model_t m = racer->read;

    pthread_barrier_wait(racer->start);
    racer->status = racer->store->ops->changes->bump_if(racer->store, NULL, &m, "same digest", 11,
                                                        &racer->bumped);
    return NULL;
}

static void race(racer_t racers[RACERS], void *(*run)(void *))
{
    pthread_t thread[RACERS];
    pthread_barrier_t start;

    pthread_barrier_init(&start, NULL, RACERS);
    for (int i = 0; i < RACERS; i++) {
        racers[i].start = &start;
        ck_assert_int_eq(pthread_create(&thread[i], NULL, run, &racers[i]), 0);
    }
    for (int i = 0; i < RACERS; i++) {
        pthread_join(thread[i], NULL);
    }
    pthread_barrier_destroy(&start);
}

START_TEST(one_of_many_announces)
{
    etv_store_t *store[2] = {store_default(), store_default()};

    for (int round = 0; round < etv_some(200); round++) {
        racer_t racers[RACERS];
        etv_model_t read;
        int won = 0;

        tell(&server, "FLUSHALL");
        tell(&server, "SET v:a 5");
        ck_assert_int_eq(look(store[0], "a", 0, &read, NULL), ETV_LOOKUP_OK);
        for (int i = 0; i < RACERS; i++) {
            racers[i] = (racer_t){.store = store[i % 2], .read = read, .number = i};
        }
        race(racers, race_announce);
        for (int i = 0; i < RACERS; i++) {
            ck_assert(racers[i].status == APR_SUCCESS || racers[i].status == APR_EEXIST);
            won += racers[i].status == APR_SUCCESS;
        }
        ck_assert_int_eq(won, 1);
        ck_assert_int_eq((int)number_of(&server, "SCARD v:%open:a"), 1);
    }
    ck_assert_int_eq(seen.n, 0);
}
END_TEST

/* --- by the digest of data --- */

static int bump_if(etv_store_t *store, const char *name, const char *digest)
{
    etv_model_t m = model(name, 0);
    int bumped = 99;
    char key[64];

    ck_assert_int_eq(store->ops->changes->bump_if(store, pool, &m, digest, strlen(digest), &bumped),
                     APR_SUCCESS);
    snprintf(key, sizeof(key), "GET v:%s", name);
    ASSERT_TOKEN(m, text_of(&server, key));
    return bumped;
}

START_TEST(bumped_by_digest)
{
    static const char *const garbage[] = {"SET v:%digest:a x",
                                          "SET v:%digest:a 3:one",
                                          "SET v:%digest:a 3:onex",
                                          "SADD v:%digest:a f",
                                          "DEL v:%digest:a",
                                          "SET v:a 17",
                                          "INCR v:a",
                                          "DEL v:a"};
    etv_store_t *here = store_default(), *there = store_default();
    char longest[ETV_DATA_DIGEST_MOST + 2];
    etv_model_t m = model("a", 0);
    int bumped;

    ck_assert_int_eq(bump_if(here, "a", "one"), 1);
    ck_assert_int_eq(bump_if(there, "a", "one"), 0);
    ck_assert_int_eq(bump_if(there, "a", "two"), 1);
    ck_assert_int_eq(bump_if(here, "a", "one"), 1);
    ck_assert_int_eq(bump_if(here, "b", "one"), 1);
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        ck_assert_int_eq(bump_if(here, "a", "one"), 0);
        if (strncmp(garbage[i], "SADD", 4) == 0) {
            tell(&server, "DEL v:%digest:a");
        }
        tell(&server, garbage[i]);
        ck_assert_msg(bump_if(here, "a", "one") == 1, "%s", garbage[i]);
    }
    tell(&server, "DEL v:a");
    tell(&server, "RPUSH v:a 1");
    ck_assert_int_eq(bump_if(here, "a", "one"), 1);
    set_bytes(&server, "v:a", 1000); /* no token */
    ck_assert_int_eq(bump_if(here, "a", "one"), 1);
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    ck_assert_int_eq(here->ops->changes->bump_if(here, pool, &m, longest, 129, &bumped),
                     APR_EINVAL);
    ck_assert_int_eq(here->ops->changes->bump_if(here, pool, &m, longest, 0, &bumped), APR_EINVAL);
    longest[ETV_DATA_DIGEST_MOST] = '\0';
    ck_assert_int_eq(bump_if(here, "a", longest), 1);
    ck_assert_int_eq(bump_if(here, "a", longest), 0);
    ck_assert_int_eq(seen.n, 0);
}
END_TEST

/** A foreign version and a digest must not read as another digest and version. */
START_TEST(records_are_unambiguous)
{
    etv_store_t *store = store_default();

    tell(&server, "MSET v:a c v:%digest:a 2:abc");
    ck_assert_int_eq(bump_if(store, "a", "ab"), 0);
    tell(&server, "MSET v:a c v:%digest:a 2:abc");
    ck_assert_int_eq(bump_if(store, "a", "a"), 1);
    tell(&server, "MSET v:a bc v:%digest:a 2:abc");
    ck_assert_int_eq(bump_if(store, "a", "a"), 1);
}
END_TEST

START_TEST(one_of_many_bumps_by_digest)
{
    etv_store_t *store[2] = {store_default(), store_default()};

    for (int round = 0; round < etv_some(200); round++) {
        racer_t racers[RACERS];
        int bumped = 0;

        tell(&server, "FLUSHALL");
        tell(&server, "SET v:a 5");
        for (int i = 0; i < RACERS; i++) {
            racers[i] = (racer_t){.store = store[i % 2], .read = model("a", 0)};
        }
        race(racers, race_bump_if);
        for (int i = 0; i < RACERS; i++) {
            ck_assert_int_eq(racers[i].status, APR_SUCCESS);
            bumped += racers[i].bumped;
        }
        ck_assert_int_eq(bumped, 1);
    }
    ck_assert_int_eq(seen.n, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("redis_change");
    TCase *t = tcase_create("changes");

    tcase_add_unchecked_fixture(t, suite_setup, suite_teardown);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, shapes_of_members);
    tcase_add_test(t, open_until_completed);
    tcase_add_test(t, some_of_many_are_open);
    tcase_add_test(t, many_models_in_one_change);
    tcase_add_test(t, signs_of_life);
    tcase_add_test(t, announced_as_read);
    tcase_add_test(t, nothing_stays_watched);
    tcase_add_test(t, one_of_many_announces);
    tcase_add_test(t, bumped_by_digest);
    tcase_add_test(t, records_are_unambiguous);
    tcase_add_test(t, one_of_many_bumps_by_digest);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
