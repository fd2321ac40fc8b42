/* SPDX-License-Identifier: Apache-2.0 */
/* What nodes of a Redis Cluster say, and where that leads. */
#include "redis_fixture.h"

#include "store/change_ops.h"

#include <arpa/inet.h>

#include "store/redis_cluster.h"
#include "store/redis_probe.h"

/* --- the prefix --- */

START_TEST(test_tags)
{
    static const struct {
        const char *prefix;
        int tagged;
    } row[] = {
        {"{etag}:", 1}, {"a{b}c", 1}, {"{{}:", 1}, {"{a}{}", 1},          {"{a", 0},
        {"{}", 0},      {"{}{a}", 0}, {"}{", 0},   {"model_version:", 0}, {"", 0},
        {"}a{b}", 1},   {"a}", 0},    {"{ }", 1},
    };

    for (apr_size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        ck_assert_msg(etv_redis_cluster_tagged(row[i].prefix) == row[i].tagged, "%s",
                      row[i].prefix);
    }
}
END_TEST

/* --- MOVED --- */

static etv_redis_addr_t address(int family, const char *text)
{
    etv_redis_addr_t a;

    memset(&a, 0, sizeof(a));
    a.addr.ss_family = (sa_family_t)family;
    if (family == AF_INET) {
        a.len = sizeof(struct sockaddr_in);
        inet_pton(family, text, &((struct sockaddr_in *)&a.addr)->sin_addr);
    } else if (family == AF_INET6) {
        a.len = sizeof(struct sockaddr_in6);
        inet_pton(family, text, &((struct sockaddr_in6 *)&a.addr)->sin6_addr);
    } else {
        a.len = sizeof(struct sockaddr_un);
    }
    return a;
}

START_TEST(test_addresses)
{
    static const struct {
        const char *error;
        int family; /* of the one who says so */
        const char *from, *host;
        int port; /* 0: names no address */
    } row[] = {
        {"MOVED 3999 127.0.0.1:6381", AF_INET, "127.0.0.9", "127.0.0.1", 6381},
        {"MOVED 0 ::1:6381", AF_INET, "127.0.0.9", "::1", 6381},
        {"MOVED 16383 redis-2.example:65535", AF_INET, "127.0.0.9", "redis-2.example", 65535},
        {"MOVED 1 :6381", AF_INET, "127.0.0.9", "127.0.0.9", 6381},
        {"MOVED 1 :6381", AF_INET6, "::9", "::9", 6381},
        {"MOVED 1 :6381", AF_UNIX, "", NULL, 0},
        {"MOVED 1 ?:6381", AF_INET, "127.0.0.9", NULL, 0},
        {"MOVED 1 a b:6381", AF_INET, "127.0.0.9", NULL, 0},
        {"MOVED 1 a/b:6381", AF_INET, "127.0.0.9", NULL, 0},
        {"MOVED 1 a:0", AF_INET, "127.0.0.9", NULL, 0},
        {"MOVED 1 a:65536", AF_INET, "127.0.0.9", NULL, 0},
        {"MOVED 1 a:99999999999999999999", AF_INET, "127.0.0.9", NULL, 0},
        {"MOVED 1 a:-1", AF_INET, "127.0.0.9", NULL, 0},
        {"MOVED 1 a:", AF_INET, "127.0.0.9", NULL, 0},
        {"MOVED 1 a", AF_INET, "127.0.0.9", NULL, 0},
        {"MOVED 1", AF_INET, "127.0.0.9", NULL, 0},
        {"MOVED ", AF_INET, "127.0.0.9", NULL, 0},
        {"ASK 1 127.0.0.1:6381", AF_INET, "127.0.0.9", NULL, 0},
    };
    etv_redis_cluster_t cluster;

    for (apr_size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        etv_redis_addr_t from = address(row[i].family, row[i].from);
        etv_cluster_node_t *node;

        ck_assert_int_eq(etv_redis_cluster_init(&cluster), APR_SUCCESS);
        ck_assert_msg(etv_redis_cluster_follow(&cluster, row[i].error, &from) ==
                          (row[i].port ? ETV_CLUSTER_FOLLOWS : ETV_CLUSTER_ASTRAY),
                      "%s", row[i].error);
        node = etv_redis_cluster_node(&cluster);
        ck_assert_msg((node != NULL) == (row[i].port != 0), "%s", row[i].error);
        if (node) {
            ck_assert_str_eq(node->host, row[i].host);
            ck_assert_int_eq(node->port, row[i].port);
        }
        etv_redis_cluster_release(node);
        etv_redis_cluster_destroy(&cluster);
    }
}
END_TEST

