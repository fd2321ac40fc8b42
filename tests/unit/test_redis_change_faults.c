/* SPDX-License-Identifier: Apache-2.0 */
/* Changes in Redis when something goes wrong: other people's values, lacking rights, servers that
 * die or say what Redis would not. */
#include "redis_change_fixture.h"

/* --- what is not the module's --- */

START_TEST(a_set_that_is_none)
{
    static const char *const what[] = {"SET v:%open:a x", "HSET v:%open:a f 1", "RPUSH v:%open:a 1",
                                       "ZADD v:%open:a 1 x", "SADD v:%open:a garbage"};
    etv_store_t *store = store_default();
    etv_change_id_t id = change_id(OWNER_A, 1, GRACE_LONG);

    for (size_t i = 0; i < sizeof(what) / sizeof(what[0]); i++) {
        int set = strncmp(what[i], "SADD", 4) == 0;
        etv_model_t m[2] = {model("a", 0), model("b", 0)};

        tell(&server, "FLUSHALL");
        tell(&server, "SET v:a 1");
        tell(&server, what[i]);
        ck_assert_int_eq(state_of(store, "a"), ETV_MODEL_OPEN);
        ck_assert_int_eq(announce(store, "a", &id) == APR_SUCCESS, set);
        m[0].state = m[1].state = ETV_MODEL_ABSENT;
        ck_assert_int_eq(announce_as_read(store, m, 2, &id), APR_EEXIST);
        /* The bump is one all the same. */
        ck_assert_int_eq(store->ops->changes->complete(store, pool, m, 2, &id), APR_SUCCESS);
        ck_assert_str_ne(text_of(&server, "GET v:a"), "1");
        ck_assert_int_eq(withdraw(store, "a", &id), APR_SUCCESS);
        ck_assert_int_eq(state_of(store, "a"), ETV_MODEL_OPEN);
        ck_assert_int_eq(state_of(store, "b"), ETV_MODEL_FOUND);
    }
    ck_assert_int_eq(logged("ETV0140"), 1); /* once in ten seconds */
    ck_assert_int_eq(logged("v:%open:a"), 1);
    ck_assert_int_eq(seen.n, 1);
}
END_TEST

/* --- a server that fails --- */

START_TEST(refused_rights)
{
    static const char *const row[][2] = {{"-sadd", "SADD"}, {"-srem", "SREM"}, {"-watch", "WATCH"},
                                         {"-set", "SET"},   {"-role", "ROLE"}, {"-multi", "MULTI"}};
    etv_change_id_t id = change_id(OWNER_A, 1, GRACE_LONG);

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        settings_t s = settings_unix(server.path);
        etv_store_t *store;
        etv_model_t m = model("a", 0);
        apr_status_t status[4];

        seen.n = 0;
        s.url.user = "u";
        s.url.password = "p";
        tell(&server, "ACL SETUSER u reset on >p ~v:* +@all");
        tell(&server, apr_psprintf(pool, "ACL SETUSER u %s", row[i][0]));
        store = store_make(&s);
        m.state = ETV_MODEL_ABSENT;
        status[0] = announce_as_read(store, &m, 1, &id);
        status[1] = announce(store, "a", &id);
        status[2] = complete(store, "a", &id);
        status[3] = withdraw(store, "a", &id);
        ck_assert(status[0] || status[1] || status[2] || status[3]);
        ck_assert_int_eq(logged("ETV0105"), 1);
        ck_assert_msg(logged(apr_psprintf(pool, "may not run %s", row[i][1])), "%s", row[i][1]);
        tell(&server, "DEL v:%open:a");
        if (i < 4) { /* not a command of lookups: they go on */
            ck_assert_int_ne(state_of(store, "a"), ETV_MODEL_OPEN);
        }
        tell(&server, "ACL DELUSER u");
    }
}
END_TEST

/** Killed at any moment: nothing hangs, nothing is acknowledged that was not done, and what is new
 * afterwards begins well. */
