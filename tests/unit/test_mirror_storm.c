/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everybody at once on one mirror: threads, and processes that are killed anywhere. What is found
 * is always what somebody installed for this very name, epoch and generation, and never older than
 * what was acknowledged before it was looked for.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "etv_check.h"
#include "mirror_fixture.h"

#define NAMES   64
#define ENTRIES 8 /* one set, fewer slots than names: they push each other out */
#define WORKERS 4

/** Shared by all. */
typedef struct {
    etv_mirror_t *mirror;
    etv_channel_t *channel;
    /** What a server would have, and what its clients know that it has. */
    _Atomic apr_uint64_t version[NAMES], acknowledged[NAMES];
    atomic_int done;
    atomic_llong found, installed, changes, restarts;
    atomic_int wrong_name, torn, wrong_generation, wrong_epoch, old, wrong_facts;
} storm_t;

typedef struct {
    apr_uint64_t name, version, generation, epoch, sum;
} words_t;

static etv_hash128_t key(unsigned i)
{
    return etv_hash_name(&i, sizeof(i));
}

static apr_uint64_t sum_of(const words_t *w)
{
    return etv_hash_index(w, offsetof(words_t, sum));
}

/* Tokens of 40 to 48 bytes; the last bytes depend on the sum. */
static etv_mirror_value_t value_of(words_t w)
{
    etv_mirror_value_t value = {.words = {0}};

    w.sum = sum_of(&w);
    memcpy(value.token, &w, sizeof(w));
    value.len = (unsigned char)(sizeof(w) + w.sum % 9);
    memset(value.token + sizeof(w), (int)(w.sum & 0xff), ETV_TOKEN_SHORT_MOST - sizeof(w));
    return value;
}

static etv_channel_facts_t facts_of(apr_uint32_t epoch)
{
    etv_channel_facts_t facts;

    memset(&facts, (int)(epoch % 251), sizeof(facts));
    memcpy(facts.instance, &epoch, sizeof(epoch));
    return facts;
}

/** Small numbers that differ enough. */
static unsigned next(unsigned *state)
{
    *state = *state * 1103515245u + 12345u;
    return *state >> 16;
}

static void count(atomic_int *wrong, int is_wrong)
{
    if (is_wrong)
        atomic_fetch_add(wrong, 1);
}

static void judge(storm_t *s, unsigned i, apr_uint32_t epoch, apr_uint64_t generation,
                  apr_uint64_t acknowledged, const etv_mirror_value_t *found)
{
    words_t w;
    etv_mirror_value_t whole;

    memcpy(&w, found->token, sizeof(w));
    whole = value_of(w);
    count(&s->torn, found->absent || found->len != whole.len ||
                        memcmp(found->token, whole.token, found->len) != 0);
    count(&s->wrong_name, w.name != i);
    count(&s->wrong_epoch, w.epoch != epoch);
    count(&s->wrong_generation,
          w.generation < generation || w.generation > etv_mirror_generation(s->mirror, key(i)));
    count(&s->old, w.version < acknowledged);
    atomic_fetch_add(&s->found, 1);
}

/* As a request does. */
static void look(storm_t *s, unsigned i, apr_time_t now_us, etv_mirror_class_e class)
{
    apr_uint64_t acknowledged = atomic_load(&s->acknowledged[i]);
    apr_uint64_t generation = etv_mirror_generation(s->mirror, key(i));
    apr_uint64_t lease = etv_channel_lease(s->channel);
    apr_uint32_t epoch = etv_channel_epoch_of(lease);
    etv_channel_facts_t facts, wanted = facts_of(epoch);
    etv_mirror_value_t value;

    if (!etv_channel_holds(lease, 1))
        return;
    count(&s->wrong_facts, etv_channel_get_facts(s->channel, epoch, &facts) &&
                               memcmp(&facts, &wanted, sizeof(facts)) != 0);
    if (etv_mirror_find(s->mirror, key(i), epoch, now_us, &value)) {
        judge(s, i, epoch, generation, acknowledged, &value);
        return;
    }
    generation = etv_mirror_generation(s->mirror, key(i));
    value = value_of((words_t){.name = i,
                               .version = atomic_load(&s->version[i]),
                               .generation = generation,
                               .epoch = epoch});
    etv_mirror_install(s->mirror, key(i), epoch, generation, class, now_us, &value);
    atomic_fetch_add(&s->installed, 1);
}

static void acknowledge(storm_t *s, unsigned i, apr_uint64_t version)
{
    apr_uint64_t old = atomic_load(&s->acknowledged[i]);

    while (old < version && !atomic_compare_exchange_weak(&s->acknowledged[i], &old, version)) {
    }
}

/* As a bump, or a push. */
static void change(storm_t *s, unsigned i)
{
    apr_uint64_t version = atomic_fetch_add(&s->version[i], 1) + 1;

    etv_mirror_invalidate(s->mirror, key(i));
    acknowledge(s, i, version);
    atomic_fetch_add(&s->changes, 1);
}

