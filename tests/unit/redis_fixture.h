/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What the tests of the Redis store share: a private redis-server in a folder of its own, peers
 * that misbehave, a log to look into. Everything dies with the process that made it.
 */
#ifndef ETV_TESTS_REDIS_FIXTURE_H
#define ETV_TESTS_REDIS_FIXTURE_H

#include <apr_general.h>
#include <apr_network_io.h>
#include <apr_strings.h>
#include <check.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/boottime.h"
#include "store/redis.h"

#define UNUSED __attribute__((unused))
#define MS(n)  ((apr_interval_time_t)(n) * 1000)

/* --- a folder for the run --- */

static char run_dir[64];

static UNUSED void run_dir_make(void)
{
    snprintf(run_dir, sizeof(run_dir), "/tmp/etv-redis-XXXXXX");
    if (!mkdtemp(run_dir)) {
        perror("mkdtemp");
        exit(2);
    }
}

static UNUSED void run_dir_remove(void)
{
    char command[96];

    snprintf(command, sizeof(command), "rm -rf '%s'", run_dir);
    if (system(command)) {
        perror(command);
    }
}

/* --- the log --- */

static struct {
    pthread_mutex_t lock;
    int n;
    char line[256][400];
    etv_log_level_e level[256];
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void remember(void *baton, etv_log_level_e level, apr_status_t status, const char *message)
{
    (void)baton;
    (void)status;
    pthread_mutex_lock(&seen.lock);
    if (seen.n < 256) {
        seen.level[seen.n] = level;
        snprintf(seen.line[seen.n++], sizeof(seen.line[0]), "%s", message);
    }
    pthread_mutex_unlock(&seen.lock);
}

/** How many lines hold this text. */
static UNUSED int logged(const char *text)
{
    int n = 0;

    pthread_mutex_lock(&seen.lock);
    for (int i = 0; i < seen.n; i++) {
        n += strstr(seen.line[i], text) != NULL;
    }
    pthread_mutex_unlock(&seen.lock);
    return n;
}

static UNUSED void print_log(void)
{
    for (int i = 0; i < seen.n; i++) {
        printf("  log: %s\n", seen.line[i]);
    }
}

/* --- a private redis-server --- */

typedef struct {
    pid_t pid;
    int port; /* 0: only the socket */
    char dir[80];
    char path[100];
    const char *const *args;
    redisContext *admin;
} server_t;

static UNUSED int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin_port);
}

/** The program: ETV_REDIS_SERVER names another one with the same options, as valkey-server has. */
static UNUSED const char *server_program(void)
{
    const char *name = getenv("ETV_REDIS_SERVER");

    return name && *name ? name : "redis-server";
}

static void exec_server(const server_t *s)
{
    const char *argv[40] = {server_program(), "--daemonize", "no", "--save", "",
                            "--appendonly",   "no"};
    char port[16];
    int n = 7;

    snprintf(port, sizeof(port), "%d", s->port);
    argv[n++] = "--port";
    argv[n++] = port;
    argv[n++] = "--bind";
    argv[n++] = "127.0.0.1";
    argv[n++] = "-::1";
    argv[n++] = "--unixsocket";
    argv[n++] = s->path;
    argv[n++] = "--dir";
    argv[n++] = s->dir;
    argv[n++] = "--logfile";
    argv[n++] = "log";
    for (int i = 0; s->args && s->args[i]; i++) {
        argv[n++] = s->args[i];
    }
    argv[n] = NULL;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* hiredis and APR open nothing here; what libcheck opened is harmless */
    execvp(argv[0], (char *const *)(apr_uintptr_t)argv);
    _exit(127);
}

/** Start, or start again in the same place; waits until it answers. @return 0 when it died */
static int server_start_once(server_t *s)
{
    s->pid = fork();
    ck_assert_int_ge(s->pid, 0);
    if (!s->pid) {
        exec_server(s);
    }
    for (int i = 0; i < 2000; i++) {
        int status;

        s->admin = redisConnectUnix(s->path);
        if (s->admin && !s->admin->err) {
            return 1;
        }
        redisFree(s->admin);
        s->admin = NULL;
        if (waitpid(s->pid, &status, WNOHANG) == s->pid) {
            s->pid = 0;
            return 0;
        }
        usleep(5000);
    }
    return 0;
}