/** What could not be reached is not tried again at once. */
START_TEST(test_unreachable)
{
    static const char error[] = "MOVED 1 127.0.0.1:1";
    etv_redis_cluster_t cluster;
    etv_redis_addr_t from = address(AF_INET, "127.0.0.1");
    etv_cluster_node_t *node;

    ck_assert_int_eq(etv_redis_cluster_init(&cluster), APR_SUCCESS);
    ck_assert_int_eq(etv_redis_cluster_follow(&cluster, error, &from), ETV_CLUSTER_FOLLOWS);
    node = etv_redis_cluster_node(&cluster);
    etv_redis_cluster_unreachable(&cluster, node);
    etv_redis_cluster_release(node);
    ck_assert_ptr_null(etv_redis_cluster_node(&cluster));
    ck_assert_int_eq(etv_redis_cluster_follow(&cluster, error, &from), ETV_CLUSTER_DOWN);
    ck_assert_int_eq(etv_redis_cluster_follow(&cluster, "MOVED 1 127.0.0.1:2", &from),
                     ETV_CLUSTER_FOLLOWS);
    cluster.down_us -= ETV_CLUSTER_DOWN_US;
    ck_assert_int_eq(etv_redis_cluster_follow(&cluster, error, &from), ETV_CLUSTER_FOLLOWS);
    etv_redis_cluster_destroy(&cluster);
}
END_TEST

/** A host of 255 characters fits, one of 256 does not. */
START_TEST(test_long_host)
{
    etv_redis_cluster_t cluster;
    etv_redis_addr_t from = address(AF_INET, "127.0.0.1");
    char error[400];

    ck_assert_int_eq(etv_redis_cluster_init(&cluster), APR_SUCCESS);
    for (int len = 255; len <= 256; len++) {
        snprintf(error, sizeof(error), "MOVED 1 %0*d:1", len, 1);
        ck_assert_int_eq(etv_redis_cluster_follow(&cluster, error, &from),
                         len == 255 ? ETV_CLUSTER_FOLLOWS : ETV_CLUSTER_ASTRAY);
    }
    etv_redis_cluster_destroy(&cluster);
}
END_TEST

START_TEST(test_remembers_and_forgets)
{
    etv_redis_cluster_t cluster;
    etv_redis_addr_t from = address(AF_INET, "127.0.0.1");
    etv_cluster_node_t *one, *two;

    ck_assert_int_eq(etv_redis_cluster_init(&cluster), APR_SUCCESS);
    ck_assert_ptr_null(etv_redis_cluster_node(&cluster));
    ck_assert_int_eq(etv_redis_cluster_follow(&cluster, "MOVED 1 127.0.0.1:1", &from),
                     ETV_CLUSTER_FOLLOWS);
    one = etv_redis_cluster_node(&cluster);
    ck_assert_int_eq(etv_redis_cluster_follow(&cluster, "MOVED 1 127.0.0.1:1", &from),
                     ETV_CLUSTER_FOLLOWS);
    two = etv_redis_cluster_node(&cluster);
    ck_assert_ptr_eq(one, two); /* said twice */
    etv_redis_cluster_release(two);
    ck_assert_int_eq(etv_redis_cluster_follow(&cluster, "MOVED 1 127.0.0.1:2", &from),
                     ETV_CLUSTER_FOLLOWS);
    etv_redis_cluster_forget(&cluster, 0);
    etv_redis_cluster_forget(&cluster, one->serial);
    two = etv_redis_cluster_node(&cluster);
    ck_assert_int_eq(two->port, 2); /* what failed was not this one */
    etv_redis_cluster_forget(&cluster, two->serial);
    ck_assert_ptr_null(etv_redis_cluster_node(&cluster));
    ck_assert_int_eq(one->port, 1); /* whoever holds one may go on using it */
    etv_redis_cluster_release(one);
    etv_redis_cluster_release(two);
    etv_redis_cluster_destroy(&cluster);
}
END_TEST

/* --- stores --- */

/** What a node says to a reading transaction that it does not take. */
static const char *refusal(const char *error)
{
    return apr_psprintf(
        pool,
        "+OK\r\n-%s\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n-EXECABORT Transaction "
        "discarded because of previous errors.\r\n",
        error);
}

/** Another listener, on TCP, for a fake that was started on a unix socket. */
static void listen_on_tcp(fake_t *f)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    ck_assert_int_eq(listen(fd, 5), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    ck_assert_int_ge(dup2(fd, f->fd), 0);
    close(fd);
    f->port = ntohs(a.sin_port);
}

