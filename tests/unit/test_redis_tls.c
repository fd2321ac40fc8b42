/* SPDX-License-Identifier: Apache-2.0 */
/* Redis over TLS: who is believed, what is said about those who are not, and deadlines. */
#include "redis_fixture.h"

#ifdef ETV_HAS_TLS

#include "tls_fixture.h"

/** A lookup fails, and says this and nothing else. */
static void fails_with(settings_t *s, const char *text)
{
    etv_store_t *store = store_make(s);
    etv_model_t m;

    ck_assert_int_eq(look(store, "a", 1, &m, NULL), ETV_LOOKUP_UNAVAILABLE);
    ck_assert_msg(logged("ETV0125") == 1 && seen.n == 1 && logged(text) == 1, "%d lines, first: %s",
                  seen.n, seen.line[0]);
    ck_assert_uint_eq(ERR_peek_error(), 0);
}

static void server_fails_with(const char *cert, const char *host, const char *clients,
                              const char *client, const char *text)
{
    tls_server_t t;
    settings_t s;

    tls_server_start(&t, cert, clients, "TLSv1.2 TLSv1.3");
    s = settings_tls(host, t.port, client);
    fails_with(&s, text);
    server_kill(&t.server);
}

/* --- all is well --- */

START_TEST(test_lookup_and_bump)
{
    settings_t s = settings_tls(_i ? "127.0.0.1" : "localhost", good.port, NULL);
    etv_store_t *store = store_make(&s);
    etv_model_t m;

    tell(&good.server, "SET v:a 7");
    ck_assert_int_eq(look(store, "a", 0, &m, NULL), ETV_LOOKUP_OK);
    ASSERT_TOKEN(m, "7");
    m = model("a", 0);
    ck_assert_int_eq(store->ops->bump(store, pool, &m, 1), APR_SUCCESS);
    ck_assert_int_eq(look(store, "a", 0, &m, NULL), ETV_LOOKUP_OK);
    ck_assert_uint_gt(m.token_len, 10);
    ck_assert_int_eq(seen.n, 0);
    ck_assert_uint_eq(ERR_peek_error(), 0);
}
END_TEST

/** Replies of several records, and records of several reads. */
START_TEST(test_large_replies)
{
    settings_t s = settings_tls("localhost", good.port, NULL);
    etv_store_t *store = store_make(&s);
    etv_model_t models[32];
    etv_snapshot_t snapshot;
    char names[32][8];
    char key[16];

    for (int i = 0; i < 32; i++) {
        snprintf(names[i], sizeof(names[i]), "m%d", i);
        snprintf(key, sizeof(key), "v:m%d", i);
        set_bytes(&good.server, key, i % 2 ? 512 : 40000);
    }
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 32; i++) {
            models[i] = model(names[i], 0);
        }
        ck_assert_int_eq(store->ops->lookup(store, pool, models, 32, &snapshot), ETV_LOOKUP_OK);
        for (int i = 0; i < 32; i++) {
            ck_assert_int_eq(models[i].state, i % 2 ? ETV_MODEL_FOUND : ETV_MODEL_UNUSABLE);
        }
    }
    ck_assert_int_eq(seen.n, 0);
}
END_TEST

static void *look_often(void *store)
{
    for (int i = 0; i < 200; i++) {
        etv_snapshot_t snapshot;
        etv_model_t m = model("a", 0);
        etv_store_t *s = store;

        if (s->ops->lookup(s, NULL, &m, 1, &snapshot) != ETV_LOOKUP_OK ||
            m.state != ETV_MODEL_FOUND) {
            return store;
        }
    }
    return NULL;
}

START_TEST(test_threads)
{
    settings_t s = settings_tls("localhost", good.port, NULL);
    etv_store_t *store = store_make(&s);
    pthread_t threads[6];

    tell(&good.server, "SET v:a 7");
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, look_often, store), 0);
    }
    for (int i = 0; i < 6; i++) {
        void *failed;

        pthread_join(threads[i], &failed);
        ck_assert_ptr_null(failed);
    }
    ck_assert_int_eq(seen.n, 0);
}
END_TEST

/** Connections that died while idle cost one more, and no signal. */
START_TEST(test_restart)
{
    tls_server_t t;
    settings_t s;
    etv_store_t *store;
    etv_model_t m;

    tls_server_start(&t, "good", "no", "TLSv1.3");
    s = settings_tls("localhost", t.port, NULL);
    store = store_make(&s);
    ck_assert_int_eq(look(store, "a", 1, &m, NULL), ETV_LOOKUP_OK);
    server_kill(&t.server);
    ck_assert_int_eq(server_start_once(&t.server), 1);
    ck_assert_int_eq(look(store, "a", 1, &m, NULL), ETV_LOOKUP_OK);
    server_kill(&t.server);
    ck_assert_int_eq(look(store, "a", 1, &m, NULL), ETV_LOOKUP_UNAVAILABLE);
    ck_assert_int_eq(logged("ETV0101"), 1);
}
END_TEST