START_TEST(killed_in_the_middle)
{
    server_t own;
    settings_t s;
    etv_store_t *store;
    etv_change_id_t id = change_id(OWNER_A, 1, GRACE_LONG);
    etv_model_t m;

    server_start(&own, "mid", 0, NULL);
    s = settings_unix(own.path);
    store = store_make(&s);
    ck_assert_int_eq(announce(store, "a", &id), APR_SUCCESS);
    server_kill(&own);
    ck_assert_int_ne(announce(store, "a", &id), APR_SUCCESS);
    m = model("a", 0);
    m.state = ETV_MODEL_ABSENT;
    ck_assert_int_ne(announce_as_read(store, &m, 1, &id), APR_SUCCESS);
    ck_assert_int_ne(complete(store, "a", &id), APR_SUCCESS);
    ck_assert_int_ne(withdraw(store, "a", &id), APR_SUCCESS);
    server_start(&own, "mid", 0, NULL);
    while (announce(store, "a", &id) != APR_SUCCESS) {
        usleep(1000);
    }
    ck_assert_int_eq(complete(store, "a", &id), APR_SUCCESS);
    ck_assert_int_eq(state_of(store, "a"), ETV_MODEL_FOUND);
    server_kill(&own);
}
END_TEST

#define STORMERS 6

typedef struct {
    etv_store_t *store;
    int number;
    atomic_int *stop;
    atomic_int *done;
} stormer_t;

static void *storm(void *arg)
{
    stormer_t *s = arg;
    apr_pool_t *p;
    etv_change_id_t id = change_id(OWNER_A, (apr_uint64_t)s->number, GRACE_LONG);

    apr_pool_create_unmanaged_ex(&p, NULL, NULL);
    for (int i = 0; !atomic_load(s->stop); i++) {
        const etv_change_ops_t *changes = s->store->ops->changes;
        etv_snapshot_t snapshot;
        etv_model_t m = model("a", 0);
        int out;

        apr_pool_clear(p);
        s->store->ops->lookup(s->store, p, &m, 1, &snapshot);
        atomic_fetch_add(s->done, changes->announce(s->store, p, &m, 1, &id, i % 2) == APR_SUCCESS);
        changes->bump_if(s->store, p, &m, "digest", 6, &out);
        changes->rescue(s->store, p, &m, &out);
        if (changes->complete(s->store, p, &m, 1, &id) != APR_SUCCESS) {
            usleep(1000);
        }
    }
    apr_pool_destroy(p);
    return NULL;
}

/** The same wherever an exchange just is: no thread hangs, no connection is mistaken for another.
 */
START_TEST(killed_again_and_again)
{
    server_t own;
    settings_t s;
    stormer_t stormer[STORMERS];
    pthread_t thread[STORMERS];
    atomic_int stop = 0, done = 0;
    etv_store_t *store;
    etv_model_t m;

    server_start(&own, "storm", 0, NULL);
    s = settings_unix(own.path);
    store = store_make(&s);
    for (int i = 0; i < STORMERS; i++) {
        stormer[i] = (stormer_t){.store = store, .number = i, .stop = &stop, .done = &done};
        ck_assert_int_eq(pthread_create(&thread[i], NULL, storm, &stormer[i]), 0);
    }
    for (int i = 0; i < 5; i++) {
        int before = atomic_load(&done);

        while (atomic_load(&done) < before + 20) {
            usleep(500);
        }
        server_kill(&own);
        server_start(&own, "storm", 0, NULL);
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < STORMERS; i++) {
        pthread_join(thread[i], NULL);
    }
    ck_assert_int_eq(logged("ETV0109"), 0);
    tell(&own, "FLUSHALL");
    tell(&own, "SET v:a 1");
    while (look(store, "a", 0, &m, NULL) != ETV_LOOKUP_OK) {
        usleep(1000);
    }
    ASSERT_TOKEN(m, "1");
    server_kill(&own);
}
END_TEST

/** Connections that the server closed while they were idle are replaced without a word. */
START_TEST(stale_connections)
{
    etv_store_t *store = store_default();
    etv_change_id_t id = change_id(OWNER_A, 1, GRACE_LONG);
    etv_model_t m;
    int bumped;

    ck_assert_int_eq(announce(store, "a", &id), APR_SUCCESS);
    tell(&server, "CLIENT KILL TYPE normal SKIPME yes");
    ck_assert_int_eq(complete(store, "a", &id), APR_SUCCESS);
    tell(&server, "CLIENT KILL TYPE normal SKIPME yes");
    ck_assert_int_eq(look(store, "a", 0, &m, NULL), ETV_LOOKUP_OK);
    tell(&server, "CLIENT KILL TYPE normal SKIPME yes");
    ck_assert_int_eq(announce_as_read(store, &m, 1, &id), APR_SUCCESS);
    tell(&server, "CLIENT KILL TYPE normal SKIPME yes");
    ck_assert_int_eq(withdraw(store, "a", &id), APR_SUCCESS);
    tell(&server, "CLIENT KILL TYPE normal SKIPME yes");
    m = model("a", 0);
    ck_assert_int_eq(store->ops->changes->bump_if(store, pool, &m, "d", 1, &bumped), APR_SUCCESS);
    ck_assert_int_eq(bumped, 1);
    ck_assert_int_eq(seen.n, 0);
}
END_TEST