START_TEST(test_follows)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost"};
    fake_t f;
    settings_t s;
    etv_store_t *store;
    etv_model_t m;

    tell(&server, "SET v:a 7");
    fake_start(&f, serve_text, refusal(apr_psprintf(pool, "MOVED 1 %s:%d", hosts[_i], server.port)),
               5);
    s = settings_unix(f.path);
    store = store_make(&s);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(look(store, "a", 0, &m, NULL), ETV_LOOKUP_OK);
        ASSERT_TOKEN(m, "7");
    }
    ck_assert_int_eq(atomic_load(&f.served), 1);
    ck_assert_int_eq(logged("ETV0126"), 1);
    ck_assert_int_eq(seen.n, 1);
    fake_stop(&f);
}
END_TEST

START_TEST(test_bump_follows)
{
    fake_t f;
    settings_t s;
    etv_store_t *store;
    etv_model_t m = model("a", 0);
    redisReply *reply;

    fake_start(&f, serve_text,
               apr_psprintf(pool,
                            "+OK\r\n-MOVED 1 127.0.0.1:%d\r\n+QUEUED\r\n-EXECABORT Transaction "
                            "discarded because of previous errors.\r\n",
                            server.port),
               5);
    s = settings_unix(f.path);
    store = store_make(&s);
    ck_assert_int_eq(store->ops->bump(store, pool, &m, 1), APR_SUCCESS);
    reply = ask(&server, "GET v:a");
    ck_assert_uint_eq(reply->len, m.token_len);
    ck_assert_int_eq(memcmp(reply->str, m.token, m.token_len), 0);
    freeReplyObject(reply);
    fake_stop(&f);
}
END_TEST

/** Greet, then say f->text after what has no transaction around it. */
static void serve_watch(fake_t *f, int fd)
{
    if (fake_greet(f, fd) && fake_await(f, fd, "ROLE\r\n")) {
        fake_say(fd, f->text, strlen(f->text));
        fake_await(f, fd, "nothing more");
    }
}

START_TEST(test_changes_follow)
{
    static const char transaction[] =
        "+OK\r\n-MOVED 1 127.0.0.1:%d\r\n+QUEUED\r\n+QUEUED\r\n-EXECABORT Transaction "
        "discarded because of previous errors.\r\n";
    static const char watch[] = "-MOVED 1 127.0.0.1:%d\r\n-MOVED 1 127.0.0.1:1\r\n"
                                "-MOVED 1 127.0.0.1:1\r\n" FAKE_MASTER;

    for (int as_read = 0; as_read < 2; as_read++) {
        etv_change_id_t id = {.owner = "00000000000000aa", .number = 1, .grace_us = MS(60000)};
        fake_t f;
        settings_t s;
        etv_store_t *store;
        etv_model_t m = model("a", 0);

        tell(&server, "FLUSHALL");
        m.state = ETV_MODEL_ABSENT;
        fake_start(&f, as_read ? serve_watch : serve_text,
                   apr_psprintf(pool, as_read ? watch : transaction, server.port), 5);
        s = settings_unix(f.path);
        store = store_make(&s);
        ck_assert_int_eq(store->ops->changes->announce(store, pool, &m, 1, &id, as_read),
                         APR_SUCCESS);
        ck_assert_int_eq(store->ops->changes->announce(store, pool, &m, 1, &id, 1), APR_EEXIST);
        ck_assert_int_eq(atomic_load(&f.served), 1);
        ck_assert_int_eq(look(store, "a", 0, &m, NULL), ETV_LOOKUP_OK);
        ck_assert_int_eq(m.state, ETV_MODEL_OPEN);
        fake_stop(&f);
    }
}
END_TEST

/** Moved between MGET and EXEC. */
START_TEST(test_moved_at_exec)
{
    fake_t f;
    settings_t s;
    etv_model_t m;

    tell(&server, "SET v:a 7");
    fake_start(&f, serve_text,
               apr_psprintf(pool, FAKE_QUEUED "-MOVED 1 127.0.0.1:%d\r\n", server.port), 5);
    s = settings_unix(f.path);
    ck_assert_int_eq(look(store_make(&s), "a", 0, &m, NULL), ETV_LOOKUP_OK);
    ASSERT_TOKEN(m, "7");
    fake_stop(&f);
}
END_TEST

/** The node that was named is down, or answers nothing: the configured address is asked again, as
 * often as the breaker allows. Once it names another one, that is followed. */
