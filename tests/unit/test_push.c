/* SPDX-License-Identifier: Apache-2.0 */
/* What a server, or what pretends to be one, may push: keys are invalidated, everything that could
 * mean that something was missed is told, and nothing else gets through. */
#include "leased_fixture.h"

#include "store/push.h"

#define HELLO_INFO    "$22\r\n# Server\r\nrun_id:abc\r\n\r\n"
#define HELLO         HELLO_INFO ":7\r\n"
#define TRACKS        "+OK\r\n"
#define CHANNEL       "$20\r\n__redis__:invalidate\r\n"
#define SUBSCRIBED    "*3\r\n$9\r\nsubscribe\r\n" CHANNEL ":1\r\n"
#define PONG          "*2\r\n$4\r\npong\r\n$0\r\n\r\n"
#define MESSAGE(what) "*3\r\n$7\r\nmessage\r\n" CHANNEL what
#define KEY(len, key) MESSAGE("*1\r\n$" #len "\r\n" key "\r\n")

/** What the fake says after its greeting. */
static struct {
    const char *hello, *tracks, *pushes;
} script;

static void serve_pushes(fake_t *f, int fd)
{
    if (fake_greet(f, fd) && fake_await(f, fd, "\r\nID\r\n") &&
        fake_say(fd, script.hello, strlen(script.hello)) && fake_await(f, fd, "\r\nv:\r\n") &&
        fake_say(fd, script.tracks, strlen(script.tracks)) &&
        fake_await(f, fd, ":invalidate\r\n") &&
        fake_say(fd, script.pushes, strlen(script.pushes))) {
        fake_await(f, fd, "never");
    }
}

/** A push connection, and what its owner has. */
typedef struct {
    fake_t fake;
    settings_t s;
    etv_redis_t *r;
    etv_redis_conn_t *like;
    etv_push_t push;
    etv_push_open_e opened;
} peer_t;

static void peer_open(peer_t *x)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    fake_start(&x->fake, serve_pushes, NULL, 8);
    x->s = settings_unix(x->fake.path);
    x->r = (etv_redis_t *)store_make(&x->s); /* without a thread of its own */
    x->s.config.mirror = x->r->config.mirror = etv_make_mirror(64);
    x->s.config.channel = x->r->config.channel = etv_make_channel(x->s.config.mirror);
    x->like = etv_redis_conn_make();
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", x->fake.path);
    memcpy(&x->like->peer.addr, &a, sizeof(a));
    x->like->peer.len = sizeof(a);
    memcpy(x->like->identity, "abc\n", 4);
    x->like->run_id_len = x->like->identity_len = 4;
    etv_push_init(&x->push, x->r);
    ck_assert_int_eq(etv_push_fd(&x->push), -1);
    x->opened = etv_push_open(&x->push, x->like, NULL);
}

static void peer_close(peer_t *x)
{
    etv_push_close(&x->push);
    ck_assert_int_eq(etv_push_fd(&x->push), -1);
    etv_redis_conn_free(x->like);
    fake_stop(&x->fake);
}

static void wait_ready(const etv_push_t *push)
{
    struct pollfd p = {.fd = etv_push_fd(push), .events = etv_push_events(push)};

    ck_assert_int_eq(poll(&p, 1, 30000), 1);
}

/** Until the answer to a PING has come, or something else than keys. */
static etv_push_read_e read_all(etv_push_t *push)
{
    etv_push_read_e heard = ETV_PUSH_HEARD;

    etv_push_ping(push);
    while (heard == ETV_PUSH_HEARD && etv_push_awaits_pong(push)) {
        wait_ready(push);
        heard = etv_push_read(push);
    }
    return heard;
}

