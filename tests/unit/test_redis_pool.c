/* SPDX-License-Identifier: Apache-2.0 */
/* The Redis store under many threads, with servers that freeze, die and come back. */
#include "redis_fixture.h"

/* Deadlines of these tests. */
#define CONNECT_MS 100
#define COMMAND_MS 50

static settings_t settings_quick(const char *path)
{
    settings_t s = settings_unix(path);

    s.config.connect_timeout_us = MS(CONNECT_MS);
    s.config.command_timeout_us = MS(COMMAND_MS);
    return s;
}

static void serve_greeting_only(fake_t *f, int fd)
{
    if (fake_greet(f, fd)) {
        fake_await(f, fd, "never");
    }
}

typedef struct {
    etv_store_t *store;
    int rounds, ok, unavailable, slow;
    atomic_int *stop;
} worker_t;

static void *work(void *arg)
{
    worker_t *w = arg;
    apr_pool_t *p;

    apr_pool_create(&p, NULL);
    for (int i = 0; w->stop ? !atomic_load(w->stop) : i < w->rounds; i++) {
        etv_model_t m = model("m", 1);
        etv_snapshot_t snapshot;
        apr_time_t start = etv_boottime_us();

        if (w->store->ops->lookup(w->store, p, &m, 1, &snapshot) == ETV_LOOKUP_OK) {
            w->ok++;
        } else {
            w->unavailable++;
        }
        w->slow += etv_boottime_us() - start >= MS(COMMAND_MS) * 9 / 10;
        apr_pool_clear(p);
        if (w->stop) {
            usleep(1000);
        }
    }
    apr_pool_destroy(p);
    return NULL;
}

static void start_workers(worker_t *w, pthread_t *thread, int n, etv_store_t *store, int rounds,
                          atomic_int *stop)
{
    memset(w, 0, (size_t)n * sizeof(*w));
    for (int i = 0; i < n; i++) {
        w[i].store = store;
        w[i].rounds = rounds;
        w[i].stop = stop;
        ck_assert_int_eq(pthread_create(&thread[i], NULL, work, &w[i]), 0);
    }
}

static worker_t join_workers(worker_t *w, pthread_t *thread, int n)
{
    worker_t sum;

    memset(&sum, 0, sizeof(sum));
    for (int i = 0; i < n; i++) {
        pthread_join(thread[i], NULL);
        sum.ok += w[i].ok;
        sum.unavailable += w[i].unavailable;
        sum.slow += w[i].slow;
    }
    return sum;
}

static long long info_number(server_t *own, const char *section, const char *name)
{
    char command[64];
    redisReply *reply;
    const char *at;
    long long value;

    snprintf(command, sizeof(command), "INFO %s", section);
    reply = ask(own, command);
    at = strstr(reply->str, name);
    ck_assert_ptr_nonnull(at);
    value = atoll(at + strlen(name));
    freeReplyObject(reply);
    return value;
}

START_TEST(pool_is_bounded)
{
    server_t own;
    settings_t s;
    worker_t w[16], sum;
    pthread_t thread[16];
    long long before;

    server_start(&own, "pool", 0, NULL);
    s = settings_unix(own.path);
    s.config.connections_most = 3;
    s.config.connect_timeout_us = MS(20000);
    s.config.command_timeout_us = MS(20000);
    before = info_number(&own, "stats", "total_connections_received:");
    start_workers(w, thread, 16, store_make(&s), 100, NULL);
    sum = join_workers(w, thread, 16);
    ck_assert_int_eq(sum.ok, 1600);
    ck_assert_int_eq(sum.unavailable, 0);
    ck_assert_int_le(info_number(&own, "stats", "total_connections_received:") - before, 3);
    ck_assert_int_eq(seen.n, 0);
    server_kill(&own);
}
END_TEST

START_TEST(busy_pool_does_not_hold_up)
{
    settings_t s;
    fake_t f;
    etv_store_t *store;
    worker_t w[4], sum;
    pthread_t thread[4];

    fake_start(&f, serve_greeting_only, NULL, 8);
    s = settings_unix(f.path);
    s.config.connections_most = 1;
    s.config.connect_timeout_us = MS(5000);
    s.config.command_timeout_us = MS(200);
    store = store_make(&s);
    start_workers(w, thread, 4, store, 1, NULL);
    sum = join_workers(w, thread, 4);
    ck_assert_int_eq(sum.unavailable, 4);
    ck_assert_int_le(atomic_load(&f.served), 4);
    ck_assert_int_ge(logged("ETV0119") + logged("ETV0107"), 1);
    fake_stop(&f);
}
END_TEST