/* As after a lost connection: much may have changed that was not heard. */
static void restart(storm_t *s)
{
    apr_uint64_t version[NAMES];
    etv_channel_facts_t facts;
    apr_uint32_t epoch;
    int wrapped;

    for (int i = 0; i < NAMES; i++)
        version[i] = atomic_fetch_add(&s->version[i], 1) + 1;
    epoch = etv_channel_raise(s->channel, &wrapped);
    for (unsigned i = 0; i < NAMES; i++)
        acknowledge(s, i, version[i]);
    facts = facts_of(epoch);
    etv_channel_set_facts(s->channel, epoch, &facts);
    etv_channel_publish(s->channel, epoch, 1000000);
    atomic_fetch_add(&s->restarts, 1);
}

static void work(storm_t *s, unsigned seed)
{
    for (unsigned n = 0; !atomic_load_explicit(&s->done, memory_order_relaxed); n++) {
        unsigned dice = next(&seed);
        unsigned i = next(&seed) % NAMES;

        if (dice % 2048 == 0)
            restart(s);
        else if (dice % 16 == 0)
            change(s, i);
        else
            look(s, i, (apr_time_t)n * 2000, (etv_mirror_class_e)(dice % 5 % 3));
    }
}

static storm_t *storm(void)
{
    storm_t *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(s, MAP_FAILED);
    s->mirror = etv_make_mirror(ENTRIES);
    s->channel = etv_make_channel(s->mirror);
    restart(s);
    return s;
}

static void assert_all_well(const storm_t *s)
{
    ck_assert_int_eq(atomic_load(&s->torn), 0);
    ck_assert_int_eq(atomic_load(&s->wrong_name), 0);
    ck_assert_int_eq(atomic_load(&s->wrong_epoch), 0);
    ck_assert_int_eq(atomic_load(&s->wrong_generation), 0);
    ck_assert_int_eq(atomic_load(&s->old), 0);
    ck_assert_int_eq(atomic_load(&s->wrong_facts), 0);
    ck_assert_int_gt(atomic_load(&s->found), 0);
    ck_assert_int_gt(atomic_load(&s->installed), 0);
    ck_assert_int_gt(atomic_load(&s->changes), 0);
    ck_assert_int_gt(atomic_load(&s->restarts), 1);
}

/* --- threads --- */

typedef struct {
    storm_t *s;
    unsigned seed;
} worker_t;

static void *work_as_thread(void *baton)
{
    worker_t *worker = baton;

    work(worker->s, worker->seed);
    return NULL;
}

START_TEST(threads_at_once)
{
    storm_t *s = storm();
    worker_t workers[WORKERS];
    pthread_t threads[WORKERS];

    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = (worker_t){s, i + 1};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work_as_thread, &workers[i]), 0);
    }
    while (atomic_load(&s->found) < etv_some(600000) || atomic_load(&s->restarts) < 50)
        usleep(1000);
    atomic_store(&s->done, 1);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    assert_all_well(s);
}
END_TEST

/* --- processes --- */

static pid_t start_worker(storm_t *s, unsigned seed)
{
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (!child) {
        work(s, seed);
        _exit(0);
    }
    return child;
}

START_TEST(processes_that_are_killed)
{
    storm_t *s = storm();
    int deaths = etv_some(800);
    pid_t children[WORKERS];
    unsigned seed = 4711;
    etv_mirror_value_t value;

    for (unsigned i = 0; i < WORKERS; i++)
        children[i] = start_worker(s, i + 1);
    for (int n = 0; n < deaths; n++) {
        unsigned i = next(&seed) % WORKERS;

        usleep(next(&seed) % 2000);
        kill(children[i], SIGKILL);
        ck_assert_int_eq(waitpid(children[i], NULL, 0), children[i]);
        children[i] = start_worker(s, (unsigned)n + 100);
    }
    while (atomic_load(&s->restarts) < 2 || atomic_load(&s->found) < 1000)
        usleep(1000);
    atomic_store(&s->done, 1);
    for (int i = 0; i < WORKERS; i++) {
        int status;

        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert_int_eq(status, 0);
    }
    assert_all_well(s);
    /* No slot is lost for ever. */
    restart(s);
    for (unsigned i = 0; i < ETV_MIRROR_WAYS; i++)
        look(s, i, apr_time_from_sec(100000), ETV_MIRROR_CONFIGURED);
    for (unsigned i = 0; i < ETV_MIRROR_WAYS; i++)
        ck_assert_int_eq(etv_mirror_find(s->mirror, key(i),
                                         etv_channel_epoch_of(etv_channel_lease(s->channel)), 0,
                                         &value),
                         1);
}
END_TEST

int main(void)
{
    return etv_check_run("mirror_storm",
                         (const TTest *[]){threads_at_once, processes_that_are_killed, NULL});
}
