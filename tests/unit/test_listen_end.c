/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that listens ends when it shall, whatever the server does, and leaves nothing behind.
 */
#include <dirent.h>

#include "leased_fixture.h"

static int count_entries(const char *path)
{
    DIR *dir = opendir(path);
    int n = 0;

    ck_assert_ptr_nonnull(dir);
    while (readdir(dir)) {
        n++;
    }
    closedir(dir);
    return n;
}

/** Threads that were detached may take a moment to vanish. */
static void await_entries(const char *path, int n)
{
    while (count_entries(path) > n) {
        usleep(1000);
    }
}

/* A helper of a sanitizer's may be started with the first thread. */
static void *nothing(void *baton)
{
    return baton;
}

static void start_and_end(settings_t *s, int n, int wait_us)
{
    int threads, fds;
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, nothing, NULL), 0);
    pthread_join(thread, NULL);
    threads = count_entries("/proc/self/task");
    fds = count_entries("/proc/self/fd");
    s->config.url = &s->url;
    for (int i = 0; i < n; i++) {
        apr_pool_t *own;
        etv_store_t *store;

        apr_pool_create(&own, pool);
        ck_assert_int_eq(etv_redis_create(own, &s->config, &store), APR_SUCCESS);
        if (wait_us) {
            usleep((useconds_t)(wait_us * (i % 8) / 8));
        }
        if (i % 3 == 0) {
            store->ops->retire(store);
        }
        /* What does not end in time is never freed, and would be counted below. */
        apr_pool_destroy(own);
    }
    await_entries("/proc/self/task", threads);
    await_entries("/proc/self/fd", fds);
}

START_TEST(it_ends_at_any_moment)
{
    settings_t s = settings_leased(server.path, etv_make_mirror(64), 1000);

    start_and_end(&s, etv_some(200), 4000);
}
END_TEST

START_TEST(it_ends_when_the_server_is_frozen)
{
    settings_t s = settings_leased(server.path, etv_make_mirror(64), 1000);

    kill(server.pid, SIGSTOP);
    s.config.connect_timeout_us = apr_time_from_sec(600);
    start_and_end(&s, etv_some(50), 4000);
    kill(server.pid, SIGCONT);
}
END_TEST

START_TEST(it_ends_when_the_server_freezes)
{
    settings_t s = settings_leased(server.path, etv_make_mirror(64), 60000);

    for (int i = 0; i < 4; i++) {
        apr_pool_t *own;
        etv_store_t *store;

        s.config.url = &s.url;
        s.config.lease_us = i % 2 ? MS(60000) : MS(200);
        apr_pool_create(&own, pool);
        ck_assert_int_eq(etv_redis_create(own, &s.config, &store), APR_SUCCESS);
        await_use(&s);
        kill(server.pid, SIGSTOP);
        usleep(i < 2 ? 0 : 100000);
        apr_pool_destroy(own);
        ck_assert_int_eq(in_use(&s), 0);
        ck_assert_int_eq(etv_channel_leader_until(s.config.channel), 0);
        kill(server.pid, SIGCONT);
    }
}
END_TEST

START_TEST(it_ends_when_nobody_answers)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    settings_t s = settings_leased(NULL, etv_make_mirror(64), 1000);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    ck_assert_int_eq(listen(fd, 0), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    s.url.kind = ETV_STORE_URL_REDIS_TCP;
    s.url.host = "127.0.0.1";
    s.url.port = ntohs(a.sin_port);
    s.config.connect_timeout_us = apr_time_from_sec(600);
    start_and_end(&s, etv_some(30), 4000); /* in the backlog, and before it */
    close(fd);
    start_and_end(&s, etv_some(30), 4000); /* refused, and between two attempts */
}
END_TEST

/** A test that failed may have left it frozen. */
static void thaw(void)
{
    kill(server.pid, SIGCONT);
}

int main(void)
{
    Suite *suite = suite_create("listen_end");
    TCase *tc = tcase_create("listen_end");

    suite_add_tcase(suite, tc);
    tcase_set_timeout(tc, 60);
    tcase_add_unchecked_fixture(tc, suite_setup, suite_teardown);
    tcase_add_checked_fixture(tc, thaw, NULL);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, it_ends_at_any_moment);
    tcase_add_test(tc, it_ends_when_the_server_is_frozen);
    tcase_add_test(tc, it_ends_when_the_server_freezes);
    tcase_add_test(tc, it_ends_when_nobody_answers);
    return run_suite(suite);
}
