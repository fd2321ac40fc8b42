/* SPDX-License-Identifier: Apache-2.0 */
/* The Redis store against peers that are slow, broken, hostile or gone. */
#include "redis_fixture.h"

/* Deadlines of these tests, and a bound that only something that hangs exceeds. */
#define CONNECT_MS 100
#define COMMAND_MS 50
#define HANGS_US   MS(100 * (CONNECT_MS + COMMAND_MS))

/** For what time decides; settings_unix() is for what comes out the same on a machine that has much
 * to do. */
static settings_t settings_quick(const char *path)
{
    settings_t s = settings_unix(path);

    s.config.connect_timeout_us = MS(CONNECT_MS);
    s.config.command_timeout_us = MS(COMMAND_MS);
    return s;
}

/** One lookup; asserts that it did not hang. */
static etv_lookup_e look_in_time(etv_store_t *store)
{
    apr_time_t start = etv_boottime_us();
    etv_model_t m;
    etv_lookup_e result = look(store, "m", 0, &m, NULL);

    ck_assert_int_lt(etv_boottime_us() - start, HANGS_US);
    return result;
}

/* --- what they say --- */

START_TEST(a_right_answer_is_accepted)
{
    unsigned char instance[ETV_INSTANCE_BYTES];
    fake_t f;
    settings_t s;
    etv_model_t m;
    etv_snapshot_t snapshot;

    fake_start(&f, serve_text, FAKE_ANSWER, 8);
    s = settings_unix(f.path);
    ck_assert_int_eq(look(store_make(&s), "m", 0, &m, &snapshot), ETV_LOOKUP_OK);
    ASSERT_TOKEN(m, "7");
    etv_hash_digest(instance, sizeof(instance), "abc\ndef\nepoch", 13);
    ck_assert_mem_eq(snapshot.instance, instance, sizeof(instance));
    fake_stop(&f);
}
END_TEST

#define Q5         FAKE_QUEUED
#define ERR(text)  "-" text "\r\n"
#define ERR5(text) ERR(text) ERR(text) ERR(text) ERR(text) ERR(text) ERR(text)

