/* SPDX-License-Identifier: Apache-2.0 */
/* How long a primary is trusted that sentinels named, and what happens when they name another. */
#include "sentinel_fixture.h"

/* --- the resolver --- */

#define PATIENCE (etv_boottime_us() + MS(20000))

static etv_resolver_t *resolver_of(sentinel_t *s, int lease_ms)
{
    etv_resolver_t *r = NULL;
    address_t a;

    address_of(&a, (sentinel_t *const[]){s, NULL}, "127.0.0.1");
    ck_assert_int_eq(etv_resolver_create_sentinels(&a.url, NULL, MS(lease_ms), look_up, &r),
                     APR_SUCCESS);
    return r;
}

/** The port of the only address. */
static int port_known(etv_resolver_t *r)
{
    etv_redis_addr_t addrs[ETV_RESOLVER_MOST];
    int error;

    ck_assert_int_eq(etv_resolver_addrs(r, PATIENCE, addrs, &error), 1);
    return ntohs(((const struct sockaddr_in *)&addrs[0].addr)->sin_port);
}

static void expect_confirmed(etv_resolver_t *r, unsigned serial, int port)
{
    apr_time_t now = etv_boottime_us();
    apr_time_t at = 0;
    unsigned now_serial;

    /* after a time in which all failed, the next round has to come first */
    while (!at && etv_boottime_us() < now + MS(20000)) {
        at = etv_resolver_confirmed(r, now, PATIENCE, &now_serial);
    }
    ck_assert(at >= now && at <= etv_boottime_us());
    ck_assert_uint_eq(now_serial, serial);
    ck_assert_int_eq(port_known(r), port);
}

START_TEST(confirmed_and_renamed)
{
    sentinel_t s;
    etv_resolver_t *r;
    unsigned serial = 9;

    sentinel_start(&s);
    r = resolver_of(&s, 80);
    expect_confirmed(r, 0, 7001);
    ck_assert(etv_resolver_confirmed(r, 1, 0, &serial) > 1); /* what is known needs no time */
    ck_assert_uint_eq(serial, 0);
    ck_assert_int_eq(etv_resolver_confirmed(r, PATIENCE, etv_boottime_us() + MS(30), &serial), 0);
    sentinel_names(&s, "127.0.0.1", 7002, "master");
    expect_confirmed(r, 1, 7002);
    sentinel_names(&s, "host.test", 7002, "master"); /* the same place */
    expect_confirmed(r, 1, 7002);
    sentinel_names(&s, "host.test", 7003, "master");
    expect_confirmed(r, 2, 7003);
    sentinel_names(&s, "::1", 7003, "master");
    expect_confirmed(r, 3, 7003);
    etv_resolver_destroy(r);
    sentinel_stop(&s);
}
END_TEST

START_TEST(doubted)
{
    static const char *const wrong[] = {"-NOQUORUM x\r\n" ADDRESS PRIMARY,
                                        FLAGS("13", "s_down,master"), UNKNOWN "*-1\r\n" UNKNOWN};
    static const etv_sentinel_e is[] = {ETV_SENTINEL_ALONE, ETV_SENTINEL_DOUBTS,
                                        ETV_SENTINEL_NOT_WATCHED, ETV_SENTINEL_NAMELESS};
    sentinel_t s;
    etv_resolver_t *r;

    sentinel_start(&s);
    r = resolver_of(&s, 80);
    for (int i = 0; i < 4; i++) {
        apr_time_t asked;
        unsigned serial;

        expect_confirmed(r, 0, 7001);
        if (i < 3) {
            sentinel_says(&s, wrong[i]);
        } else {
            sentinel_names(&s, "elsewhere.test", 7001, "master");
        }
        asked = etv_boottime_us();
        ck_assert_int_eq(etv_resolver_confirmed(r, asked, PATIENCE, &serial), 0);
        ck_assert_int_lt(etv_boottime_us() - asked, MS(10000)); /* told, not timed out */
        ck_assert_int_eq(etv_resolver_doubt(r), is[i]);
        ck_assert_int_eq(port_known(r), 7001); /* known, but not trusted */
        sentinel_names(&s, "127.0.0.1", 7001, "master");
    }
    expect_confirmed(r, 0, 7001);
    ck_assert_int_eq(etv_resolver_doubt(r), ETV_SENTINEL_CONFIRMS);
    etv_resolver_destroy(r);
    sentinel_stop(&s);
}
END_TEST

START_TEST(never_confirmed)
{
    etv_redis_addr_t addrs[ETV_RESOLVER_MOST];
    sentinel_t s;
    etv_resolver_t *r;
    unsigned serial;
    int error;

    sentinel_start(&s);
    sentinel_says(&s, "-NOQUORUM x\r\n" ADDRESS PRIMARY);
    r = resolver_of(&s, 80);
    for (int i = 0; i < 50; i++) {
        ck_assert_int_eq(etv_resolver_confirmed(r, 0, PATIENCE, &serial), 0);
        ck_assert_int_eq(etv_resolver_addrs(r, PATIENCE, addrs, &error), 0);
        ck_assert_int_eq(error, 0);
    }
    etv_resolver_kick(r);
    sentinel_names(&s, "127.0.0.1", 7001, "master");
    expect_confirmed(r, 0, 7001);
    etv_resolver_destroy(r);
    sentinel_stop(&s);
}
END_TEST

START_TEST(not_asked_when_nobody_wants_to_know)
{
    sentinel_t s;
    etv_resolver_t *r;
    int before = -1;

    sentinel_start(&s);
    r = resolver_of(&s, 80);
    for (int round = 0; round < 2; round++) {
        expect_confirmed(r, 0, 7001);
        for (int i = 0; i < 40 && atomic_load(&s.asked) != before; i++) {
            before = atomic_load(&s.asked);
            usleep(500000);
        }
        ck_assert_int_eq(atomic_load(&s.asked), before);
    }
    etv_resolver_destroy(r);
    sentinel_stop(&s);
}
END_TEST