static UNUSED void server_start(server_t *s, const char *name, int tcp, const char *const *args)
{
    memset(s, 0, sizeof(*s));
    s->args = args;
    snprintf(s->dir, sizeof(s->dir), "%s/%s-%d", run_dir, name, (int)getpid());
    snprintf(s->path, sizeof(s->path), "%s/s", s->dir);
    if (mkdir(s->dir, 0700)) {
        ck_assert_int_eq(errno, EEXIST);
    }
    for (int i = 0; i < 5; i++) { /* somebody else may take the port first */
        s->port = tcp ? free_port() : 0;
        if (server_start_once(s)) {
            return;
        }
    }
    ck_abort_msg("%s does not start", server_program());
}

static UNUSED void server_kill(server_t *s)
{
    if (s->admin) {
        redisFree(s->admin);
        s->admin = NULL;
    }
    if (s->pid > 0) {
        kill(s->pid, SIGKILL);
        waitpid(s->pid, NULL, 0);
        s->pid = 0;
    }
}

/** Run a command, words separated by blanks; the reply must be no error. The caller frees it. */
static UNUSED redisReply *ask(server_t *s, const char *words)
{
    char copy[1024];
    const char *argv[32];
    int n = 0;
    char *last = NULL;
    redisReply *reply;

    snprintf(copy, sizeof(copy), "%s", words);
    for (char *w = strtok_r(copy, " ", &last); w; w = strtok_r(NULL, " ", &last)) {
        argv[n++] = w;
    }
    reply = redisCommandArgv(s->admin, n, argv, NULL);
    ck_assert_msg(reply != NULL, "%s: %s", words, s->admin->errstr);
    ck_assert_msg(reply->type != REDIS_REPLY_ERROR, "%s: %s", words, reply->str);
    return reply;
}

static UNUSED void tell(server_t *s, const char *words)
{
    freeReplyObject(ask(s, words));
}

/** SET a value of `len` bytes. */
static UNUSED void set_bytes(server_t *s, const char *key, apr_size_t len)
{
    char *value = malloc(len + 1);
    redisReply *reply;

    memset(value, 'x', len);
    reply = redisCommand(s->admin, "SET %s %b", key, value, len);
    ck_assert_int_eq(reply->type, REDIS_REPLY_STATUS);
    freeReplyObject(reply);
    free(value);
}

/* --- stores and lookups --- */

static apr_pool_t *pool;

typedef struct {
    etv_store_url_t url;
    etv_redis_config_t config;
} settings_t;

static UNUSED settings_t settings_unix(const char *path)
{
    settings_t s;

    memset(&s, 0, sizeof(s));
    s.url.kind = ETV_STORE_URL_REDIS_UNIX;
    s.url.path = path;
    s.url.canonical = "redis+unix://test";
    s.config.prefix = "v:";
    s.config.connect_timeout_us = MS(2000);
    s.config.command_timeout_us = MS(1000);
    s.config.connections_most = 4;
    s.config.log.fn = remember;
    return s;
}

static UNUSED settings_t settings_tcp(const char *host, int port)
{
    settings_t s = settings_unix(NULL);

    s.url.kind = ETV_STORE_URL_REDIS_TCP;
    s.url.host = host;
    s.url.port = (apr_port_t)port;
    s.url.canonical = "redis://test";
    return s;
}

static UNUSED etv_store_t *store_make(settings_t *s)
{
    etv_store_t *store = NULL;

    s->config.url = &s->url;
    ck_assert_int_eq(etv_redis_create(pool, &s->config, &store), APR_SUCCESS);
    return store;
}

static UNUSED etv_model_t model(const char *name, int may_create)
{
    etv_model_t m;

    memset(&m, 0, sizeof(m));
    m.name = name;
    m.name_len = strlen(name);
    m.hash = etv_hash_name(name, m.name_len);
    m.may_create = may_create ? 1 : 0;
    m.state = (etv_model_state_e)99;
    return m;
}

/** One lookup of one model. */
static UNUSED etv_lookup_e look(etv_store_t *store, const char *name, int may_create,
                                etv_model_t *m, etv_snapshot_t *snapshot)
{
    etv_snapshot_t other;

    *m = model(name, may_create);
    return store->ops->lookup(store, pool, m, 1, snapshot ? snapshot : &other);
}

#define ASSERT_TOKEN(m, text)                                                                      \
    do {                                                                                           \
        ck_assert_int_eq((m).state, ETV_MODEL_FOUND);                                              \
        ck_assert_uint_eq((m).token_len, strlen(text));                                            \
        ck_assert_int_eq(memcmp((m).token, text, strlen(text)), 0);                                \
    } while (0)

static UNUSED int same_instance(const etv_snapshot_t *a, const etv_snapshot_t *b)
{
    return memcmp(a->instance, b->instance, ETV_INSTANCE_BYTES) == 0;
}

/* --- peers that misbehave --- */

typedef struct fake_t fake_t;
typedef void serve_fn(fake_t *f, int fd);

