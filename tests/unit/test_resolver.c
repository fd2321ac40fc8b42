/* SPDX-License-Identifier: Apache-2.0 */
#include "store/resolver.h"

#include <netinet/in.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

#include "etv_check.h"
#include "store/boottime.h"

#define MS(n) ((apr_interval_time_t)(n) * 1000)

static atomic_int calls;
static atomic_int delay_ms;
static atomic_int fails;
static atomic_int done;
static atomic_int signals_open;

/** In place of getaddrinfo: the port of the address tells which call it was. */
static int look_up_slowly(const char *host, apr_port_t port, etv_redis_addr_t *addrs, int *error)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&addrs[0].addr;
    int call = atomic_fetch_add(&calls, 1) + 1;
    sigset_t set;

    (void)port;
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    if (!sigismember(&set, SIGTERM) || !sigismember(&set, SIGUSR1)) {
        atomic_store(&signals_open, 1);
    }
    if (strcmp(host, "host.test")) {
        *error = EAI_FAIL;
        return 0;
    }
    usleep((useconds_t)atomic_load(&delay_ms) * 1000);
    atomic_fetch_add(&done, 1);
    if (atomic_load(&fails)) {
        *error = EAI_NONAME;
        return 0;
    }
    memset(in, 0, sizeof(*in));
    in->sin_family = AF_INET;
    in->sin_port = htons((unsigned short)call);
    addrs[0].len = sizeof(*in);
    return 1;
}

static int call_of(const etv_redis_addr_t *addr)
{
    return ntohs(((const struct sockaddr_in *)&addr->addr)->sin_port);
}

static etv_resolver_t *make(const char *host, int each_takes_ms, int each_fails)
{
    etv_store_url_t url = {.kind = ETV_STORE_URL_REDIS_TCP, .host = host, .port = 6379};
    etv_resolver_t *r = NULL;

    atomic_store(&calls, 0);
    atomic_store(&done, 0);
    atomic_store(&delay_ms, each_takes_ms);
    atomic_store(&fails, each_fails);
    ck_assert_int_eq(etv_resolver_create(&url, look_up_slowly, &r), APR_SUCCESS);
    return r;
}

/** Until `n` calls have ended; the thread that was told to stop needs a moment, too. */
static void await_done(int n)
{
    for (int i = 0; i < 5000 && atomic_load(&done) < n; i++) {
        usleep(1000);
    }
    ck_assert_int_ge(atomic_load(&done), n);
}

START_TEST(numbers_need_no_thread)
{
    static const struct {
        const char *host;
        int family;
    } row[] = {{"127.0.0.1", AF_INET}, {"::1", AF_INET6}, {"192.0.2.1", AF_INET}};

    for (size_t i = 0; i < ETV_ROWS(row); i++) {
        etv_resolver_t *r = make(row[i].host, 0, 0);
        etv_redis_addr_t addrs[ETV_RESOLVER_MOST];
        int error = 1;

        ck_assert_int_eq(etv_resolver_addrs(r, 0, addrs, &error), 1);
        ck_assert_int_eq(error, 0);
        ck_assert_int_eq(addrs[0].addr.ss_family, row[i].family);
        ck_assert_int_eq(call_of(&addrs[0]), 6379); /* the port is at the same place in both */
        etv_resolver_kick(r);
        etv_resolver_destroy(r);
    }
    ck_assert_int_eq(atomic_load(&calls), 0);
}
END_TEST

START_TEST(sockets_need_no_thread)
{
    etv_store_url_t url = {.kind = ETV_STORE_URL_REDIS_UNIX, .path = "/run/r.sock"};
    etv_redis_addr_t addrs[ETV_RESOLVER_MOST];
    char longest[200];
    etv_resolver_t *r;
    int error;

    ck_assert_int_eq(etv_resolver_create(&url, NULL, &r), APR_SUCCESS);
    ck_assert_int_eq(etv_resolver_addrs(r, 0, addrs, &error), 1);
    ck_assert_str_eq(((struct sockaddr_un *)&addrs[0].addr)->sun_path, "/run/r.sock");
    etv_resolver_destroy(r);
    memset(longest, 'a', sizeof(longest));
    longest[107] = '\0';
    url.path = longest;
    ck_assert_int_eq(etv_resolver_create(&url, NULL, &r), APR_SUCCESS);
    etv_resolver_destroy(r);
    longest[107] = 'a';
    longest[108] = '\0';
    ck_assert_int_eq(etv_resolver_create(&url, NULL, &r), APR_ENAMETOOLONG);
}
END_TEST