/** Wait until every lookup succeeds again. */
static void await_recovery(etv_store_t *store)
{
    for (int i = 0; i < 1000; i++) {
        etv_model_t m;

        if (look(store, "m", 1, &m, NULL) == ETV_LOOKUP_OK) {
            return;
        }
        usleep(10000);
    }
    ck_abort_msg("the store does not recover");
}

START_TEST(frozen_server)
{
    server_t own;
    settings_t s;
    etv_store_t *store;
    worker_t w[16], sum;
    pthread_t thread[16];
    atomic_int stop;

    server_start(&own, "frozen", 0, NULL);
    s = settings_quick(own.path);
    s.config.connections_most = 16;
    store = store_make(&s);
    start_workers(w, thread, 16, store, 30, NULL); /* opens connections */
    join_workers(w, thread, 16);
    kill(own.pid, SIGSTOP);
    atomic_init(&stop, 0);
    start_workers(w, thread, 16, store, 0, &stop);
    usleep(700000);
    atomic_store(&stop, 1);
    sum = join_workers(w, thread, 16);
    ck_assert_int_eq(sum.ok, 0);
    /* Each thread may have been under way when it froze; then single probes. Without a breaker
     * every lookup would be slow, some 10 per thread. */
    ck_assert_int_gt(sum.unavailable, 16);
    ck_assert_msg(sum.slow <= 16 + 8, "%d slow of %d", sum.slow, sum.unavailable);
    ck_assert_int_eq(logged("ETV0117"), 1);
    kill(own.pid, SIGCONT);
    await_recovery(store);
    ck_assert_int_eq(logged("ETV0118"), 1);
    server_kill(&own);
}
END_TEST

START_TEST(killed_and_restarted_server)
{
    server_t own;
    settings_t s;
    etv_store_t *store;
    worker_t w[8], sum;
    pthread_t thread[8];
    atomic_int stop;

    server_start(&own, "killed", 0, NULL);
    s = settings_quick(own.path);
    store = store_make(&s);
    atomic_init(&stop, 0);
    start_workers(w, thread, 8, store, 0, &stop);
    usleep(100000);
    server_kill(&own);
    usleep(300000);
    ck_assert(server_start_once(&own));
    await_recovery(store);
    usleep(100000);
    atomic_store(&stop, 1);
    sum = join_workers(w, thread, 8);
    ck_assert_int_gt(sum.ok, 0);
    ck_assert_int_gt(sum.unavailable, 0);
    for (int i = 0; i < 20; i++) {
        etv_model_t m;

        ck_assert_int_eq(look(store, "m", 1, &m, NULL), ETV_LOOKUP_OK);
    }
    ck_assert_int_le(seen.n, 8); /* one per kind, however many requests failed */
    server_kill(&own);
}
END_TEST

/** Connections of one process come and go under load: nothing leaks, nothing hangs. */
START_TEST(clients_are_killed_under_load)
{
    server_t own;
    settings_t s;
    etv_store_t *store;
    worker_t w[8], sum;
    pthread_t thread[8];
    atomic_int stop;

    server_start(&own, "clients", 0, NULL);
    s = settings_unix(own.path);
    s.config.connections_most = 8;
    store = store_make(&s);
    atomic_init(&stop, 0);
    start_workers(w, thread, 8, store, 0, &stop);
    for (int i = 0; i < 50; i++) {
        tell(&own, "CLIENT KILL TYPE normal SKIPME yes");
        usleep(10000);
    }
    atomic_store(&stop, 1);
    sum = join_workers(w, thread, 8);
    ck_assert_int_gt(sum.ok, 0);
    await_recovery(store);
    ck_assert_int_le(info_number(&own, "clients", "connected_clients:"), 8 + 1);
    server_kill(&own);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("redis_pool");
    TCase *tc = tcase_create("redis_pool");

    suite_add_tcase(suite, tc);
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, pool_setup, pool_teardown);
    tcase_add_test(tc, pool_is_bounded);
    tcase_add_test(tc, busy_pool_does_not_hold_up);
    tcase_add_test(tc, frozen_server);
    tcase_add_test(tc, killed_and_restarted_server);
    tcase_add_test(tc, clients_are_killed_under_load);
    return run_suite(suite);
}