START_TEST(wrong_answers)
{
    static const struct {
        const char *text;
        const char *log;
    } row[] = {
        {"HTTP/1.1 400 Bad Request\r\n\r\n", "ETV0109"},
        {"+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n*-1\r\n", "ETV0109"},
        {Q5 "*-1\r\n", "ETV0109"},
        {Q5 "*3\r\n:1\r\n:1\r\n:1\r\n", "ETV0109"},
        {Q5 "*5\r\n*1\r\n$1\r\n1\r\n" FAKE_CLOSED FAKE_INFO FAKE_MASTER, "ETV0109"},
        {Q5 "*5\r\n*2\r\n:1\r\n:2\r\n" FAKE_CLOSED FAKE_INFO FAKE_MASTER, "ETV0109"},
        {Q5 "*5\r\n*2\r\n$1\r\ne\r\n$1\r\n7\r\n:0\r\n:1\r\n:2\r\n" FAKE_MASTER, "ETV0109"},
        {Q5 "*5\r\n*2\r\n$1\r\ne\r\n$1\r\n7\r\n" FAKE_CLOSED FAKE_INFO ":1\r\n", "ETV0109"},
        {Q5 "*5\r\n*2\r\n$1\r\ne\r\n$1\r\n7\r\n" FAKE_CLOSED FAKE_INFO "*0\r\n", "ETV0109"},
        {Q5 "*5\r\n*2\r\n$1\r\ne\r\n$1\r\n7\r\n" FAKE_CLOSED FAKE_INFO "*1\r\n$5\r\nslave\r\n",
         "ETV0106"},
        {Q5 "*5\r\n*2\r\n$1\r\ne\r\n$1\r\n7\r\n:0\r\n$1\r\nx\r\n$1\r\nx\r\n" FAKE_MASTER,
         "ETV0121"},
        {Q5 "*5\r\n*2\r\n$1\r\ne\r\n$1\r\n7\r\n+0\r\n" FAKE_INFO FAKE_MASTER, "ETV0109"},
        {Q5 "*5\r\n*2\r\n$1\r\ne\r\n$1\r\n7\r\n" ERR("NOPERM x") FAKE_INFO FAKE_MASTER,
         "may not run EXISTS"},
        {Q5 "*5\r\n*2\r\n$0\r\n\r\n$1\r\n7\r\n" FAKE_CLOSED FAKE_INFO FAKE_MASTER, "ETV0115"},
        {FAKE_ANSWER "+OK\r\n", "ETV0109"},
        {Q5 "*1000000000\r\n", "ETV0109"},
        {Q5 "*4000\r\n*4000\r\n*4000\r\n*4000\r\n*4000\r\n*4000\r\n*4000\r\n*4000\r\n", "ETV01"},
        {Q5 "*5\r\n*4000\r\n*4000\r\n*4000\r\n*4000\r\n*4000\r\n:1\r\n", ""},
        {Q5 "$-7\r\n", "ETV0109"},
        {Q5 "*-7\r\n", "ETV0109"},
        {Q5 "$99999999999999999999\r\n", "ETV01"},
        {Q5 "$500000000\r\nabc", "ETV0107"},
        {",1.5\r\n#t\r\n%1\r\n+a\r\n+b\r\n~1\r\n+a\r\n>1\r\n+a\r\n_\r\n(1\r\n=5\r\ntxt:a\r\n",
         "ETV01"},
        {"#t\r\n#t\r\n#t\r\n#t\r\n#t\r\n#t\r\n#t\r\n#t\r\n", "ETV01"},
        {"\0\0\0\0", "ETV01"},
        {ERR5("LOADING Redis is loading") ERR("ERR EXEC without MULTI"), "(LOADING)"},
        {"+OK\r\n" ERR5("LOADING x") ERR("EXECABORT x"), "ETV01"},
        {ERR5("NOAUTH Authentication required.") ERR("NOAUTH x"), "(NOAUTH)"},
        {ERR5("BUSY script") ERR("BUSY script"), "(BUSY)"},
        {"+OK\r\n" ERR("MASTERDOWN x") "+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n" ERR(
             "EXECABORT x"),
         "a replica (MASTERDOWN)"},
        {"+OK\r\n" ERR("READONLY x") "+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n" ERR(
             "EXECABORT x"),
         "a replica (READONLY)"},
        {"+OK\r\n" ERR("MOVED 1 127.0.0.1:1") "+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n" ERR(
             "EXECABORT x"),
         "ETV0126"},
        {"+OK\r\n+QUEUED\r\n+QUEUED\r\n" ERR("NOPERM x") "+QUEUED\r\n+QUEUED\r\n" ERR(
             "EXECABORT x"),
         "may not run INFO"},
        {"+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n" ERR("NOPERM x") ERR("EXECABORT x"),
         "may not run ROLE"},
        {Q5 ERR("EXECABORT Transaction discarded because of: NOPERM x"), "may not run EXEC"},
        {Q5 "*5\r\n" ERR("WRONGTYPE x") FAKE_CLOSED FAKE_INFO FAKE_MASTER,
         "MGET with an error (WRONGTYPE)"},
        {ERR5("what's this, 'S3cret'?") ERR("x"), "(ERR)"},
    };

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        settings_t s;
        fake_t f;
        etv_store_t *store;

        seen.n = 0;
        fake_start(&f, serve_text, row[i].text, 8);
        s = settings_unix(f.path);
        store = store_make(&s);
        for (int k = 0; k < 2; k++) {
            ck_assert_msg(look_in_time(store) == ETV_LOOKUP_UNAVAILABLE, "row %d", (int)i);
        }
        ck_assert_msg(logged(row[i].log) >= 1, "row %d: no %s, but %s", (int)i, row[i].log,
                      seen.line[0]);
        ck_assert_int_eq(logged("S3cret"), 0);
        fake_stop(&f);
    }
}
END_TEST

/** The last byte of a hostile reply is where parsers fail: cut a good one everywhere. */
START_TEST(closed_in_the_middle)
{
    char text[] = FAKE_ANSWER;
    apr_size_t len = strlen(text);

    for (apr_size_t cut = 0; cut < len; cut += 7) {
        settings_t s;
        fake_t f;
        char saved = text[cut];

        void serve_once(fake_t *, int);

        text[cut] = '\0';
        fake_start(&f, serve_once, text, 8);
        s = settings_unix(f.path);
        ck_assert_int_eq(look_in_time(store_make(&s)), ETV_LOOKUP_UNAVAILABLE);
        fake_stop(&f);
        text[cut] = saved;
    }
    ck_assert_int_gt(logged("ETV0108"), 0);
}
END_TEST

