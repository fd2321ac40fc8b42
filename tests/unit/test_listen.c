/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who listens to the server, against a real one: changes are heard, whatever becomes of leaders and
 * connections nothing older than the lease is taken for true.
 */
#include "leased_fixture.h"
#include "proxy_fixture.h"

#define CHILDREN 3

/** Stores that are to each other as children of one host. */
typedef struct {
    settings_t s;
    apr_pool_t *pool[CHILDREN];
    etv_store_t *store[CHILDREN];
} host_t;

static void child_start(host_t *h, int i)
{
    h->s.config.url = &h->s.url;
    apr_pool_create(&h->pool[i], pool);
    ck_assert_int_eq(etv_redis_create(h->pool[i], &h->s.config, &h->store[i]), APR_SUCCESS);
}

static void child_stop(host_t *h, int i)
{
    apr_pool_destroy(h->pool[i]);
    h->store[i] = NULL;
}

static void host_start(host_t *h, const char *path, int lease_ms)
{
    h->s = settings_leased(path, etv_make_mirror(64), lease_ms);
    for (int i = 0; i < CHILDREN; i++) {
        child_start(h, i);
    }
    await_use(&h->s);
}

static void set(const char *key, int n)
{
    char text[64];

    snprintf(text, sizeof(text), "SET %s %d", key, n);
    tell(&server, text);
}

/** What a child says that a model is; -1: nothing just now. */
static int seen_by(etv_store_t *store, const char *name)
{
    char text[ETV_TOKEN_SHORT_MOST + 1];
    etv_model_t m;

    if (look(store, name, 0, &m, NULL) != ETV_LOOKUP_OK || m.state != ETV_MODEL_FOUND) {
        return -1;
    }
    memcpy(text, m.token, m.token_len);
    text[m.token_len] = '\0';
    return atoi(text);
}

/** Change the model, and look until every child has seen it: what is asked after the lease is over
 * must be the new one. */
static void change_and_see(host_t *h, const char *name, int n)
{
    char key[32];
    apr_time_t acknowledged;

    snprintf(key, sizeof(key), "v:%s", name);
    set(key, n);
    acknowledged = etv_boottime_us();
    for (int i = 0; i < CHILDREN; i++) {
        while (h->store[i]) {
            int late = etv_boottime_us() >= acknowledged + h->s.config.lease_us;
            int version = seen_by(h->store[i], name);

            if (version == n) {
                break;
            }
            ck_assert_msg(!late || version == -1, "%d instead of %d after the lease", version, n);
        }
    }
}

/* --- changes --- */

START_TEST(changes_are_heard)
{
    host_t h;

    host_start(&h, server.path, 60000); /* by the push alone, that is */
    for (int n = 1; n <= etv_some(300); n++) {
        change_and_see(&h, n % 3 ? "a" : "b", n);
    }
    ck_assert_int_ge(logged("ETV0133"), 1);
    while (!logged("ETV0130")) { /* is said a moment after it is so */
        usleep(1000);
    }
    for (int i = 0; i < seen.n; i++) {
        ck_assert_msg(seen.level[i] > ETV_LOG_WARNING, "%s", seen.line[i]);
    }
}
END_TEST

START_TEST(all_ways_to_change_a_version_are_heard)
{
    static const struct {
        const char *command;
        int version; /* -1: absent */
    } row[] = {
        {"SET v:a 1", 1},
        {"INCR v:a", 2},
        {"MSET v:a 3 v:b 3", 3},
        {"DEL v:a", -1},
        {"SET v:c 4", -1},
        {"RENAME v:c v:a", 4},
        {"SETRANGE v:a 0 5", 5},
        {"APPEND v:a 0", 50},
        {"UNLINK v:a", -1},
        {"SET v:a 6", 6},
        {"PEXPIREAT v:a 1", -1},
        {"SET v:a 7 PX 5", -1},
        {"SET v:a 8", 8},
        {"GETSET v:a 9", 9},
        {"MOVE v:a 1", -1},
        {"COPY v:b v:a", 3},
        {"COPY v:b v:a REPLACE", 3},
        {"FLUSHDB", -1},
        {"SET v:a 10", 10},
        {"FLUSHALL ASYNC", -1},
    };
    host_t h;

    host_start(&h, server.path, 60000);
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        tell(&server, row[i].command);
        while (seen_by(h.store[i % CHILDREN], "a") != row[i].version) {
            usleep(500);
        }
    }
}
END_TEST