typedef struct {
    etv_resolver_t *r;
    atomic_int stop;
    atomic_int confirmed;
} crowd_t;

static void *want(void *arg)
{
    crowd_t *c = arg;
    unsigned last = 0;

    while (!atomic_load(&c->stop)) {
        apr_time_t now = etv_boottime_us();
        unsigned serial;

        if (etv_resolver_confirmed(c->r, now - MS(80), now + MS(1000), &serial)) {
            ck_assert_int_ge((int)(serial - last), 0);
            last = serial;
            atomic_fetch_add(&c->confirmed, 1);
        }
    }
    return NULL;
}

START_TEST(many_want_to_know)
{
    pthread_t thread[4];
    sentinel_t s;
    crowd_t c;

    sentinel_start(&s);
    memset(&c, 0, sizeof(c));
    c.r = resolver_of(&s, 80);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_create(&thread[i], NULL, want, &c), 0);
    }
    for (int i = 2; i < 8; i++) {
        sentinel_names(&s, "127.0.0.1", 7000 + i, i % 4 ? "master" : "s_down,master");
        if (i % 4) {
            int before = atomic_load(&c.confirmed);

            while (port_known(c.r) != 7000 + i || atomic_load(&c.confirmed) == before) {
                usleep(1000);
            }
        }
    }
    atomic_store(&c.stop, 1);
    for (int i = 0; i < 4; i++) {
        pthread_join(thread[i], NULL);
    }
    etv_resolver_destroy(c.r);
    sentinel_stop(&s);
}
END_TEST

START_TEST(stopping_does_not_wait)
{
    sentinel_t s;
    int before;

    sentinel_start(&s);
    for (int i = 0; i < 100; i++) {
        etv_resolver_t *r = resolver_of(&s, 80);

        if (i % 3 == 1) {
            etv_resolver_kick(r);
        } else if (i % 3 == 2 && i < 30) {
            expect_confirmed(r, 0, 7001);
        }
        etv_resolver_destroy(r);
    }
    sentinel_says(&s, "");
    before = atomic_load(&s.asked);
    etv_resolver_t *r = resolver_of(&s, 80);
    while (atomic_load(&s.asked) == before) {
        usleep(1000);
    }
    etv_resolver_destroy(r); /* its thread waits for an answer just now */
    sentinel_stop(&s);
    usleep(300000); /* and ends under the eyes of the sanitizers */
}
END_TEST

/* --- the store --- */

static int clients_of(server_t *of)
{
    redisReply *reply = ask(of, "CLIENT LIST TYPE normal");
    int n = 0;

    for (const char *c = reply->str; (c = strstr(c, "id=")); c++) {
        n++;
    }
    freeReplyObject(reply);
    return n;
}

/** Look until the store gives this token; NULL: until it gives none. */
static void await_token(etv_store_t *store, const char *token)
{
    apr_time_t until = PATIENCE;
    etv_model_t m;
    int same = 0;

    while (!same && etv_boottime_us() < until) {
        etv_lookup_e is = look(store, "m", 0, &m, NULL);

        same = token ? is == ETV_LOOKUP_OK && m.token_len == strlen(token) &&
                           memcmp(m.token, token, m.token_len) == 0
                     : is != ETV_LOOKUP_OK;
    }
    ck_assert(same);
}

START_TEST(store_follows)
{
    server_t a, b;
    sentinel_t s;
    address_t address;
    settings_t settings;
    etv_store_t *store;

    run_dir_make();
    server_start(&a, "a", 1, NULL);
    server_start(&b, "b", 1, NULL);
    tell(&a, "SET v:m 1");
    tell(&b, "SET v:m 2");
    sentinel_start(&s);
    sentinel_names(&s, "127.0.0.1", a.port, "master");
    address_of(&address, (sentinel_t *const[]){&s, NULL}, "127.0.0.1");
    settings = settings_unix(NULL);
    settings.url = address.url;
    settings.url.canonical = "redis+sentinel://test";
    settings.config.lease_us = MS(200);
    store = store_make(&settings);
    memset(&address, 0, sizeof(address)); /* which the store has copied */
    await_token(store, "1");
    ck_assert_int_eq(clients_of(&a), 2); /* the test's own, and the store's */

    sentinel_names(&s, "127.0.0.1", b.port, "master");
    await_token(store, "2");
    ck_assert_int_eq(logged("ETV0124"), 1);
    for (int i = 0; i < 1000 && clients_of(&a) > 1; i++) {
        usleep(5000);
    }
    ck_assert_int_eq(clients_of(&a), 1);

    sentinel_names(&s, "127.0.0.1", b.port, "s_down,master");
    await_token(store, NULL);
    ck_assert_int_eq(logged("ETV0122"), 1);
    sentinel_names(&s, "127.0.0.1", b.port, "master");
    await_token(store, "2");
    sentinel_says(&s, UNKNOWN "*-1\r\n" UNKNOWN);
    await_token(store, NULL);
    ck_assert_int_eq(logged("ETV0123"), 1);
    server_kill(&a);
    server_kill(&b);
    sentinel_stop(&s);
    run_dir_remove();
}
END_TEST

int main(void)
{
    return etv_check_run("sentinel_store",
                         (const TTest *const[]){confirmed_and_renamed, doubted, never_confirmed,
                                                not_asked_when_nobody_wants_to_know,
                                                many_want_to_know, stopping_does_not_wait,
                                                store_follows, NULL});
}
