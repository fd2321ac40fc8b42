/* SPDX-License-Identifier: Apache-2.0 */
/* The Redis store against a real server: what lookups and bumps mean. */
#include "redis_fixture.h"

static etv_store_t *store_default(int keep_secret)
{
    settings_t s = settings_unix(server.path);

    s.config.keep_secret = keep_secret;
    return store_make(&s);
}

/* --- values --- */

START_TEST(found_and_absent)
{
    etv_store_t *store = store_default(0);
    etv_snapshot_t snapshot;
    etv_model_t m[3] = {model("a", 0), model("b", 0), model("c", 0)};
    redisReply *reply;

    tell(&server, "SET v:a 17");
    tell(&server, "SET v:c x");
    ck_assert_int_eq(store->ops->lookup(store, pool, m, 3, &snapshot), ETV_LOOKUP_OK);
    ASSERT_TOKEN(m[0], "17");
    ck_assert_int_eq(m[1].state, ETV_MODEL_ABSENT);
    ASSERT_TOKEN(m[2], "x");
    ck_assert_ptr_null(snapshot.secret);
    ck_assert_ptr_eq(snapshot.instance, snapshot.kept_instance);
    reply = ask(&server, "EXISTS v:b");
    ck_assert_int_eq(reply->integer, 0);
    freeReplyObject(reply);
    ck_assert_str_eq(store->ops->kind, "redis");
}
END_TEST

START_TEST(states_of_values)
{
    static const struct {
        const char *command;
        const char *name;
        etv_model_state_e kept;    /* without may_create */
        etv_model_state_e created; /* with it */
    } row[] = {
        {"HSET v:h f 1", "h", ETV_MODEL_ABSENT, ETV_MODEL_UNUSABLE},
        {"RPUSH v:l 1", "l", ETV_MODEL_ABSENT, ETV_MODEL_UNUSABLE},
        {"SADD v:s 1", "s", ETV_MODEL_ABSENT, ETV_MODEL_UNUSABLE},
        {"SET v:v 1", "v", ETV_MODEL_FOUND, ETV_MODEL_FOUND},
        {"SET v:i 9223372036854775807", "i", ETV_MODEL_FOUND, ETV_MODEL_FOUND},
        {"SET v:o 1", "other", ETV_MODEL_ABSENT, ETV_MODEL_FOUND},
    };
    etv_store_t *store = store_default(0);

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        etv_model_t m;

        tell(&server, row[i].command);
        ck_assert_int_eq(look(store, row[i].name, 0, &m, NULL), ETV_LOOKUP_OK);
        ck_assert_int_eq(m.state, row[i].kept);
        ck_assert_int_eq(look(store, row[i].name, 1, &m, NULL), ETV_LOOKUP_OK);
        ck_assert_int_eq(m.state, row[i].created);
    }
}
END_TEST

START_TEST(lengths_of_values)
{
    static const struct {
        apr_size_t len;
        etv_model_state_e state;
    } row[] = {{0, ETV_MODEL_FOUND},        {1, ETV_MODEL_FOUND},       {511, ETV_MODEL_FOUND},
               {512, ETV_MODEL_FOUND},      {513, ETV_MODEL_UNUSABLE},  {16384, ETV_MODEL_UNUSABLE},
               {16385, ETV_MODEL_UNUSABLE}, {61440, ETV_MODEL_UNUSABLE}};
    etv_store_t *store = store_default(0);

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        etv_model_t m;

        set_bytes(&server, "v:m", row[i].len);
        ck_assert_int_eq(look(store, "m", 1, &m, NULL), ETV_LOOKUP_OK);
        ck_assert_int_eq(m.state, row[i].state);
        if (m.state == ETV_MODEL_FOUND) {
            ck_assert_uint_eq(
                m.token_len, row[i].len < ETV_TOKEN_SHORT_MOST ? row[i].len : ETV_TOKEN_SHORT_MOST);
        }
    }
    ck_assert_int_eq(seen.n, 0);
}
END_TEST

START_TEST(bytes_are_kept)
{
    etv_store_t *store = store_default(0);
    etv_model_t m;
    redisReply *reply =
        redisCommand(server.admin, "SET %b %b", "v:n\r\n$5", (size_t)7, "\0\r\n+OK\r\n", (size_t)8);

    freeReplyObject(reply);
    ck_assert_int_eq(look(store, "n\r\n$5", 0, &m, NULL), ETV_LOOKUP_OK);
    ck_assert_int_eq(m.state, ETV_MODEL_FOUND);
    ck_assert_uint_eq(m.token_len, 8);
    ck_assert_int_eq(memcmp(m.token, "\0\r\n+OK\r\n", 8), 0);
}
END_TEST