START_TEST(test_client_certificate)
{
    tls_server_t t;
    settings_t s;
    etv_model_t m;

    tls_server_start(&t, "good", "yes", _i ? "TLSv1.2" : "TLSv1.3");
    s = settings_tls("localhost", t.port, "client");
    ck_assert_int_eq(look(store_make(&s), "a", 1, &m, NULL), ETV_LOOKUP_OK);
    ck_assert_int_eq(seen.n, 0);
    s = settings_tls("localhost", t.port, NULL);
    ck_assert_int_eq(look(store_make(&s), "a", 1, &m, NULL), ETV_LOOKUP_UNAVAILABLE);
    ck_assert_msg(logged("ETV0125") == 1 && logged("client certificate") == 1, "%s", seen.line[0]);
    s = settings_tls("localhost", t.port, "foreign");
    ck_assert_int_eq(look(store_make(&s), "a", 1, &m, NULL), ETV_LOOKUP_UNAVAILABLE);
    ck_assert_msg(logged("does not accept the client certificate") == 1, "%s", seen.line[1]);
    server_kill(&t.server);
}
END_TEST

/* --- who is not believed --- */

START_TEST(test_not_trusted)
{
    server_fails_with("foreign", "localhost", "no", NULL, "not of a trusted authority");
}
END_TEST

START_TEST(test_expired)
{
    server_fails_with("expired", "localhost", "no", NULL, "has expired");
}
END_TEST

START_TEST(test_wrong_host)
{
    server_fails_with("wrong", _i ? "127.0.0.1" : "localhost", "no", NULL, "for another host");
}
END_TEST

/** With two hosts to choose from, the certificate must be for one of them, and right otherwise. */
START_TEST(test_hosts)
{
    static const struct {
        const char *cert, *host, *other, *says; /* NULL: right */
    } row[] = {
        {"good", "localhost", NULL, NULL},
        {"good", "localhost.", NULL, NULL},
        {"good", "LOCALHOST", NULL, NULL},
        {"good", "elsewhere.example", "localhost", NULL},
        {"good", "elsewhere.example", "127.0.0.1", NULL},
        {"good", "127.0.0.9", "localhost", NULL},
        {"good", "::1", "127.0.0.1", NULL},
        {"good", "elsewhere.example", NULL, "for another host"},
        {"good", "elsewhere.example", "127.0.0.9", "for another host"},
        {"good", "::1", "a.localhost", "for another host"},
        {"good", "good", NULL, "for another host"}, /* its common name */
        {"wrong", "a.redis.example", NULL, NULL},   /* a wildcard */
        {"wrong", "x", "a.redis.example", NULL},
        {"wrong", "x", "a.b.redis.example", "for another host"},
        {"foreign", "x", "localhost", "trusted authority"},
        {"expired", "x", "localhost", "expired"},
    };
    settings_t s = settings_tls("localhost", good.port, NULL);
    etv_redis_conn_t *c = etv_redis_conn_make();
    struct sockaddr_in *in;
    etv_redis_addr_t to;
    tls_server_t t;
    etv_conn_e state;
    apr_time_t deadline = etv_boottime_us() + MS(10000);

    tls_server_start(&t, row[_i].cert, "no", "TLSv1.2 TLSv1.3");
    memset(&to, 0, sizeof(to));
    in = (struct sockaddr_in *)&to.addr;
    in->sin_family = AF_INET;
    in->sin_port = htons((unsigned short)t.port);
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.len = sizeof(*in);
    ck_assert_int_eq(etv_redis_conn_open(c, &to, deadline), ETV_CONN_OK);
    state = etv_redis_conn_secure(c, s.config.tls, row[_i].host, row[_i].other, deadline);
    ck_assert_int_eq(state, row[_i].says ? ETV_CONN_TLS : ETV_CONN_OK);
    ck_assert_msg(!row[_i].says || strstr(c->why, row[_i].says), "%s", c->why);
    ck_assert_uint_eq(ERR_peek_error(), 0);
    etv_redis_conn_free(c);
    server_kill(&t.server);
}
END_TEST

START_TEST(test_old_protocol)
{
    tls_server_t t;
    settings_t s;

    tls_server_start(&t, "good", "no", "TLSv1.1");
    s = settings_tls("localhost", t.port, NULL);
    fails_with(&s, "TLS: ");
    server_kill(&t.server);
}
END_TEST