START_TEST(what_is_pushed)
{
    static const struct {
        const char *pushes;
        etv_push_read_e heard;
        int hit; /* generations of a, b, that have grown: bits 0, 1 */
        const char *log;
    } row[] = {
        {SUBSCRIBED PONG, ETV_PUSH_HEARD, 0, NULL},
        {SUBSCRIBED KEY(3, "v:a") PONG, ETV_PUSH_HEARD, 1, NULL},
        {SUBSCRIBED KEY(3, "v:a") KEY(3, "v:b") PONG, ETV_PUSH_HEARD, 3, NULL},
        {SUBSCRIBED MESSAGE("*3\r\n$3\r\nw:a\r\n$-1\r\n$3\r\nv:b\r\n") PONG, ETV_PUSH_HEARD, 2,
         NULL},
        {SUBSCRIBED MESSAGE("*2\r\n*1\r\n$3\r\nv:a\r\n:1\r\n") PONG, ETV_PUSH_HEARD, 0, NULL},
        {SUBSCRIBED MESSAGE("*0\r\n") PONG, ETV_PUSH_HEARD, 0, NULL},
        {SUBSCRIBED MESSAGE("$3\r\nv:a\r\n") PONG, ETV_PUSH_HEARD, 0, NULL}, /* of PUBLISH */
        {SUBSCRIBED KEY(2, "v:") KEY(1, "v") KEY(0, "") PONG, ETV_PUSH_HEARD, 0, NULL},
        {SUBSCRIBED KEY(3, "V:a") KEY(4, "vv:a") KEY(4, "v:aa") PONG, ETV_PUSH_HEARD, 0, NULL},
        {SUBSCRIBED KEY(7, "v:%abcd") PONG, ETV_PUSH_HEARD, 0, NULL},
        {SUBSCRIBED KEY(8, "v:%epoch") PONG, ETV_PUSH_FLUSHED, 0, NULL},
        {SUBSCRIBED KEY(9, "v:%secret") PONG, ETV_PUSH_FLUSHED, 0, NULL},
        {SUBSCRIBED MESSAGE("*-1\r\n") PONG, ETV_PUSH_FLUSHED, 0, NULL},
        {SUBSCRIBED MESSAGE("$-1\r\n") KEY(3, "v:a") PONG, ETV_PUSH_FLUSHED, 1, NULL},
        {KEY(3, "v:a") SUBSCRIBED PONG, ETV_PUSH_LOST, 0, "ETV0109"},
        {PONG, ETV_PUSH_LOST, 0, "ETV0109"},
        {SUBSCRIBED "+PONG\r\n", ETV_PUSH_LOST, 0, "ETV0109"},
        {SUBSCRIBED PONG PONG, ETV_PUSH_LOST, 0, "ETV0109"},
        {SUBSCRIBED KEY(3, "v:a") "*0\r\n", ETV_PUSH_LOST, 1, "ETV0109"},
        {SUBSCRIBED "*1\r\n:1\r\n", ETV_PUSH_LOST, 0, "ETV0109"},
        {SUBSCRIBED "*4\r\n$7\r\nmessage\r\n:1\r\n:1\r\n:1\r\n", ETV_PUSH_LOST, 0, "ETV0109"},
        {SUBSCRIBED "HTTP/1.1 400 Bad Request\r\n\r\n", ETV_PUSH_LOST, 0, "ETV0109"},
        {SUBSCRIBED "*2000000000\r\n", ETV_PUSH_LOST, 0, "ETV01"},
        {SUBSCRIBED "$-7\r\n", ETV_PUSH_LOST, 0, "ETV0109"},
        {SUBSCRIBED MESSAGE("*9999999\r\n"), ETV_PUSH_LOST, 0, "ETV0135"},
        {SUBSCRIBED "*3\r\n$7\r\nmessage\r\n$3\r\nany\r\n*-1\r\n" PONG, ETV_PUSH_LOST, 0,
         "ETV0109"},
        {"-LOADING S3cret\r\n", ETV_PUSH_LOST, 0, "ETV0111"},
        {SUBSCRIBED "-NOPERM S3cret\r\n", ETV_PUSH_DENIED, 0, "may not run PING"},
        {"-NOPERM S3cret\r\n", ETV_PUSH_DENIED, 0, "may not run SUBSCRIBE"},
        {"-ERR S3cret\r\n", ETV_PUSH_DENIED, 0, "does not know SUBSCRIBE"},
        {"-NOPERM S3cret\r\n" PONG, ETV_PUSH_DENIED, 0, "ETV0132"},
    };

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        peer_t x;
        etv_push_read_e heard;

        seen.n = 0;
        script.hello = HELLO;
        script.tracks = TRACKS;
        script.pushes = row[i].pushes;
        peer_open(&x);
        ck_assert_int_eq(x.opened, ETV_PUSH_OPEN);
        heard = read_all(&x.push);
        ck_assert_msg(heard == row[i].heard, "row %d: %d", (int)i, (int)heard);
        for (int k = 0; k < 2; k++) {
            apr_uint64_t hit =
                etv_mirror_generation(x.s.config.mirror, key_of(&x.s, k ? "b" : "a"));

            ck_assert_msg(hit == (unsigned)(row[i].hit >> k & 1), "row %d: key %d", (int)i, k);
        }
        ck_assert_msg(row[i].log ? logged(row[i].log) == 1 : seen.n == 0, "row %d: %s", (int)i,
                      seen.line[0]);
        ck_assert_int_eq(logged("S3cret"), 0);
        peer_close(&x);
    }
}
END_TEST