/** All that one turn of the server changes comes in one message. */
START_TEST(many_changes_at_once_are_heard)
{
    host_t h;
    redisReply *reply;

    host_start(&h, server.path, 60000);
    for (int n = 1; n <= 2; n++) {
        set("v:k7", -n);
        while (seen_by(h.store[0], "k7") != -n) {
        }
        reply = redisCommand(server.admin, "EVAL %s 0 %d %d",
                             "for i = 0, ARGV[1] - 1 do redis.call('SET', 'v:k' .. i, ARGV[2]) end",
                             etv_some(200000), n);
        ck_assert_int_ne(reply->type, REDIS_REPLY_ERROR);
        freeReplyObject(reply);
        while (seen_by(h.store[0], "k7") != n) {
            usleep(500);
        }
    }
    ck_assert_int_eq(logged("ETV0109") + logged("ETV0110"), 0);
}
END_TEST

/** Pushed by nobody: noticed by the next round. */
START_TEST(a_swap_of_databases_is_noticed)
{
    host_t h;

    host_start(&h, server.path, 200);
    set("v:a", 1);
    while (seen_by(h.store[0], "a") != 1) {
    }
    tell(&server, "SELECT 1");
    tell(&server, "MSET v:a 2 v:%epoch other");
    tell(&server, "SELECT 0");
    tell(&server, "SWAPDB 0 1");
    while (seen_by(h.store[0], "a") != 2) {
        usleep(500);
    }
    change_and_see(&h, "a", 3);
}
END_TEST

START_TEST(a_restart_begins_anew)
{
    static server_t own;
    etv_snapshot_t before, after;
    etv_model_t m;
    host_t h;

    server_start(&own, "own", 0, NULL);
    tell(&own, "SET v:a 1");
    host_start(&h, own.path, 200);
    for (int n = 0; n < 3; n++) {
        while (look(h.store[0], "a", 0, &m, &before) != ETV_LOOKUP_OK) {
            usleep(1000);
        }
        server_kill(&own);
        await_disuse(&h.s);
        ck_assert_int_eq(server_start_once(&own), 1);
        await_use(&h.s);
        while (look(h.store[0], "a", 0, &m, &after) != ETV_LOOKUP_OK) {
            usleep(1000);
        }
        ck_assert_int_eq(m.state, ETV_MODEL_ABSENT);
        ck_assert_int_eq(same_instance(&before, &after), 0);
        tell(&own, "SET v:a 1");
    }
    apr_pool_clear(pool);
    server_kill(&own);
}
END_TEST

START_TEST(a_demotion_ends_the_lease)
{
    host_t h;

    host_start(&h, server.path, 200);
    for (int n = 0; n < 2; n++) {
        char text[64];

        snprintf(text, sizeof(text), "REPLICAOF 127.0.0.1 %d", free_port());
        tell(&server, text);
        await_disuse(&h.s);
        tell(&server, "REPLICAOF NO ONE");
        await_use(&h.s);
    }
    apr_pool_clear(pool);
}
END_TEST

/* --- faults --- */

/** A command, or a server that does not run for so many milliseconds. */
static void inflict(const char *fault)
{
    int ms;

    if (sscanf(fault, "freeze %d", &ms) == 1) {
        kill(server.pid, SIGSTOP);
        usleep((useconds_t)ms * 1000);
        kill(server.pid, SIGCONT);
    } else {
        tell(&server, fault);
    }
}

static const char *const faults[] = {
    "CLIENT KILL TYPE pubsub",
    "CLIENT KILL TYPE normal SKIPME yes",
    "FLUSHALL",
    "freeze 300",
    "DEL v:%epoch",
    "SET v:%epoch x",
    "CONFIG SET timeout 1",
    "CONFIG SET timeout 0",
    "CONFIG SET maxmemory 0",
    "SCRIPT FLUSH",
    "freeze 50",
    "CLIENT PAUSE 100 ALL",
    "CLIENT KILL TYPE normal SKIPME yes",
    "CLIENT PAUSE 50 WRITE",
};