START_TEST(many_models_at_once)
{
    etv_store_t *store = store_default(1);
    etv_snapshot_t snapshot;
    etv_model_t m[ETV_MODELS_MOST + 1];
    char names[ETV_MODELS_MOST + 1][ETV_MODEL_NAME_MOST + 1];

    for (int i = 0; i <= ETV_MODELS_MOST; i++) {
        memset(names[i], 'a' + i % 26, ETV_MODEL_NAME_MOST);
        names[i][ETV_MODEL_NAME_MOST] = '\0';
        names[i][0] = (char)('A' + i);
        m[i] = model(names[i], i % 2);
        if (i % 2 == 0) {
            char key[300];

            snprintf(key, sizeof(key), "v:%.256s", names[i]);
            set_bytes(&server, key, 61440);
        }
    }
    ck_assert_int_eq(store->ops->lookup(store, pool, m, ETV_MODELS_MOST + 1, &snapshot),
                     ETV_LOOKUP_UNAVAILABLE);
    ck_assert_int_eq(store->ops->lookup(store, pool, m, ETV_MODELS_MOST, &snapshot), ETV_LOOKUP_OK);
    for (int i = 0; i < ETV_MODELS_MOST; i++) {
        ck_assert_int_eq(m[i].state, i % 2 ? ETV_MODEL_FOUND : ETV_MODEL_UNUSABLE);
    }
    ck_assert_int_eq(store->ops->lookup(store, pool, m, 0, &snapshot), ETV_LOOKUP_OK);
    ck_assert_ptr_nonnull(snapshot.secret);
}
END_TEST

/** One value too large for any sound reply costs this lookup only. */
START_TEST(huge_value_is_not_read)
{
    etv_store_t *store = store_default(0);
    etv_model_t m;

    set_bytes(&server, "v:huge", 64u * 1024 * 1024);
    tell(&server, "SET v:ok 1");
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(look(store, "huge", 1, &m, NULL), ETV_LOOKUP_UNAVAILABLE);
        ck_assert_int_eq(look(store, "ok", 1, &m, NULL), ETV_LOOKUP_OK);
    }
    ck_assert_int_eq(logged("ETV0110"), 1);
    ck_assert_int_eq(logged("ETV0117"), 0);
}
END_TEST

/* --- creation --- */

typedef struct {
    etv_store_t *store;
    pthread_barrier_t *barrier;
    etv_lookup_e result;
    char token[64];
    unsigned char secret[ETV_SECRET_BYTES];
    etv_snapshot_t snapshot;
    apr_pool_t *pool;
} creator_t;

static void *create_one(void *arg)
{
    creator_t *c = arg;
    etv_model_t m = model("new", 1);

    pthread_barrier_wait(c->barrier);
    c->result = c->store->ops->lookup(c->store, c->pool, &m, 1, &c->snapshot);
    if (c->result == ETV_LOOKUP_OK && m.state == ETV_MODEL_FOUND &&
        m.token_len < sizeof(c->token)) {
        memcpy(c->token, m.token, m.token_len);
        memcpy(c->secret, c->snapshot.secret, ETV_SECRET_BYTES);
    }
    return NULL;
}

