/* SPDX-License-Identifier: Apache-2.0 */
/* The Redis store against a real server: addresses, databases, users and what they may do. */
#include "redis_fixture.h"

static etv_store_t *store_default(int keep_secret)
{
    settings_t s = settings_unix(server.path);

    s.config.keep_secret = keep_secret;
    return store_make(&s);
}

/* --- logging in --- */

typedef struct {
    const char *user, *password, *file_password;
    int works;
    const char *log; /* a text that must be logged */
} login_t;

static void check_login(server_t *own, const login_t *row)
{
    settings_t s = settings_unix(own->path);
    etv_store_t *store;
    etv_model_t m;

    seen.n = 0;
    s.url.user = row->user;
    s.url.password = row->password;
    s.config.password = row->file_password;
    store = store_make(&s);
    ck_assert_int_eq(look(store, "m", 1, &m, NULL),
                     row->works ? ETV_LOOKUP_OK : ETV_LOOKUP_UNAVAILABLE);
    if (row->log) {
        ck_assert_msg(logged(row->log), "%s was not logged", row->log);
    }
    ck_assert_int_eq(logged("S3cret"), 0);
    ck_assert_int_eq(logged("Wr0ng"), 0);
}

START_TEST(passwords_and_users)
{
    static const char *const args[] = {"--requirepass", "S3cret", NULL};
    static const login_t row[] = {
        {NULL, "S3cret", NULL, 1, NULL},
        {"default", "S3cret", NULL, 1, NULL},
        {NULL, "Wr0ng", "S3cret", 1, NULL},
        {NULL, "S3cret", "Wr0ng", 0, "ETV0103"},
        {NULL, NULL, NULL, 0, "(NOAUTH)"},
        {NULL, "Wr0ng", NULL, 0, "(WRONGPASS)"},
        {"nobody", "S3cret", NULL, 0, "(WRONGPASS)"},
        {"full", "S3cret", NULL, 1, NULL},
        {"open", NULL, NULL, 1, NULL},
        {"noinfo", "S3cret", NULL, 0, "may not run INFO"},
        {"norole", "S3cret", NULL, 0, "may not run ROLE"},
        {"nomget", "S3cret", NULL, 0, "may not run MGET"},
        {"noexists", "S3cret", NULL, 0, "may not run EXISTS"},
        {"nomulti", "S3cret", NULL, 0, "may not run MULTI"},
        {"noexec", "S3cret", NULL, 0, "may not run EXEC"},
        {"noset", "S3cret", NULL, 0, "may not run SET"},
        {"nokeys", "S3cret", NULL, 0, "~v:*"},
    };
    server_t own;

    server_start(&own, "auth", 0, args);
    tell(&own, "AUTH S3cret");
    tell(&own, "ACL SETUSER full on >S3cret ~v:* +multi +exec +mget +exists +set +role +info");
    tell(&own, "ACL SETUSER open on nopass ~v:* +multi +exec +mget +exists +set +role +info");
    tell(&own, "ACL SETUSER noinfo on >S3cret ~v:* +multi +exec +mget +exists +set +role");
    tell(&own, "ACL SETUSER norole on >S3cret ~v:* +multi +exec +mget +exists +set +info");
    tell(&own, "ACL SETUSER nomget on >S3cret ~v:* +multi +exec +exists +set +role +info");
    tell(&own, "ACL SETUSER noexists on >S3cret ~v:* +multi +exec +mget +set +role +info");
    tell(&own, "ACL SETUSER nomulti on >S3cret ~v:* +exec +mget +exists +set +role +info");
    tell(&own, "ACL SETUSER noexec on >S3cret ~v:* +multi +mget +exists +set +role +info");
    tell(&own, "ACL SETUSER noset on >S3cret ~v:* +multi +exec +mget +exists +role +info");
    tell(&own, "ACL SETUSER nokeys on >S3cret ~w:* +multi +exec +mget +exists +set +role +info");
    tell(&own, "DEL v:m v:%epoch");
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        tell(&own, "FLUSHALL");
        check_login(&own, &row[i]);
    }
    server_kill(&own);
}
END_TEST

START_TEST(permission_taken_away)
{
    server_t own;
    settings_t s;
    etv_store_t *store;
    etv_model_t m;

    server_start(&own, "acl", 0, NULL);
    tell(&own, "ACL SETUSER u on >p ~v:* +multi +exec +mget +exists +set +role +info");
    s = settings_unix(own.path);
    s.url.user = "u";
    s.url.password = "p";
    store = store_make(&s);
    ck_assert_int_eq(look(store, "m", 1, &m, NULL), ETV_LOOKUP_OK);
    tell(&own, "ACL SETUSER u -role");
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(look(store, "m", 1, &m, NULL), ETV_LOOKUP_UNAVAILABLE);
    }
    ck_assert_int_eq(logged("may not run ROLE"), 1);
    tell(&own, "ACL SETUSER u +role");
    usleep(400000); /* the breaker: 100 ms, doubled at most once, plus its jitter */
    ck_assert_int_eq(look(store, "m", 1, &m, NULL), ETV_LOOKUP_OK);
    server_kill(&own);
}
END_TEST