struct fake_t {
    int fd;
    int port;
    char path[100];
    pthread_t thread;
    serve_fn *serve;
    const char *text; /* for the serve function */
    atomic_int stop;
    atomic_int served; /* connections */
};

static void *fake_run(void *arg)
{
    fake_t *f = arg;

    while (!atomic_load(&f->stop)) {
        struct pollfd p = {.fd = f->fd, .events = POLLIN};

        if (poll(&p, 1, 20) > 0) {
            int fd = accept4(f->fd, NULL, NULL, SOCK_CLOEXEC);

            if (fd >= 0) {
                atomic_fetch_add(&f->served, 1);
                f->serve(f, fd);
                close(fd);
            }
        }
    }
    return NULL;
}

/** Listen on a unix socket; serve NULL: never accept. */
static UNUSED void fake_start(fake_t *f, serve_fn *serve, const char *text, int backlog)
{
    static int count;
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    memset(f, 0, sizeof(*f));
    snprintf(f->path, sizeof(f->path), "%s/fake-%d-%d", run_dir, (int)getpid(), count++);
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", f->path);
    f->serve = serve;
    f->text = text;
    f->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(f->fd, (struct sockaddr *)&a, sizeof(a)), 0);
    ck_assert_int_eq(listen(f->fd, backlog), 0);
    if (serve) {
        ck_assert_int_eq(pthread_create(&f->thread, NULL, fake_run, f), 0);
    }
}

static UNUSED void fake_stop(fake_t *f)
{
    atomic_store(&f->stop, 1);
    if (f->serve) {
        pthread_join(f->thread, NULL);
    }
    close(f->fd);
}

/** Read until the text has come. @return 0 when the peer left, or the test ends */
static UNUSED int fake_await(fake_t *f, int fd, const char *text)
{
    char all[65536];
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
        if (strstr(all, text)) {
            return 1;
        }
    }
    return 0;
}

/** @return 0 when the peer left */
static UNUSED int fake_say(int fd, const char *text, apr_size_t len)
{
    while (len) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

        if (n <= 0) {
            return 0;
        }
        text += n;
        len -= (apr_size_t)n;
    }
    return 1;
}

#define FAKE_MEMORY "$39\r\n# Memory\r\nmaxmemory_policy:noeviction\r\n\r\n"
#define FAKE_QUEUED "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n"
#define FAKE_INFO                                                                                  \
    "$22\r\n# Server\r\nrun_id:abc\r\n\r\n$34\r\n# Replication\r\nmaster_replid:def\r\n\r\n"
#define FAKE_CLOSED ":0\r\n"
#define FAKE_MASTER "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"
/** The answer to the first lookup of one model by a connection, without a secret. */
#define FAKE_ANSWER                                                                                \
    FAKE_QUEUED "*5\r\n*2\r\n$5\r\nepoch\r\n$1\r\n7\r\n" FAKE_CLOSED FAKE_INFO FAKE_MASTER

/** The handshake. */
static UNUSED int fake_greet(fake_t *f, int fd)
{
    return fake_await(f, fd, "memory\r\n") && fake_say(fd, FAKE_MEMORY, strlen(FAKE_MEMORY));
}

/** Greet, then say f->text after each transaction. */
static UNUSED void serve_text(fake_t *f, int fd)
{
    if (fake_greet(f, fd)) {
        while (fake_await(f, fd, "EXEC\r\n") && fake_say(fd, f->text, strlen(f->text))) {
        }
    }
}

/* --- what each test begins and ends with --- */

static void pool_setup(void)
{
    seen.n = 0;
    apr_pool_create(&pool, NULL);
}

static void pool_teardown(void)
{
    apr_pool_destroy(pool);
    pool = NULL;
}

/* --- one server for a whole suite, emptied before each test --- */

static server_t server;

static UNUSED void suite_setup(void)
{
    server_start(&server, "main", 1, NULL);
}

static UNUSED void suite_teardown(void)
{
    server_kill(&server);
}

static UNUSED void setup(void)
{
    pool_setup();
    /* The test runs in a child of its own: the connection of the parent is not its to use. */
    redisFree(server.admin);
    server.admin = redisConnectUnix(server.path);
    ck_assert(server.admin && !server.admin->err);
    tell(&server, "FLUSHALL");
}

static UNUSED void teardown(void)
{
    redisFree(server.admin);
    server.admin = NULL;
    pool_teardown();
}

/* --- main --- */

static UNUSED int run_suite(Suite *suite)
{
    SRunner *runner;
    int failed;

    apr_initialize();
    run_dir_make();
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    run_dir_remove();
    apr_terminate();
    return failed ? 1 : 0;
}

#endif