START_TEST(created_once_by_many)
{
    /* two stores, as two processes have */
    etv_store_t *stores[2] = {store_default(1), store_default(1)};
    creator_t c[8];
    pthread_t thread[8];
    pthread_barrier_t barrier;
    redisReply *reply;

    memset(c, 0, sizeof(c));
    pthread_barrier_init(&barrier, NULL, 8);
    for (int i = 0; i < 8; i++) {
        c[i].store = stores[i % 2];
        c[i].barrier = &barrier;
        apr_pool_create(&c[i].pool, NULL);
        ck_assert_int_eq(pthread_create(&thread[i], NULL, create_one, &c[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(thread[i], NULL);
    }
    pthread_barrier_destroy(&barrier);
    reply = ask(&server, "GET v:new");
    for (int i = 0; i < 8; i++) {
        ck_assert_int_eq(c[i].result, ETV_LOOKUP_OK);
        ck_assert_str_eq(c[i].token, reply->str);
        ck_assert_int_eq(memcmp(c[i].secret, c[0].secret, ETV_SECRET_BYTES), 0);
        ck_assert(same_instance(&c[i].snapshot, &c[0].snapshot));
    }
    for (int i = 0; i < 8; i++) {
        apr_pool_destroy(c[i].pool);
    }
    ck_assert_uint_eq(strlen(reply->str), 19);
    freeReplyObject(reply);
    reply = ask(&server, "TTL v:new");
    ck_assert_int_eq(reply->integer, -1);
    freeReplyObject(reply);
}
END_TEST

START_TEST(tokens_are_new_after_deletion)
{
    etv_store_t *store = store_default(0);
    etv_model_t a, b;
    etv_snapshot_t before, after;

    ck_assert_int_eq(look(store, "m", 1, &a, &before), ETV_LOOKUP_OK);
    tell(&server, "DEL v:m");
    ck_assert_int_eq(look(store, "m", 1, &b, &after), ETV_LOOKUP_OK);
    ck_assert(same_instance(&before, &after));
    ck_assert(a.token_len != b.token_len || memcmp(a.token, b.token, a.token_len));
}
END_TEST

/* --- the secret --- */

START_TEST(secret_is_shared)
{
    etv_store_t *one = store_default(1);
    etv_store_t *two = store_default(1);
    etv_snapshot_t a, b;
    etv_model_t m;
    redisReply *reply;

    ck_assert_int_eq(look(one, "m", 1, &m, &a), ETV_LOOKUP_OK);
    ck_assert_int_eq(look(two, "m", 1, &m, &b), ETV_LOOKUP_OK);
    ck_assert_int_eq(memcmp(a.secret, b.secret, ETV_SECRET_BYTES), 0);
    reply = ask(&server, "GET v:%secret");
    ck_assert_uint_eq(reply->len, 32);
    freeReplyObject(reply);
    tell(&server, "FLUSHALL");
    ck_assert_int_eq(look(one, "m", 1, &m, &b), ETV_LOOKUP_OK);
    ck_assert_int_ne(memcmp(a.secret, b.secret, ETV_SECRET_BYTES), 0);
    ck_assert_int_eq(look(two, "m", 1, &m, &a), ETV_LOOKUP_OK);
    ck_assert_int_eq(memcmp(a.secret, b.secret, ETV_SECRET_BYTES), 0);
}
END_TEST

START_TEST(secret_must_be_right)
{
    static const char *const wrong[] = {
        "SET v:%secret short", "SET v:%secret 0123456789abcdef0123456789abcdeg",
        "SET v:%secret 0123456789abcdef0123456789abcdef0", "HSET v:%secret f 1"};
    etv_model_t m;
    etv_snapshot_t snapshot;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        etv_store_t *store = store_default(1);

        tell(&server, "DEL v:%secret");
        tell(&server, wrong[i]);
        ck_assert_int_eq(look(store, "m", 1, &m, &snapshot), ETV_LOOKUP_UNAVAILABLE);
        ck_assert_int_eq(logged("ETV0114"), (int)i + 1);
        tell(&server, "SET v:%secret 0123456789abcdef0123456789abcdef");
        ck_assert_int_eq(look(store, "m", 1, &m, &snapshot), ETV_LOOKUP_OK);
        ck_assert_int_eq(memcmp(snapshot.secret, "\x01\x23\x45\x67\x89\xab\xcd\xef", 8), 0);
    }
}
END_TEST

START_TEST(epoch_must_be_right)
{
    etv_store_t *store = store_default(0);
    etv_model_t m;

    tell(&server, "HSET v:%epoch f 1");
    ck_assert_int_eq(look(store, "m", 1, &m, NULL), ETV_LOOKUP_UNAVAILABLE);
    ck_assert_int_eq(logged("ETV0115"), 1);
    tell(&server, "DEL v:%epoch");
    set_bytes(&server, "v:%epoch", 65);
    ck_assert_int_eq(look(store, "m", 1, &m, NULL), ETV_LOOKUP_UNAVAILABLE);
    set_bytes(&server, "v:%epoch", 64);
    ck_assert_int_eq(look(store, "m", 1, &m, NULL), ETV_LOOKUP_OK);
    tell(&server, "DEL v:%epoch");
    ck_assert_int_eq(look(store, "m", 1, &m, NULL), ETV_LOOKUP_OK);
}
END_TEST

typedef struct {
    etv_store_t *store;
    int ok;
} reader_t;

static void *read_many(void *arg)
{
    reader_t *r = arg;
    apr_pool_t *p;

    apr_pool_create(&p, NULL);
    for (int i = 0; i < 300; i++) {
        etv_snapshot_t snapshot;
        etv_model_t m[2] = {model("a", 1), model("b", 1)};

        r->ok += r->store->ops->lookup(r->store, p, m, 2, &snapshot) == ETV_LOOKUP_OK &&
                 m[0].state == ETV_MODEL_FOUND && m[1].state == ETV_MODEL_FOUND;
        apr_pool_clear(p);
    }
    apr_pool_destroy(p);
    return NULL;
}

/** Whatever vanishes between two rounds, what is told was there at one moment. */
START_TEST(flushes_while_reading)
{
    reader_t r[4];
    pthread_t thread[4];
    etv_store_t *store = store_default(1);

    for (int i = 0; i < 4; i++) {
        r[i].store = store;
        r[i].ok = 0;
        ck_assert_int_eq(pthread_create(&thread[i], NULL, read_many, &r[i]), 0);
    }
    for (int i = 0; i < 200; i++) {
        tell(&server, i % 3 ? "FLUSHALL" : "DEL v:a");
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(thread[i], NULL);
        ck_assert_int_gt(r[i].ok, 200);
    }
    ck_assert_int_eq(seen.n - logged("ETV0120"), 0);
}
END_TEST

/* --- instance --- */

START_TEST(flush_changes_instance)
{
    etv_store_t *store = store_default(0);
    etv_snapshot_t a, b, c;
    etv_model_t m;

    ck_assert_int_eq(look(store, "m", 1, &m, &a), ETV_LOOKUP_OK);
    ck_assert_int_eq(look(store, "m", 1, &m, &b), ETV_LOOKUP_OK);
    ck_assert(same_instance(&a, &b));
    tell(&server, "FLUSHALL");
    ck_assert_int_eq(look(store, "m", 0, &m, &c), ETV_LOOKUP_OK);
    ck_assert(!same_instance(&a, &c));
    ck_assert_int_eq(m.state, ETV_MODEL_ABSENT);
}
END_TEST

START_TEST(restart_changes_instance)
{
    static const char *const save[] = {"--dbfilename", "d.rdb", NULL};
    server_t own;
    settings_t s;
    etv_store_t *store;
    etv_snapshot_t a, b;
    etv_model_t m, n;

    server_start(&own, "restart", 0, save);
    s = settings_unix(own.path);
    store = store_make(&s);
    ck_assert_int_eq(look(store, "m", 1, &m, &a), ETV_LOOKUP_OK);
    tell(&own, "SAVE");
    server_kill(&own);
    ck_assert(server_start_once(&own));
    /* The pooled connection is dead; the request does not notice. */
    ck_assert_int_eq(look(store, "m", 1, &n, &b), ETV_LOOKUP_OK);
    ck_assert_uint_eq(m.token_len, n.token_len);
    ck_assert_int_eq(memcmp(m.token, n.token, m.token_len), 0);
    ck_assert(!same_instance(&a, &b));
    ck_assert_int_eq(seen.n, 0);
    server_kill(&own);
}
END_TEST

START_TEST(demotion_and_promotion)
{
    server_t own;
    settings_t s;
    etv_store_t *store;
    etv_snapshot_t a, b;
    etv_model_t m;

    server_start(&own, "demote", 0, NULL);
    s = settings_unix(own.path);
    store = store_make(&s);
    ck_assert_int_eq(look(store, "m", 1, &m, &a), ETV_LOOKUP_OK);
    tell(&own, "REPLICAOF 127.0.0.1 1");
    ck_assert_int_eq(look(store, "m", 1, &m, &b), ETV_LOOKUP_UNAVAILABLE);
    ck_assert_int_eq(logged("ETV0106"), 1);
    m = model("m", 0);
    ck_assert_int_ne(store->ops->bump(store, pool, &m, 1), APR_SUCCESS);
    tell(&own, "REPLICAOF NO ONE");
    ck_assert_int_eq(look(store, "m", 1, &m, &b), ETV_LOOKUP_OK);
    ck_assert(!same_instance(&a, &b));
    server_kill(&own);
}
END_TEST

/** The cycle happens while the pooled connection is idle: nothing else would tell. */
START_TEST(promotion_while_idle)
{
    server_t own;
    settings_t s;
    etv_store_t *store;
    etv_snapshot_t a, b;
    etv_model_t m;

    server_start(&own, "idle", 0, NULL);
    s = settings_unix(own.path);
    store = store_make(&s);
    ck_assert_int_eq(look(store, "m", 1, &m, &a), ETV_LOOKUP_OK);
    tell(&own, "REPLICAOF 127.0.0.1 1");
    tell(&own, "REPLICAOF NO ONE");
    ck_assert_int_eq(look(store, "m", 1, &m, &b), ETV_LOOKUP_OK);
    ck_assert(!same_instance(&a, &b));
    server_kill(&own);
}
END_TEST

/* --- bumps --- */

START_TEST(bump_gives_new_tokens)
{
    etv_store_t *store = store_default(0);
    etv_model_t m[3] = {model("a", 0), model("b", 0), model("h", 0)};
    etv_model_t seen_now;
    char last[64] = "";

    tell(&server, "SET v:a 1 EX 1000");
    tell(&server, "HSET v:h f 1");
    for (int i = 0; i < 50; i++) {
        ck_assert_int_eq(store->ops->bump(store, pool, m, 3), APR_SUCCESS);
        for (int k = 0; k < 3; k++) {
            char text[64];

            ck_assert_int_eq(m[k].state, ETV_MODEL_FOUND);
            snprintf(text, sizeof(text), "%.*s", (int)m[k].token_len, (const char *)m[k].token);
            ck_assert_uint_eq(strlen(text), 19);
            ck_assert_str_gt(text, last);
            memcpy(last, text, sizeof(last));
            ck_assert_int_eq(look(store, m[k].name, 0, &seen_now, NULL), ETV_LOOKUP_OK);
            ASSERT_TOKEN(seen_now, text);
        }
    }
    {
        redisReply *reply = ask(&server, "TTL v:a");

        ck_assert_int_eq(reply->integer, -1);
        freeReplyObject(reply);
    }
    ck_assert_int_eq(store->ops->bump(store, pool, m, 0), APR_SUCCESS);
    ck_assert_int_ne(store->ops->bump(store, pool, m, 100000), APR_SUCCESS);
}
END_TEST

START_TEST(bump_of_many)
{
    etv_store_t *store = store_default(0);
    etv_model_t m[1024];
    redisReply *reply;

    for (int i = 0; i < 1024; i++) {
        m[i] = model(apr_psprintf(pool, "many%d", i), 0);
    }
    ck_assert_int_eq(store->ops->bump(store, pool, m, 1024), APR_SUCCESS);
    reply = ask(&server, "DBSIZE");
    ck_assert_int_eq(reply->integer, 1024);
    freeReplyObject(reply);
}
END_TEST

START_TEST(refused_writes)
{
    static const char *const full[] = {"--maxmemory", "1", NULL};
    server_t own;
    settings_t s;
    etv_store_t *store;
    etv_model_t m;

    server_start(&own, "full", 0, full);
    s = settings_unix(own.path);
    store = store_make(&s);
    m = model("m", 0);
    ck_assert_int_ne(store->ops->bump(store, pool, &m, 1), APR_SUCCESS);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(look(store, "m", 1, &m, NULL), ETV_LOOKUP_UNAVAILABLE);
    }
    ck_assert_int_eq(logged("SET with an error (OOM)"), 1);
    ck_assert_int_eq(logged("ETV0117"), 0);
    tell(&own, "CONFIG SET maxmemory 0");
    ck_assert_int_eq(look(store, "m", 1, &m, NULL), ETV_LOOKUP_OK);
    server_kill(&own);
}
END_TEST

static Suite *redis_suite(void)
{
    Suite *suite = suite_create("redis");
    TCase *tc = tcase_create("redis");

    suite_add_tcase(suite, tc);
    tcase_set_timeout(tc, 60);
    tcase_add_unchecked_fixture(tc, suite_setup, suite_teardown);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, found_and_absent);
    tcase_add_test(tc, states_of_values);
    tcase_add_test(tc, lengths_of_values);
    tcase_add_test(tc, bytes_are_kept);
    tcase_add_test(tc, many_models_at_once);
    tcase_add_test(tc, huge_value_is_not_read);
    tcase_add_test(tc, created_once_by_many);
    tcase_add_test(tc, tokens_are_new_after_deletion);
    tcase_add_test(tc, secret_is_shared);
    tcase_add_test(tc, secret_must_be_right);
    tcase_add_test(tc, epoch_must_be_right);
    tcase_add_test(tc, flushes_while_reading);
    tcase_add_test(tc, flush_changes_instance);
    tcase_add_test(tc, restart_changes_instance);
    tcase_add_test(tc, demotion_and_promotion);
    tcase_add_test(tc, promotion_while_idle);
    tcase_add_test(tc, bump_gives_new_tokens);
    tcase_add_test(tc, bump_of_many);
    tcase_add_test(tc, refused_writes);
    return suite;
}

int main(void)
{
    return run_suite(redis_suite());
}