START_TEST(replicas_are_not_told)
{
    server_t own;
    settings_t s;
    etv_store_t *store;
    etv_change_id_t id = change_id(OWNER_A, 1, GRACE_LONG);
    etv_model_t m = model("a", 0);
    int bumped;

    server_start(&own, "replica", 0, NULL);
    tell(&own, "CONFIG SET replica-read-only no");
    tell(&own, apr_psprintf(pool, "REPLICAOF 127.0.0.1 %d", free_port()));
    s = settings_unix(own.path);
    store = store_make(&s);
    m.state = ETV_MODEL_ABSENT;
    ck_assert_int_ne(announce(store, "a", &id), APR_SUCCESS);
    ck_assert_int_ne(announce_as_read(store, &m, 1, &id), APR_SUCCESS);
    ck_assert_int_ne(complete(store, "a", &id), APR_SUCCESS);
    ck_assert_int_ne(withdraw(store, "a", &id), APR_SUCCESS);
    ck_assert_int_ne(store->ops->changes->bump_if(store, pool, &m, "d", 1, &bumped), APR_SUCCESS);
    ck_assert_int_ge(logged("ETV0106"), 1);
    server_kill(&own);
}
END_TEST

/* --- replies that Redis would not send --- */

static void serve_replies(fake_t *f, int fd)
{
    if (fake_greet(f, fd)) {
        while (fake_await(f, fd, "ROLE\r\n") && fake_say(fd, f->text, strlen(f->text))) {
        }
    }
}

#define MASTER_REPLY "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"
#define QUEUED       "+QUEUED\r\n"

START_TEST(wrong_replies)
{
    static const char *const row[] = {
        "+OK\r\n" QUEUED QUEUED QUEUED "*3\r\n+OK\r\n+OK\r\n" MASTER_REPLY,
        "+OK\r\n" QUEUED QUEUED QUEUED "*3\r\n:1\r\n:1\r\n" MASTER_REPLY,
        "+OK\r\n" QUEUED QUEUED QUEUED "*2\r\n:1\r\n" MASTER_REPLY,
        "+OK\r\n" QUEUED QUEUED QUEUED "*3\r\n:1\r\n+OK\r\n:1\r\n",
        "+OK\r\n" QUEUED QUEUED QUEUED "*3\r\n:1\r\n+OK\r\n-WRONGTYPE x\r\n",
        "+OK\r\n" QUEUED QUEUED QUEUED "*3\r\n-OOM x\r\n+OK\r\n" MASTER_REPLY,
        "+OK\r\n" QUEUED QUEUED QUEUED "*3\r\n:1\r\n-ERR x\r\n" MASTER_REPLY,
        "+OK\r\n" QUEUED QUEUED QUEUED "$-1\r\n",
        "+OK\r\n" QUEUED QUEUED QUEUED "*-1\r\n",
        "+OK\r\n" QUEUED QUEUED "-OOM x\r\n-EXECABORT x\r\n",
        "-ERR x\r\n-ERR x\r\n-ERR x\r\n-ERR x\r\n-ERR x\r\n",
        "*0\r\n*0\r\n*0\r\n*0\r\n*0\r\n*0\r\n",
        "+OK\r\n*1\r\n$1\r\n1\r\n:0\r\n" MASTER_REPLY,
        "+OK\r\n:0\r\n:0\r\n" MASTER_REPLY,
        "+OK\r\n*2\r\n$1\r\n1\r\n$1\r\n1\r\n:0\r\n" MASTER_REPLY,
        "+OK\r\n*1\r\n*0\r\n+0\r\n" MASTER_REPLY,
    };
    etv_change_id_t id = change_id(OWNER_A, 1, GRACE_LONG);

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        for (int as_read = 0; as_read < 2; as_read++) {
            etv_model_t m = model("a", 0);
            etv_store_t *store;
            settings_t s;
            fake_t f;

            seen.n = 0;
            m.state = ETV_MODEL_FOUND;
            m.token = m.kept.token;
            m.token_len = 1;
            m.kept.token[0] = '2';
            fake_start(&f, serve_replies, row[i], 8);
            s = settings_unix(f.path);
            s.config.command_timeout_us = MS(200);
            store = store_make(&s);
            ck_assert_msg(store->ops->changes->announce(store, pool, &m, 1, &id, as_read) !=
                              APR_SUCCESS,
                          "%d of %zu", as_read, i);
            fake_stop(&f);
        }
    }
}
END_TEST