START_TEST(no_connection_left)
{
    static const char *const args[] = {"--maxclients", "1", NULL};
    server_t own;
    settings_t s;
    etv_store_t *store;
    etv_model_t m;

    server_start(&own, "maxclients", 0, args); /* the one is ours */
    s = settings_unix(own.path);
    s.url.password = "S3cret";
    store = store_make(&s);
    ck_assert_int_eq(look(store, "m", 1, &m, NULL), ETV_LOOKUP_UNAVAILABLE);
    ck_assert_msg(logged("maxclients") == 1, "%s", seen.line[0]);
    server_kill(&own);
}
END_TEST

START_TEST(databases)
{
    settings_t s = settings_unix(server.path);
    etv_store_t *store;
    etv_model_t m;

    s.url.db = 5;
    store = store_make(&s);
    tell(&server, "SET v:m zero");
    tell(&server, "SELECT 5");
    tell(&server, "SET v:m five");
    ck_assert_int_eq(look(store, "m", 0, &m, NULL), ETV_LOOKUP_OK);
    ASSERT_TOKEN(m, "five");
    s.url.db = 77;
    store = store_make(&s);
    ck_assert_int_eq(look(store, "m", 0, &m, NULL), ETV_LOOKUP_UNAVAILABLE);
    ck_assert_int_eq(logged("no database 77"), 1);
}
END_TEST

START_TEST(eviction_policy_is_warned_of_once)
{
    etv_store_t *store = store_default(0);
    etv_model_t m;

    tell(&server, "CONFIG SET maxmemory-policy allkeys-lru");
    ck_assert_int_eq(look(store, "m", 1, &m, NULL), ETV_LOOKUP_OK);
    tell(&server, "CLIENT KILL TYPE normal SKIPME yes");
    ck_assert_int_eq(look(store, "m", 1, &m, NULL), ETV_LOOKUP_OK);
    tell(&server, "CONFIG SET maxmemory-policy noeviction");
    ck_assert_int_eq(logged("ETV0116"), 1);
    ck_assert_int_eq(logged("allkeys-lru:"), 1);
    ck_assert_int_eq(seen.n, 1);
}
END_TEST

/* --- addresses --- */

START_TEST(addresses)
{
    static const char *const hosts[] = {"127.0.0.1", "::1", "localhost"};
    etv_model_t m;

    tell(&server, "SET v:m 1");
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        settings_t s = settings_tcp(hosts[i], server.port);
        etv_store_t *store;

        int v6 = strchr(hosts[i], ':') != NULL;
        int fd = v6 ? socket(AF_INET6, SOCK_STREAM, 0) : -1;
        struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        int missing = v6 && (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)));

        if (fd >= 0) {
            close(fd);
        }
        if (missing) {
            continue; /* a host without IPv6 */
        }
        store = store_make(&s);
        ck_assert_int_eq(look(store, "m", 0, &m, NULL), ETV_LOOKUP_OK);
        ASSERT_TOKEN(m, "1");
        ck_assert_int_eq(seen.n, 0);
    }
}
END_TEST

START_TEST(unknown_names)
{
    settings_t s = settings_tcp("no-such-host.invalid", server.port);
    etv_store_t *store = store_make(&s);
    etv_model_t m;

    ck_assert_int_eq(look(store, "m", 0, &m, NULL), ETV_LOOKUP_UNAVAILABLE);
    ck_assert_int_eq(logged("ETV0102"), 1);
    s = settings_unix(
        "/a/path/that/is/far/too/long/for/a/socket/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    s.config.url = &s.url;
    ck_assert_int_eq(etv_redis_create(pool, &s.config, &store), APR_ENAMETOOLONG);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("redis_login");
    TCase *tc = tcase_create("redis_login");

    suite_add_tcase(suite, tc);
    tcase_set_timeout(tc, 60);
    tcase_add_unchecked_fixture(tc, suite_setup, suite_teardown);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, passwords_and_users);
    tcase_add_test(tc, permission_taken_away);
    tcase_add_test(tc, no_connection_left);
    tcase_add_test(tc, databases);
    tcase_add_test(tc, eviction_policy_is_warned_of_once);
    tcase_add_test(tc, addresses);
    tcase_add_test(tc, unknown_names);
    return run_suite(suite);
}