START_TEST(first_request_waits_for_the_name)
{
    etv_redis_addr_t addrs[ETV_RESOLVER_MOST];
    etv_resolver_t *r;
    int error;

    r = make("host.test", 100, 0);
    ck_assert_int_eq(etv_resolver_addrs(r, 0, addrs, &error), 0); /* no time to wait */
    ck_assert_int_eq(error, 0);
    ck_assert_int_eq(etv_resolver_addrs(r, etv_boottime_us() + MS(5000), addrs, &error), 1);
    ck_assert_int_eq(call_of(&addrs[0]), 1);
    ck_assert_int_eq(atomic_load(&signals_open), 0);
    etv_resolver_destroy(r);
}
END_TEST

START_TEST(failure_is_told_at_once)
{
    etv_redis_addr_t addrs[ETV_RESOLVER_MOST];
    etv_resolver_t *r;
    int error = 0;

    r = make("host.test", 0, 1);
    ck_assert_int_eq(etv_resolver_addrs(r, etv_boottime_us() + MS(60000), addrs, &error), 0);
    ck_assert_int_eq(error, EAI_NONAME);
    etv_resolver_destroy(r);
}
END_TEST

START_TEST(kicks_are_limited_and_failures_keep_addresses)
{
    etv_redis_addr_t addrs[ETV_RESOLVER_MOST];
    etv_resolver_t *r = make("host.test", 0, 0);
    int error;

    ck_assert_int_eq(etv_resolver_addrs(r, etv_boottime_us() + MS(5000), addrs, &error), 1);
    for (int i = 0; i < 200; i++) {
        etv_resolver_kick(r);
    }
    usleep(300000);
    ck_assert_int_eq(atomic_load(&calls), 1); /* not yet: once per second */
    await_done(2);
    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(etv_resolver_addrs(r, 0, addrs, &error), 1);
        if (call_of(&addrs[0]) == 2) {
            break;
        }
        usleep(1000);
    }
    ck_assert_int_eq(call_of(&addrs[0]), 2);
    atomic_store(&fails, 1);
    etv_resolver_kick(r);
    await_done(3);
    usleep(10000);
    ck_assert_int_eq(etv_resolver_addrs(r, 0, addrs, &error), 1);
    ck_assert_int_eq(call_of(&addrs[0]), 2);
    etv_resolver_destroy(r);
}
END_TEST

START_TEST(stopping_does_not_wait_for_the_name)
{
    apr_time_t start;
    etv_resolver_t *r;

    r = make("host.test", 700, 0);
    while (!atomic_load(&calls)) {
        usleep(1000);
    }
    start = etv_boottime_us();
    etv_resolver_destroy(r);
    ck_assert_int_lt(etv_boottime_us() - start, MS(600));
    ck_assert_int_eq(atomic_load(&done), 0);
    await_done(1); /* the thread frees what is left, under the eyes of the sanitizers */
}
END_TEST

START_TEST(stopping_many)
{
    for (int i = 0; i < 200; i++) {
        etv_resolver_t *r = make("host.test", 0, 0);

        if (i % 2) {
            etv_resolver_kick(r);
        }
        etv_resolver_destroy(r);
    }
    usleep(50000);
}
END_TEST

int main(void)
{
    return etv_check_run("resolver", (const TTest *const[]){
                                         numbers_need_no_thread, sockets_need_no_thread,
                                         first_request_waits_for_the_name, failure_is_told_at_once,
                                         kicks_are_limited_and_failures_keep_addresses,
                                         stopping_does_not_wait_for_the_name, stopping_many, NULL});
}