/* --- how they say it --- */

static void serve_drip(fake_t *f, int fd)
{
    if (fake_greet(f, fd) && fake_await(f, fd, "EXEC\r\n")) {
        for (const char *c = FAKE_ANSWER; *c && fake_say(fd, c, 1); c++) {
            usleep(5000);
        }
    }
}

static void serve_drip_at_once(fake_t *f, int fd)
{
    while (!atomic_load(&f->stop) && fake_say(fd, "+", 1)) {
        usleep(5000);
        if (!fake_say(fd, "O", 1)) {
            break;
        }
    }
}

static void serve_silence(fake_t *f, int fd)
{
    fake_await(f, fd, "never");
}

static void serve_greeting_only(fake_t *f, int fd)
{
    if (fake_greet(f, fd)) {
        fake_await(f, fd, "never");
    }
}

static void serve_nothing(fake_t *f, int fd)
{
    (void)f;
    (void)fd;
}

static void serve_stream(fake_t *f, int fd)
{
    static char block[65536];

    memset(block, 'x', sizeof(block));
    if (fake_greet(f, fd) && fake_await(f, fd, "EXEC\r\n") &&
        fake_say(fd, f->text, strlen(f->text))) {
        while (!atomic_load(&f->stop) && fake_say(fd, block, sizeof(block))) {
        }
    }
}

START_TEST(slow_and_silent)
{
    static const struct {
        serve_fn *serve;
        const char *text;
        const char *log;
    } row[] = {
        {serve_drip, NULL, "ETV0107"},     {serve_drip_at_once, NULL, "ETV0107"},
        {serve_silence, NULL, "ETV0107"},  {serve_greeting_only, NULL, "ETV0107"},
        {serve_nothing, NULL, "ETV0108"},  {serve_stream, Q5 "$500000000\r\n", "ETV0110"},
        {serve_stream, Q5 "+", "ETV0110"}, {serve_stream, Q5, "ETV0109"},
    };

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        settings_t s;
        fake_t f;
        etv_store_t *store;

        seen.n = 0;
        fake_start(&f, row[i].serve, row[i].text, 8);
        s = strcmp(row[i].log, "ETV0107") ? settings_unix(f.path) : settings_quick(f.path);
        store = store_make(&s);
        ck_assert_int_eq(look_in_time(store), ETV_LOOKUP_UNAVAILABLE);
        ck_assert_msg(logged(row[i].log) >= 1, "row %d: %s", (int)i, seen.line[0]);
        fake_stop(&f);
    }
}
END_TEST

START_TEST(nobody_accepts_unix)
{
    settings_t s;
    fake_t f;
    etv_store_t *store;

    fake_start(&f, NULL, NULL, 0);
    s = settings_quick(f.path);
    store = store_make(&s);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(look_in_time(store), ETV_LOOKUP_UNAVAILABLE);
    }
    ck_assert_int_ge(logged("ETV0107") + logged("ETV0101"), 2); /* in the backlog, and before it */
    ck_assert_int_eq(logged("ETV0117"), 1);
    fake_stop(&f);
}
END_TEST

START_TEST(nobody_accepts_tcp)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    settings_t s;
    etv_store_t *store;

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    ck_assert_int_eq(listen(fd, 0), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    s = settings_tcp("127.0.0.1", ntohs(a.sin_port));
    s.config.connect_timeout_us = MS(CONNECT_MS);
    s.config.command_timeout_us = MS(COMMAND_MS);
    store = store_make(&s);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(look_in_time(store), ETV_LOOKUP_UNAVAILABLE);
    }
    ck_assert_int_eq(logged("ETV0117"), 1);
    close(fd);
    store = store_make(&s); /* and now nobody listens */
    ck_assert_int_eq(look_in_time(store), ETV_LOOKUP_UNAVAILABLE);
    ck_assert_int_eq(logged("ETV0101"), 2);
}
END_TEST

/* --- idle connections --- */

/** Answers one transaction per connection, then closes. */
void serve_once(fake_t *f, int fd);
void serve_once(fake_t *f, int fd)
{
    if (fake_greet(f, fd) && fake_await(f, fd, "EXEC\r\n")) {
        fake_say(fd, f->text, strlen(f->text));
    }
}