START_TEST(test_named_node_is_down)
{
    fake_t f, silent;
    settings_t s;
    etv_store_t *store;
    etv_model_t m;
    int down = free_port();
    apr_time_t patience = etv_boottime_us() + MS(30000);

    tell(&server, "SET v:a 7");
    fake_start(&silent, NULL, NULL, 5);
    listen_on_tcp(&silent);
    down = _i ? silent.port : down;
    fake_start(&f, serve_text, refusal(apr_psprintf(pool, "MOVED 1 127.0.0.1:%d", down)), 5);
    s = settings_unix(f.path);
    s.config.connect_timeout_us = s.config.command_timeout_us = MS(400);
    store = store_make(&s);
    for (int i = 0; i < 50; i++) {
        ck_assert_int_eq(look(store, "a", 0, &m, NULL), ETV_LOOKUP_UNAVAILABLE);
    }
    ck_assert_int_ge(logged(_i ? "ETV0107" : "to the node of the cluster"), 1);
    ck_assert_int_eq(logged("ETV0117"), 1);
    ck_assert_int_lt(atomic_load(&f.served), 20);
    f.text = refusal(apr_psprintf(pool, "MOVED 1 127.0.0.1:%d", server.port));
    while (look(store, "a", 0, &m, NULL) != ETV_LOOKUP_OK) {
        ck_assert_int_lt(etv_boottime_us(), patience);
        usleep(5000);
    }
    ASSERT_TOKEN(m, "7");
    fake_stop(&f);
    fake_stop(&silent);
}
END_TEST

/** Two nodes that send everybody to the other one keep nobody busy. */
START_TEST(test_nodes_disagree)
{
    fake_t one, two;
    settings_t s;
    etv_store_t *store;
    etv_model_t m;

    fake_start(&one, serve_text, "", 5);
    fake_start(&two, serve_text, "", 5);
    listen_on_tcp(&one);
    listen_on_tcp(&two);
    one.text = refusal(apr_psprintf(pool, "MOVED 1 127.0.0.1:%d", two.port));
    two.text = refusal(apr_psprintf(pool, "MOVED 1 127.0.0.1:%d", one.port));
    s = settings_tcp("127.0.0.1", one.port);
    store = store_make(&s);
    for (int i = 0; i < 50; i++) {
        ck_assert_int_eq(look(store, "a", 0, &m, NULL), ETV_LOOKUP_UNAVAILABLE);
    }
    ck_assert_int_eq(logged("ETV0129"), 1);
    ck_assert_int_ge(logged("do not agree"), 1);
    ck_assert_int_eq(logged("ETV0117"), 1);
    ck_assert_int_lt(atomic_load(&one.served) + atomic_load(&two.served), 20);
    fake_stop(&one);
    fake_stop(&two);
}
END_TEST

START_TEST(test_refusals)
{
    static const struct {
        const char *error, *tag, *says;
    } row[] = {
        {"MOVED 1 ?:6379", "ETV0129", "does not know its address"},
        {"CROSSSLOT Keys in request don't hash to the same slot", "ETV0127", "{tag}"},
        {"CLUSTERDOWN The cluster is down", "ETV0128", "is down (CLUSTERDOWN)"},
        {"CLUSTERDOWN Hash slot not served", "ETV0128", "is down (CLUSTERDOWN)"},
        {"ASK 1 127.0.0.1:6381", "ETV0128", "on its way to another node of the cluster (ASK)"},
        {"TRYAGAIN Multiple keys request during rehashing of slot", "ETV0128", "(TRYAGAIN)"},
    };
    fake_t f;
    settings_t s;
    etv_model_t m;

    fake_start(&f, serve_text, refusal(row[_i].error), 5);
    s = settings_unix(f.path);
    ck_assert_int_eq(look(store_make(&s), "a", 0, &m, NULL), ETV_LOOKUP_UNAVAILABLE);
    ck_assert_msg(seen.n == 1 && logged(row[_i].tag) == 1 && logged(row[_i].says) == 1, "%s",
                  seen.line[0]);
    ck_assert_int_eq(logged("127.0.0.1"), 0);
    fake_stop(&f);
}
END_TEST

/* --- a node without slots --- */

/** The port of the nodes' own talk is given, since port + 10000 need not exist. */
static void node_start(server_t *node)
{
    static char bus[16];
    static const char *const args[] = {
        "--cluster-enabled", "yes", "--cluster-port", bus, "--requirepass", "secret", NULL};

    snprintf(bus, sizeof(bus), "%d", free_port());
    server_start(node, "node", 1, args);
}