/* --- a bump that is said twice --- */

/** What the versions of "a" were set to, in the order of connections. */
static struct {
    atomic_int n;
    char token[4][ETV_TOKEN_MOST + 1];
} told;

static void note_token(const char *said)
{
    const char *key = strstr(said, "v:a\r\n$");
    const char *text = key ? strstr(key + 7, "\r\n") : NULL;
    int n = atomic_load(&told.n);

    if (text && n < 4) {
        snprintf(told.token[n], sizeof(told.token[n]), "%.*s", (int)strcspn(text + 2, "\r"),
                 text + 2);
        atomic_store(&told.n, n + 1);
    }
}

/** Read one transaction. @return 0 when the peer left */
static int hear(fake_t *f, int fd)
{
    char all[4096];
    apr_size_t len = 0;

    while (!atomic_load(&f->stop) && len < sizeof(all) - 1) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t n;

        if (poll(&p, 1, 20) <= 0) {
            continue;
        }
        n = recv(fd, all + len, sizeof(all) - 1 - len, 0);
        if (n <= 0) {
            return 0;
        }
        len += (apr_size_t)n;
        all[len] = '\0';
        if (strstr(all, "EXEC\r\n")) {
            note_token(all);
            return 1;
        }
    }
    return 0;
}

/** The first connection ends at the second transaction, which may have been run. */
static void serve_and_leave(fake_t *f, int fd)
{
    int first = atomic_load(&f->served) == 1;

    if (!fake_greet(f, fd)) {
        return;
    }
    for (int i = 0; hear(f, fd) && !(first && i == 1); i++) {
        fake_say(fd, f->text, strlen(f->text));
    }
}

/** The server may have done what the lost connection said, and somebody may have bumped since: the
 *  repetition must not bring the first version back. */
START_TEST(each_attempt_has_its_own_versions)
{
    etv_change_id_t id = change_id(OWNER_A, 1, GRACE_LONG);

    for (int ends = 0; ends < 2; ends++) {
        etv_model_t m = model("a", 0);
        etv_store_t *store;
        settings_t s;
        fake_t f;

        atomic_store(&told.n, 0);
        fake_start(&f, serve_and_leave,
                   ends ? "+OK\r\n" QUEUED QUEUED QUEUED "*3\r\n+OK\r\n:1\r\n" MASTER_REPLY
                        : "+OK\r\n" QUEUED QUEUED "*2\r\n+OK\r\n" MASTER_REPLY,
                   8);
        s = settings_unix(f.path);
        s.config.command_timeout_us = MS(5000);
        store = store_make(&s);
        for (int i = 0; i < 2; i++) {
            ck_assert_int_eq(ends ? store->ops->changes->complete(store, pool, &m, 1, &id)
                                  : store->ops->bump(store, pool, &m, 1),
                             APR_SUCCESS);
        }
        fake_stop(&f);
        ck_assert_int_eq(atomic_load(&told.n), 3);
        for (int i = 0; i < 3; i++) {
            ck_assert_str_ne(told.token[i], "");
            ck_assert_str_ne(told.token[i], told.token[(i + 1) % 3]);
        }
        ASSERT_TOKEN(m, told.token[2]); /* the one that was acknowledged */
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("redis_change_faults");
    TCase *t = tcase_create("faults");

    tcase_add_unchecked_fixture(t, suite_setup, suite_teardown);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_set_that_is_none);
    tcase_add_test(t, refused_rights);
    tcase_add_test(t, killed_in_the_middle);
    tcase_add_test(t, killed_again_and_again);
    tcase_add_test(t, stale_connections);
    tcase_add_test(t, replicas_are_not_told);
    tcase_add_test(t, wrong_replies);
    tcase_add_test(t, each_attempt_has_its_own_versions);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