START_TEST(faults_void_no_law)
{
    host_t h;
    int n = 0;

    host_start(&h, server.path, 300);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        change_and_see(&h, "a", ++n);
        inflict(faults[i]);
        change_and_see(&h, "a", ++n);
        change_and_see(&h, "b", ++n);
    }
    await_use(&h.s);
    apr_pool_clear(pool);
}
END_TEST

/** What is said to the listener is late: changes within the lease are not seen, older ones are. */
START_TEST(late_pushes_void_no_law)
{
    host_t h;
    proxy_t proxy;
    int n = 0;

    proxy_start(&proxy, server.path);
    host_start(&h, proxy.path, 200);
    for (int i = 0; i < etv_some(6); i++) {
        change_and_see(&h, "a", ++n);
        atomic_store(&proxy.hold_pushes, 1);
        change_and_see(&h, "a", ++n);
        await_disuse(&h.s);
        while (i == 0 && !logged("ETV0107")) { /* it is given up */
            usleep(1000);
        }
        atomic_store(&proxy.hold_pushes, 0);
        await_use(&h.s);
        atomic_store(i % 2 ? &proxy.cut_listeners : &proxy.cut_others, 1);
        change_and_see(&h, "a", ++n);
        await_use(&h.s);
    }
    apr_pool_clear(pool);
    proxy_stop(&proxy);
}
END_TEST

/* --- leaders --- */

START_TEST(a_leader_that_retires_is_followed)
{
    host_t h;
    int n = 0;

    host_start(&h, server.path, 400);
    for (int i = 0; i < etv_some(40); i++) {
        int child = i % CHILDREN;

        change_and_see(&h, "a", ++n);
        h.store[child]->ops->retire(h.store[child]);
        h.store[child]->ops->retire(h.store[child]); /* twice is once */
        change_and_see(&h, "a", ++n);                /* it still serves */
        child_stop(&h, child);
        if (i % 4 == 0) {
            await_use(&h.s);
        }
        change_and_see(&h, "a", ++n);
        child_start(&h, child);
    }
    await_use(&h.s);
    apr_pool_clear(pool);
}
END_TEST

static apr_uint64_t leader_of(const settings_t *s)
{
    return atomic_load(&s->config.channel->leader) >> 40;
}

/** Another process that leads, since it is the first. */
static pid_t start_outsider(settings_t *s)
{
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (!child) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        store_make(s);
        for (;;) {
            pause();
        }
    }
    await_use(s);
    return child;
}

/** Frozen or killed at any moment: others take its place, and what it does when it goes on again
 * does no harm. */
START_TEST(a_leader_that_vanishes_is_followed)
{
    int n = 0;

    for (int i = 0; i < etv_some(12); i++) {
        host_t h = {.s = settings_leased(server.path, etv_make_mirror(64), i % 2 ? 200 : 2000)};
        pid_t child = start_outsider(&h.s);
        apr_uint64_t outsider = leader_of(&h.s);

        child_start(&h, 0);
        change_and_see(&h, "a", ++n);
        usleep((useconds_t)(n * 7919) % 20000);
        kill(child, i % 4 == 3 ? SIGKILL : SIGSTOP);
        change_and_see(&h, "a", ++n);
        while (leader_of(&h.s) == outsider) {
            change_and_see(&h, "a", ++n);
        }
        await_use(&h.s);
        kill(child, SIGCONT);
        for (int k = 0; k < 20; k++) {
            change_and_see(&h, "a", ++n);
        }
        kill(child, SIGKILL);
        ck_assert_int_eq(waitpid(child, NULL, 0), child);
        change_and_see(&h, "a", ++n);
        child_stop(&h, 0);
    }
}
END_TEST