/** The last byte of a message is where parsers fail: whatever is cut, the end is noticed. */
START_TEST(cut_anywhere)
{
    static char text[] = SUBSCRIBED KEY(3, "v:a") MESSAGE("*-1\r\n") PONG;

    for (size_t cut = 0; cut < strlen(text); cut += 5) {
        static char part[sizeof(text) + 1];
        peer_t x;
        etv_push_read_e heard;

        snprintf(part, sizeof(part), "%.*s", (int)cut, text);
        script.hello = HELLO;
        script.tracks = TRACKS;
        script.pushes = part;
        peer_open(&x);
        ck_assert_int_eq(x.opened, ETV_PUSH_OPEN);
        etv_push_ping(&x.push);
        shutdown(etv_push_fd(&x.push), SHUT_WR); /* so that the fake leaves */
        do {
            wait_ready(&x.push);
            heard = etv_push_read(&x.push);
        } while (heard == ETV_PUSH_HEARD || heard == ETV_PUSH_FLUSHED);
        ck_assert_int_eq(heard, ETV_PUSH_LOST);
        ck_assert_int_ge(logged("ETV0108"), 1);
        peer_close(&x);
    }
}
END_TEST

/** A message of so many keys. @return it; the caller frees it */
static char *many_keys(int n)
{
    char *text = malloc((size_t)n * 24 + 256);
    size_t len = (size_t)sprintf(text, SUBSCRIBED "*3\r\n$7\r\nmessage\r\n" CHANNEL "*%d\r\n", n);

    for (int i = 0; i < n; i++) {
        len += (size_t)sprintf(text + len, "$9\r\nv:%07d\r\n", i);
    }
    memcpy(text + len, PONG, sizeof(PONG));
    return text;
}

START_TEST(many_keys_in_one_message)
{
    static const struct {
        int n;
        etv_push_read_e heard;
    } row[] = {{200000, ETV_PUSH_HEARD}, {1500000, ETV_PUSH_LOST}};

    for (size_t i = 0; i < 2; i++) {
        char *text = many_keys(row[i].n);
        peer_t x;

        script.hello = HELLO;
        script.tracks = TRACKS;
        script.pushes = text;
        peer_open(&x);
        ck_assert_int_eq(x.opened, ETV_PUSH_OPEN);
        ck_assert_int_eq(read_all(&x.push), row[i].heard);
        if (row[i].heard == ETV_PUSH_HEARD) {
            for (int k = 0; k < row[i].n; k += 997) {
                char name[16];

                snprintf(name, sizeof(name), "%07d", k);
                ck_assert_uint_gt(etv_mirror_generation(x.s.config.mirror, key_of(&x.s, name)), 0);
            }
        }
        peer_close(&x);
        free(text);
    }
}
END_TEST