/** What does not speak TLS answers with an error, with nothing, or not at all. */
START_TEST(test_plain_server)
{
    server_t plain;
    settings_t s;

    server_start(&plain, "plain", 1, NULL);
    s = settings_tls("localhost", plain.port, NULL);
    s.config.connect_timeout_us = MS(300);
    fails_with(&s, "TLS: ");
    server_kill(&plain);
}
END_TEST

START_TEST(test_plain_client)
{
    settings_t s = settings_tcp("localhost", good.port);
    etv_model_t m;

    s.config.connect_timeout_us = MS(500);
    ck_assert_int_eq(look(store_make(&s), "a", 1, &m, NULL), ETV_LOOKUP_UNAVAILABLE);
    ck_assert_int_eq(logged("ETV0125"), 0);
    ck_assert_int_ge(seen.n, 1);
}
END_TEST

static void serve_silence(fake_t *f, int fd)
{
    fake_await(f, fd, "nothing like this ever comes");
}

static void serve_bytes(fake_t *f, int fd)
{
    fake_say(fd, f->text, strlen(f->text));
    fake_await(f, fd, "nothing like this ever comes");
}

static void serve_end(fake_t *f, int fd)
{
    (void)f;
    (void)fd;
}

/** TLS over a unix socket, which no address asks for, serves to try peers. */
static settings_t settings_fake(const fake_t *f)
{
    settings_t s = settings_tls("localhost", 1, NULL);

    s.url.kind = ETV_STORE_URL_REDIS_UNIX;
    s.url.path = f->path;
    return s;
}

/** Without certificates there is no connection, let alone one in plain text. */
START_TEST(test_never_plain)
{
    fake_t f;
    settings_t s;

    fake_start(&f, serve_silence, NULL, 5);
    s = settings_fake(&f);
    s.config.tls = NULL;
    fails_with(&s, "TLS: ");
    fake_stop(&f);
    ck_assert_int_eq(atomic_load(&f.served), 0);
}
END_TEST

START_TEST(test_other_speakers)
{
    static const char *const texts[] = {"HTTP/1.1 400 Bad Request\r\n\r\n", "-ERR what\r\n",
                                        "+PONG\r\n", "\x15\x03\x03\xff\xff",
                                        "\x16\x03\x03\x40\x00\x02\x00\xff\xff"};
    fake_t f;
    settings_t s;

    fake_start(&f, serve_bytes, texts[_i], 5);
    s = settings_fake(&f);
    s.config.connect_timeout_us = MS(300);
    fails_with(&s, "TLS: ");
    fake_stop(&f);
}
END_TEST

START_TEST(test_end_in_handshake)
{
    fake_t f;
    settings_t s;
    etv_model_t m;

    fake_start(&f, serve_end, NULL, 5);
    s = settings_fake(&f);
    ck_assert_int_eq(look(store_make(&s), "a", 1, &m, NULL), ETV_LOOKUP_UNAVAILABLE);
    ck_assert_int_eq(logged("ETV0101"), 1);
    fake_stop(&f);
}
END_TEST

/** Passes bytes on to the server in f->text, and its answers one by one. */
static void serve_drips(fake_t *f, int fd)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int to = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_port = htons((unsigned short)good.port);
    ck_assert_int_eq(connect(to, (struct sockaddr *)&a, sizeof(a)), 0);
    while (!atomic_load(&f->stop)) {
        struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = to, .events = POLLIN}};
        char bytes[4096];
        ssize_t n;

        poll(p, 2, 20);
        if (p[0].revents) {
            n = recv(fd, bytes, sizeof(bytes), 0);
            if (n <= 0 || !fake_say(to, bytes, (apr_size_t)n)) {
                break;
            }
        }
        if (p[1].revents) {
            n = recv(to, bytes, 1, 0);
            if (n <= 0 || !fake_say(fd, bytes, 1)) {
                break;
            }
            usleep((useconds_t)atoi(f->text));
        }
    }
    close(to);
}

/** However slowly the handshake drips, its end does not come after the deadline. At this pace it
 *  would take a minute. */
START_TEST(test_drips_in_handshake)
{
    fake_t f;
    settings_t s;
    apr_time_t began = etv_boottime_us();

    fake_start(&f, serve_drips, "50000", 5);
    s = settings_fake(&f);
    s.config.connect_timeout_us = MS(300);
    fails_with(&s, "in time");
    ck_assert_int_lt(etv_boottime_us() - began, MS(20000));
    fake_stop(&f);
}
END_TEST

/** Bytes that come one by one make whole records all the same. */
START_TEST(test_patience_with_drips)
{
    fake_t f;
    settings_t s;
    etv_model_t m;

    tell(&good.server, "SET v:a 7");
    fake_start(&f, serve_drips, "20", 5);
    s = settings_fake(&f);
    s.config.connect_timeout_us = s.config.command_timeout_us = MS(60000);
    ck_assert_int_eq(look(store_make(&s), "a", 0, &m, NULL), ETV_LOOKUP_OK);
    ASSERT_TOKEN(m, "7");
    fake_stop(&f);
}
END_TEST