/** Readers and changes all the time, while leaders come and go: no thread waits for another. */
typedef struct {
    host_t *h;
    atomic_int acknowledged;
    atomic_llong acknowledged_us;
    atomic_int done, wrong, found;
} storm_t;

/* Bound to child 0, which stays. */
static void *read_all_the_time(void *baton)
{
    storm_t *storm = baton;
    etv_store_t *store = storm->h->store[0];
    apr_pool_t *own;

    apr_pool_create(&own, NULL);
    while (!atomic_load(&storm->done)) {
        apr_time_t since = atomic_load(&storm->acknowledged_us);
        int least = atomic_load(&storm->acknowledged);
        int late = since == atomic_load(&storm->acknowledged_us) && since &&
                   etv_boottime_us() >= since + storm->h->s.config.lease_us;
        etv_snapshot_t snapshot;
        etv_model_t m = model("storm", 0);
        char text[ETV_TOKEN_SHORT_MOST + 1];

        if (store->ops->lookup(store, own, &m, 1, &snapshot) == ETV_LOOKUP_OK &&
            m.state == ETV_MODEL_FOUND) {
            memcpy(text, m.token, m.token_len);
            text[m.token_len] = '\0';
            atomic_fetch_add(&storm->found, 1);
            if (late && atoi(text) < least) {
                atomic_fetch_add(&storm->wrong, 1);
            }
        }
    }
    apr_pool_destroy(own);
    return NULL;
}

START_TEST(leaders_come_and_go_under_load)
{
    host_t h;
    storm_t storm = {.h = &h};
    pthread_t readers[2];

    host_start(&h, server.path, 100);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_create(&readers[i], NULL, read_all_the_time, &storm), 0);
    }
    for (int n = 1; n <= etv_some(60); n++) {
        int child = 1 + n % (CHILDREN - 1);

        atomic_store(&storm.acknowledged_us, 0);
        set("v:storm", n);
        atomic_store(&storm.acknowledged, n);
        atomic_store(&storm.acknowledged_us, etv_boottime_us());
        if (n % 5 == 0) {
            child_stop(&h, child);
            child_start(&h, child);
        } else if (n % 7 == 0) {
            tell(&server, n % 2 ? "CLIENT KILL TYPE pubsub" : "CLIENT KILL TYPE normal SKIPME yes");
        } else if (n % 11 == 0) {
            await_use(&h.s);
        }
        if (n % 3 == 0) { /* long enough for what is old to be wrong */
            apr_time_t until = etv_boottime_us() + h.s.config.lease_us + MS(10);

            while (etv_boottime_us() < until) {
                usleep(1000);
            }
        }
    }
    atomic_store(&storm.done, 1);
    for (int i = 0; i < 2; i++) {
        pthread_join(readers[i], NULL);
    }
    ck_assert_int_eq(atomic_load(&storm.wrong), 0);
    ck_assert_int_gt(atomic_load(&storm.found), 0);
    apr_pool_clear(pool);
}
END_TEST

/** A test that failed may have left it frozen. */
static void thaw(void)
{
    kill(server.pid, SIGCONT);
}

int main(void)
{
    Suite *suite = suite_create("listen");
    TCase *tc = tcase_create("listen");

    suite_add_tcase(suite, tc);
    tcase_set_timeout(tc, 60);
    tcase_add_unchecked_fixture(tc, suite_setup, suite_teardown);
    tcase_add_checked_fixture(tc, thaw, NULL);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, changes_are_heard);
    tcase_add_test(tc, all_ways_to_change_a_version_are_heard);
    tcase_add_test(tc, many_changes_at_once_are_heard);
    tcase_add_test(tc, a_swap_of_databases_is_noticed);
    tcase_add_test(tc, a_restart_begins_anew);
    tcase_add_test(tc, a_demotion_ends_the_lease);
    tcase_add_test(tc, faults_void_no_law);
    tcase_add_test(tc, late_pushes_void_no_law);
    tcase_add_test(tc, a_leader_that_retires_is_followed);
    tcase_add_test(tc, a_leader_that_vanishes_is_followed);
    tcase_add_test(tc, leaders_come_and_go_under_load);
    return run_suite(suite);
}