START_TEST(test_database_in_cluster)
{
    server_t node;
    settings_t s;
    etv_model_t m;

    node_start(&node);
    s = settings_tcp("127.0.0.1", node.port);
    s.url.password = "secret";
    s.url.db = 3;
    ck_assert_int_eq(look(store_make(&s), "a", 0, &m, NULL), ETV_LOOKUP_UNAVAILABLE);
    ck_assert_msg(logged("ETV0104") == 1 && logged("only database 0") == 1, "%s", seen.line[0]);
    server_kill(&node);
}
END_TEST

/** Whether a process that was made has ended and nobody took notice; servers go on. */
static int left_behind(void)
{
    return waitpid(-1, NULL, WNOHANG) > 0;
}

static int probe(const char *host, int port, const char *user, const char *password)
{
    etv_store_url_t url = {.kind = ETV_STORE_URL_REDIS_TCP, .host = host, .user = user};
    etv_redis_probe_t p[2] = {{.url = &url, .password = password, .timeout_us = MS(5000)},
                              {.url = &url, .password = password, .timeout_us = MS(5000)}};

    url.port = (apr_port_t)port;
    etv_redis_probe(p, 2);
    ck_assert_int_eq(p[0].is_cluster, p[1].is_cluster);
    ck_assert_int_eq(left_behind(), 0);
    return p[0].is_cluster;
}

START_TEST(test_probe)
{
    server_t node;
    int port;

    node_start(&node);
    port = node.port;
    {
        etv_store_url_t url = {.kind = ETV_STORE_URL_REDIS_TCP, .host = "127.0.0.1"};
        etv_redis_probe_t p[5];

        memset(p, 0, sizeof(p));
        for (int i = 0; i < 5; i++) {
            p[i].timeout_us = MS(5000);
            p[i].url = &url;
        }
        url.port = (apr_port_t)port;
        p[0].password = "secret";
        p[1].password = "wrong";
        p[3].password = "secret";
        etv_redis_probe(p, 5);
        ck_assert_int_eq(p[0].is_cluster, 1);
        ck_assert_int_eq(p[1].is_cluster, 0);
        ck_assert_int_eq(p[2].is_cluster, 0);
        ck_assert_int_eq(p[3].is_cluster, 1);
    }
    server_kill(&node);
    ck_assert_int_eq(probe("localhost", server.port, NULL, NULL), 0);
    ck_assert_int_eq(probe("127.0.0.1", port, NULL, "secret"), 0);
    ck_assert_int_eq(probe("no-such-host.invalid", port, NULL, "secret"), 0);
}
END_TEST

/** Who accepts and says nothing holds up nobody for longer than the limit. */
START_TEST(test_probe_of_silence)
{
    fake_t f;
    etv_store_url_t url = {.kind = ETV_STORE_URL_REDIS_TCP, .host = "127.0.0.1"};
    etv_redis_probe_t p = {.url = &url, .timeout_us = MS(3600000)};
    apr_time_t began = etv_boottime_us();

    fake_start(&f, NULL, NULL, 5);
    listen_on_tcp(&f);
    url.port = (apr_port_t)f.port;
    etv_redis_probe(&p, 1);
    ck_assert_int_eq(p.is_cluster, 0);
    ck_assert_int_lt(etv_boottime_us() - began, MS(20000));
    ck_assert_int_eq(left_behind(), 0);
    fake_stop(&f);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("redis_cluster");
    TCase *tc = tcase_create("addresses");

    tcase_add_test(tc, test_tags);
    tcase_add_test(tc, test_addresses);
    tcase_add_test(tc, test_long_host);
    tcase_add_test(tc, test_remembers_and_forgets);
    tcase_add_test(tc, test_unreachable);
    suite_add_tcase(suite, tc);
    tc = tcase_create("stores");
    tcase_add_unchecked_fixture(tc, suite_setup, suite_teardown);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, test_follows, 0, 2);
    tcase_add_test(tc, test_bump_follows);
    tcase_add_test(tc, test_changes_follow);
    tcase_add_test(tc, test_moved_at_exec);
    tcase_add_loop_test(tc, test_named_node_is_down, 0, 2);
    tcase_add_test(tc, test_nodes_disagree);
    tcase_add_loop_test(tc, test_refusals, 0, 6);
    tcase_add_test(tc, test_database_in_cluster);
    tcase_add_test(tc, test_probe);
    tcase_add_test(tc, test_probe_of_silence);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    return run_suite(make_suite());
}