/* --- files --- */

START_TEST(test_files)
{
    static const struct {
        const char *ca, *cert, *key; /* the files */
        const char *parameter, *name, *says;
    } row[] = {
        {"missing", NULL, NULL, "ca", "missing", "the file cannot be read: No such file"},
        {".", NULL, NULL, "ca", ".", "the file cannot be read: Is a directory"},
        {"good.ext", NULL, NULL, "ca", "good.ext", "the file holds no certificate"},
        {"ca.crt", "missing", "good.key", "cert", "missing", "the file cannot be read"},
        {"ca.crt", "good.key", "good.key", "cert", "good.key", "the file holds no certificate"},
        {"ca.crt", "good.crt", "missing", "key", "missing", "the file cannot be read"},
        {"ca.crt", "good.crt", "good.crt", "key", "good.crt", "the file holds no key"},
        {"ca.crt", "good.crt", "wrong.key", "key", "wrong.key",
         "the file holds the key of another"},
        {"ca.crt", "good.crt", "locked.key", "key", "locked.key", "the file holds no key"},
        {"ca.crt", "good.crt", NULL, "cert", "good.crt", "the file of its key is missing"},
    };
    const char *says = apr_pstrcat(pool, row[_i].parameter, "=", run_dir, "/", row[_i].name, ": ",
                                   row[_i].says, NULL);
    etv_redis_tls_t *tls = NULL;
    etv_store_url_t url = {.kind = ETV_STORE_URL_REDIS_TCP, .host = "localhost", .tls = 1};
    const char *wrong;

    shell("openssl pkey -in good.key -aes128 -passout pass:secret -out locked.key");
    url.ca = file(row[_i].ca);
    url.cert = row[_i].cert ? file(row[_i].cert) : NULL;
    url.key = row[_i].key ? file(row[_i].key) : NULL;
    wrong = etv_redis_tls_load(pool, &url, &tls);
    ck_assert_msg(wrong && strncmp(wrong, says, strlen(says)) == 0, "%s", wrong ? wrong : "right");
    ck_assert_ptr_null(tls);
    ck_assert_uint_eq(ERR_peek_error(), 0);
}
END_TEST

START_TEST(test_authorities_of_the_system)
{
    etv_redis_tls_t *tls = NULL;
    settings_t s = settings_tls("localhost", good.port, NULL);

    s.url.ca = NULL;
    ck_assert_ptr_null(etv_redis_tls_load(pool, &s.url, &tls));
    s.config.tls = tls;
    fails_with(&s, "not of a trusted authority");
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("redis_tls");
    TCase *tc = tcase_create("tls");

    tcase_add_unchecked_fixture(tc, tls_suite_setup, tls_suite_teardown);
    tcase_add_checked_fixture(tc, tls_setup, tls_teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, test_lookup_and_bump, 0, 2);
    tcase_add_test(tc, test_large_replies);
    tcase_add_test(tc, test_threads);
    tcase_add_test(tc, test_restart);
    tcase_add_loop_test(tc, test_client_certificate, 0, 2);
    tcase_add_test(tc, test_not_trusted);
    tcase_add_test(tc, test_expired);
    tcase_add_loop_test(tc, test_wrong_host, 0, 2);
    tcase_add_loop_test(tc, test_hosts, 0, 16);
    tcase_add_test(tc, test_old_protocol);
    tcase_add_test(tc, test_plain_server);
    tcase_add_test(tc, test_plain_client);
    tcase_add_test(tc, test_never_plain);
    tcase_add_loop_test(tc, test_other_speakers, 0, 5);
    tcase_add_test(tc, test_end_in_handshake);
    tcase_add_test(tc, test_drips_in_handshake);
    tcase_add_test(tc, test_patience_with_drips);
    tcase_add_loop_test(tc, test_files, 0, 10);
    tcase_add_test(tc, test_authorities_of_the_system);
    suite_add_tcase(suite, tc);
    return suite;
}

#else

START_TEST(test_built_without)
{
    etv_store_url_t url = {.kind = ETV_STORE_URL_REDIS_TCP, .host = "localhost", .tls = 1};
    etv_redis_tls_t *tls = NULL;
    const char *wrong = etv_redis_tls_load(pool, &url, &tls);

    ck_assert(wrong && strstr(wrong, "built without OpenSSL"));
    ck_assert_ptr_null(tls);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("redis_tls");
    TCase *tc = tcase_create("without");

    tcase_add_checked_fixture(tc, pool_setup, pool_teardown);
    tcase_add_test(tc, test_built_without);
    suite_add_tcase(suite, tc);
    return suite;
}

#endif

int main(void)
{
    return run_suite(make_suite());
}