START_TEST(what_is_no_beginning)
{
    static const struct {
        const char *hello, *tracks;
        etv_push_open_e opened;
        const char *log;
    } row[] = {
        {HELLO, TRACKS, ETV_PUSH_OPEN, NULL},
        {HELLO_INFO "-NOPERM S3cret\r\n", "", ETV_PUSH_REFUSED, "may not run CLIENT ID"},
        {HELLO_INFO "-ERR S3cret\r\n", "", ETV_PUSH_REFUSED, "does not know CLIENT ID"},
        {HELLO_INFO "-LOADING S3cret\r\n", "", ETV_PUSH_FAILED, "ETV0111"},
        {HELLO_INFO "+OK\r\n", "", ETV_PUSH_FAILED, "ETV0109"},
        {HELLO_INFO "$-1\r\n", "", ETV_PUSH_FAILED, "ETV0109"},
        {"$23\r\n# Server\r\nrun_id:abcd\r\n\r\n:7\r\n", "", ETV_PUSH_FAILED, "ETV0134"},
        {"$21\r\n# Server\r\nrun_id:ab\r\n\r\n:7\r\n", "", ETV_PUSH_FAILED, "ETV0134"},
        {"$-1\r\n:7\r\n", "", ETV_PUSH_FAILED, "ETV0134"},
        {"-ERR S3cret\r\n:7\r\n", "", ETV_PUSH_REFUSED, "does not know INFO"},
        {"what?\r\n:7\r\n", "", ETV_PUSH_FAILED, "ETV0109"},
        {HELLO ":8\r\n", "", ETV_PUSH_FAILED, "ETV0109"},
        {HELLO, "-NOPERM S3cret\r\n", ETV_PUSH_REFUSED, "may not run CLIENT TRACKING"},
        {HELLO, "-ERR S3cret\r\n", ETV_PUSH_REFUSED, "does not know CLIENT TRACKING"},
        {HELLO, "+QUEUED\r\n", ETV_PUSH_FAILED, "ETV0109"},
        {HELLO, ":1\r\n", ETV_PUSH_FAILED, "ETV0109"},
        {HELLO, "*1\r\n+OK\r\n", ETV_PUSH_FAILED, "ETV0109"},
    };

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        peer_t x;

        seen.n = 0;
        script.hello = row[i].hello;
        script.tracks = row[i].tracks;
        script.pushes = "";
        peer_open(&x);
        ck_assert_msg(x.opened == row[i].opened, "row %d: %d", (int)i, (int)x.opened);
        ck_assert_msg(row[i].log ? logged(row[i].log) == 1 : seen.n == 0, "row %d: %s", (int)i,
                      seen.line[0]);
        ck_assert_int_eq(logged("S3cret"), 0);
        ck_assert_int_eq(etv_push_fd(&x.push) >= 0, row[i].opened == ETV_PUSH_OPEN);
        peer_close(&x);
    }
}
END_TEST

/* --- real servers --- */

/** As under `strict`: right answers, no lease, and no storm of attempts. */
static void assert_not_pushed(server_t *s, settings_t *settings, int level)
{
    etv_store_t *store = store_make(settings);
    redisReply *reply;
    etv_model_t m;
    int n = 0;

    while (!logged("ETV0132")) {
        usleep(1000);
    }
    for (int i = 0; i < 100; i++) {
        set_bytes(s, "v:a", (apr_size_t)i % 9 + 1);
        ck_assert_int_eq(look(store, "a", 0, &m, NULL), ETV_LOOKUP_OK);
        ck_assert_uint_eq(m.token_len, (apr_size_t)i % 9 + 1);
        ck_assert_int_eq(in_use(settings), 0);
    }
    usleep(300000); /* a retry would come within it, but for the long wait */
    for (int i = 0; i < seen.n; i++) {
        n += strstr(seen.line[i], "ETV0132") && (int)seen.level[i] == level;
    }
    ck_assert_int_eq(n, 1);
    reply = ask(s, "INFO stats");
    ck_assert_int_le(atoi(strstr(reply->str, "total_connections_received:") + 27), 8);
    freeReplyObject(reply);
    apr_pool_clear(pool);
}