START_TEST(closed_while_idle_is_not_noticed)
{
    settings_t s;
    fake_t f;
    etv_store_t *store;

    signal(SIGPIPE, SIG_DFL); /* writing into a closed socket must not kill */
    fake_start(&f, serve_once, FAKE_ANSWER, 8);
    s = settings_unix(f.path);
    store = store_make(&s);
    for (int i = 0; i < 20; i++) {
        etv_model_t m;

        ck_assert_int_eq(look(store, "m", 0, &m, NULL), ETV_LOOKUP_OK);
        usleep(1000);
    }
    ck_assert_int_eq(seen.n, 0);
    ck_assert_int_eq(atomic_load(&f.served), 20);
    fake_stop(&f);
}
END_TEST

static void serve_first_only(fake_t *f, int fd)
{
    if (atomic_load(&f->served) == 1) {
        serve_once(f, fd);
    }
}

START_TEST(tried_again_exactly_once)
{
    settings_t s;
    fake_t f;
    etv_store_t *store;
    etv_model_t m;

    fake_start(&f, serve_first_only, FAKE_ANSWER, 8);
    s = settings_unix(f.path);
    store = store_make(&s);
    ck_assert_int_eq(look(store, "m", 0, &m, NULL), ETV_LOOKUP_OK);
    usleep(1000);
    ck_assert_int_eq(look(store, "m", 0, &m, NULL), ETV_LOOKUP_UNAVAILABLE);
    ck_assert_int_eq(atomic_load(&f.served), 2);
    fake_stop(&f);
}
END_TEST

/** What arrives while a connection is idle must not answer the next request. */
static void serve_stray(fake_t *f, int fd)
{
    while (fake_greet(f, fd) && fake_await(f, fd, "EXEC\r\n") &&
           fake_say(fd, FAKE_ANSWER, strlen(FAKE_ANSWER))) {
        usleep(20000);
        fake_say(fd, FAKE_ANSWER, strlen(FAKE_ANSWER));
        fake_await(f, fd, "never");
    }
}

START_TEST(stray_replies_are_not_used)
{
    settings_t s;
    fake_t f;
    etv_store_t *store;
    etv_model_t m;

    fake_start(&f, serve_stray, NULL, 8);
    s = settings_quick(f.path);
    store = store_make(&s);
    ck_assert_int_eq(look(store, "m", 0, &m, NULL), ETV_LOOKUP_OK);
    usleep(100000);
    /* The young connection expects no INFO: the shape gives the stray reply away. */
    ck_assert_int_eq(look(store, "m", 0, &m, NULL), ETV_LOOKUP_UNAVAILABLE);
    ck_assert_int_eq(logged("ETV0109"), 1);
    fake_stop(&f);
}
END_TEST

/* --- the breaker --- */

START_TEST(open_breaker_asks_nobody)
{
    settings_t s;
    fake_t f;
    etv_store_t *store;
    int served;

    fake_start(&f, serve_nothing, NULL, 64);
    s = settings_quick(f.path);
    store = store_make(&s);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(look_in_time(store), ETV_LOOKUP_UNAVAILABLE);
    }
    ck_assert_int_eq(logged("ETV0117"), 1);
    served = atomic_load(&f.served);
    ck_assert_int_eq(served, 3);
    for (int i = 0; i < 1000; i++) {
        etv_model_t m = model("m", 0);

        ck_assert_int_eq(look(store, "m", 0, &m, NULL), ETV_LOOKUP_UNAVAILABLE);
        ck_assert_int_eq(store->ops->bump(store, pool, &m, 1), APR_EAGAIN);
    }
    ck_assert_int_le(atomic_load(&f.served) - served, 2); /* a slow machine gets to probe */
    ck_assert_int_le(logged("ETV0108"), 1);
    fake_stop(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("redis_peer");
    TCase *tc = tcase_create("redis_peer");

    suite_add_tcase(suite, tc);
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, pool_setup, pool_teardown);
    tcase_add_test(tc, a_right_answer_is_accepted);
    tcase_add_test(tc, wrong_answers);
    tcase_add_test(tc, closed_in_the_middle);
    tcase_add_test(tc, slow_and_silent);
    tcase_add_test(tc, nobody_accepts_unix);
    tcase_add_test(tc, nobody_accepts_tcp);
    tcase_add_test(tc, closed_while_idle_is_not_noticed);
    tcase_add_test(tc, tried_again_exactly_once);
    tcase_add_test(tc, stray_replies_are_not_used);
    tcase_add_test(tc, open_breaker_asks_nobody);
    return run_suite(suite);
}