START_TEST(a_server_that_cannot_push)
{
    static const char *const args[] = {"--rename-command", "CLIENT", "CLIENT-OF-OLD", NULL};
    static server_t own;
    settings_t s;

    server_start(&own, "old", 0, args);
    s = settings_leased(own.path, etv_make_mirror(64), 200);
    assert_not_pushed(&own, &s, ETV_LOG_WARNING);
    server_kill(&own);
}
END_TEST

START_TEST(a_user_who_may_not_listen)
{
    static const char *const rights[] = {
        "+multi +exec +mget +exists +set +role +info",
        "+multi +exec +mget +exists +set +role +info +client|id",
        "+multi +exec +mget +exists +set +role +info +client|id +client|tracking",
        ("resetchannels +multi +exec +mget +exists +set +role +info +client|id +client|tracking "
         "+subscribe")};

    for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
        static server_t own;
        char command[256];
        settings_t s;

        seen.n = 0;
        server_start(&own, "acl", 0, NULL);
        s = settings_leased(own.path, etv_make_mirror(64), 200);
        s.url.user = "u";
        s.url.password = "p";
        snprintf(command, sizeof(command), "ACL SETUSER u on >p ~v:* %s", rights[i]);
        tell(&own, command);
        assert_not_pushed(&own, &s, ETV_LOG_ERR);
        server_kill(&own);
    }
}
END_TEST

START_TEST(a_user_who_may_do_just_enough)
{
    static server_t own;
    settings_t s;
    etv_store_t *store;
    etv_model_t m;

    server_start(&own, "acl", 0, NULL);
    tell(&own, "ACL SETUSER u on >p ~v:* resetchannels &__redis__:invalidate +client|id "
               "+client|tracking +subscribe +ping +multi +exec +mget +exists +set +role +info");
    s = settings_leased(own.path, etv_make_mirror(64), 60000);
    s.url.user = "u";
    s.url.password = "p";
    store = store_in_use(&s);
    for (int i = 0; i < 20; i++) {
        set_bytes(&own, "v:a", (apr_size_t)i + 1);
        do {
            ck_assert_int_eq(look(store, "a", 0, &m, NULL), ETV_LOOKUP_OK);
        } while (m.state != ETV_MODEL_FOUND || m.token_len != (apr_size_t)i + 1);
    }
    ck_assert_int_eq(logged("ETV0132"), 0);
    apr_pool_clear(pool);
    server_kill(&own);
}
END_TEST

START_TEST(keys_of_any_bytes)
{
    static const char key[] = "v:\0\r\n$5\xff *%", name[] = "\0\r\n$5\xff *%";
    static server_t own;
    settings_t s;
    etv_store_t *store;

    server_start(&own, "bytes", 0, NULL);
    s = settings_leased(own.path, etv_make_mirror(64), 60000);
    store = store_in_use(&s);
    for (int i = 0; i < 50; i++) {
        char value = (char)('0' + i);
        redisReply *reply =
            redisCommand(own.admin, "SET %b %b", key, sizeof(key) - 1, &value, (size_t)1);
        etv_model_t m;

        freeReplyObject(reply);
        do {
            etv_snapshot_t snapshot;

            m = model("", 0);
            m.name = name;
            m.name_len = sizeof(name) - 1;
            m.hash = etv_hash_name(m.name, m.name_len);
            ck_assert_int_eq(store->ops->lookup(store, pool, &m, 1, &snapshot), ETV_LOOKUP_OK);
        } while (m.state != ETV_MODEL_FOUND || m.token[0] != (unsigned char)value);
    }
    apr_pool_clear(pool);
    server_kill(&own);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("push");
    TCase *tc = tcase_create("push");

    suite_add_tcase(suite, tc);
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, pool_setup, pool_teardown);
    tcase_add_test(tc, what_is_pushed);
    tcase_add_test(tc, cut_anywhere);
    tcase_add_test(tc, many_keys_in_one_message);
    tcase_add_test(tc, what_is_no_beginning);
    tcase_add_test(tc, a_server_that_cannot_push);
    tcase_add_test(tc, a_user_who_may_not_listen);
    tcase_add_test(tc, a_user_who_may_do_just_enough);
    tcase_add_test(tc, keys_of_any_bytes);
    return run_suite(suite);
}
