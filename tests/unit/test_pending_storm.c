/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that add, renew and remove or leave, and are killed or stopped anywhere in between;
 * others that look, and one that takes what the dead left, and is killed, too. What is pending is
 * always seen; what is taken is whole; and at the end no slot is lost.
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "change_fixture.h"
#include "mirror_fixture.h"

#define WORKERS 3
#define LOOKERS 2
#define NAMES   8
#define THREADS 4

/** Shared by all. Lives of workers are numbered, and end in the order in which they began: the time
 *  of the slots is the number of the last one that ended, so what is due is a dead one's. */
typedef struct {
    etv_pending_t *pending;
    _Atomic apr_uint64_t promised[WORKERS]; /* life, count, name + 1: is pending */
    _Atomic apr_uint64_t ended;
    atomic_int progress[WORKERS]; /* of the present life */
    atomic_int done;
    atomic_llong added, looks, taken;
    atomic_int invisible, torn, premature, full, lost;
} storm_t;

static storm_t *storm;

static etv_pending_what_t what_now(int name, apr_uint64_t life)
{
    char text[ETV_MODEL_NAME_MOST + 1];
    int len = 1 + (name * 97 + (int)life) % ETV_MODEL_NAME_MOST;
    etv_pending_what_t what;

    memset(text, 'a' + name, (apr_size_t)len);
    text[len] = '\0';
    what = what_of(text, life);
    /* one hash for a name of any length */
    what.hash = (etv_hash128_t){(apr_uint64_t)name, 5};
    snprintf(what.id.owner, sizeof(what.id.owner), "%016llx", (unsigned long long)life * 7919);
    return what;
}

static int is_whole(const etv_pending_what_t *what)
{
    etv_pending_what_t right;

    if (what->hash.lo >= NAMES)
        return 0;
    right = what_now((int)what->hash.lo, what->id.number);
    return what->name_len == right.name_len && what->hash.hi == 5 &&
           memcmp(what->name, right.name, right.name_len) == 0 &&
           strcmp(what->id.owner, right.id.owner) == 0;
}

static void work(int worker, apr_uint64_t life)
{
    apr_time_t until_us = (apr_time_t)life * 1000;

    for (apr_uint64_t count = 1;; count++) {
        int name = (int)(count * 5 + life) % NAMES, slot;
        etv_pending_what_t what = what_now(name, life);

        slot = etv_pending_add(storm->pending, &what, until_us);
        if (slot < 0) {
            atomic_fetch_add(&storm->full, 1);
            continue;
        }
        atomic_store(&storm->promised[worker],
                     life << 32 | (count & 0xffffff) << 8 | (unsigned)(name + 1));
        for (apr_uint64_t i = 0; i < count % 16; i++) {
            if (!etv_pending_renew(storm->pending, slot, until_us))
                atomic_fetch_add(&storm->lost, 1);
        }
        if (count % 2) { /* it goes on, perhaps by another slot */
            etv_pending_leave(storm->pending, slot, &what, 1,
                              (apr_time_t)atomic_load(&storm->ended) * 1000, until_us);
            slot = -1;
        }
        atomic_store(&storm->promised[worker], 0);
        etv_pending_remove(storm->pending, slot);
        atomic_fetch_add(&storm->added, 1);
        atomic_fetch_add(&storm->progress[worker], 1);
    }
}

static void look_on(void)
{
    while (!atomic_load(&storm->done)) {
        for (int i = 0; i < WORKERS; i++) {
            apr_uint64_t before = atomic_load(&storm->promised[i]);
            etv_hash128_t hash = {(before & 0xff) - 1, 5};

            if (before && !etv_pending_has(storm->pending, scope, hash, 0) &&
                atomic_load(&storm->promised[i]) == before)
                atomic_fetch_add(&storm->invisible, 1);
            atomic_fetch_add(&storm->looks, before != 0);
        }
    }
}

/* @return how many were due */
static int take_all(apr_uint64_t ended)
{
    apr_time_t now_us = (apr_time_t)ended * 1000;
    etv_pending_what_t what;
    int from = 0, slot, n = 0;

    while ((slot = etv_pending_take_due(storm->pending, scope, now_us, now_us, &from, &what)) >=
           0) {
        if (!is_whole(&what))
            atomic_fetch_add(&storm->torn, 1);
        if (what.id.number > ended)
            atomic_fetch_add(&storm->premature, 1);
        etv_pending_remove(storm->pending, slot);
        atomic_fetch_add(&storm->taken, 1);
        n++;
    }
    return n;
}

static void deliver(void)
{
    for (;;) {
        take_all(atomic_load(&storm->ended));
        etv_pending_tidy(storm->pending, 0);
    }
}

static pid_t start(int worker, apr_uint64_t life)
{
    pid_t parent = getpid(), pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    if (worker < WORKERS)
        work(worker, life);
    else if (worker < WORKERS + LOOKERS)
        look_on();
    else
        deliver();
    _exit(0);
}

static void end(pid_t pid, int signal)
{
    if (signal)
        kill(pid, signal);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

/** Numbers that differ enough. */
static unsigned any_number(void)
{
    static unsigned state = 1;

    state = state * 1103515245u + 12345u;
    return state >> 16;
}

/** Freeze workers anywhere, one after the other, until this one has had enough of its life. */
static void freeze(const pid_t *pids, int worker)
{
    int enough = (int)(any_number() & 0xff);
    apr_time_t give_up_us = etv_boottime_us() + MS(60000);

    do {
        pid_t pid = pids[any_number() % WORKERS];

        kill(pid, SIGSTOP);
        usleep(any_number() & 0x7f);
        kill(pid, SIGCONT);
        ck_assert_int_lt(etv_boottime_us(), give_up_us);
    } while (atomic_load(&storm->progress[worker]) <= enough);
}

static void make_storm(int kills)
{
    pid_t pids[WORKERS + LOOKERS + 1];
    apr_uint64_t lives[WORKERS], life = 0;

    for (int i = 0; i < WORKERS + LOOKERS + 1; i++) {
        if (i < WORKERS)
            lives[i] = ++life;
        pids[i] = start(i, life);
    }
    for (int i = 0; i < kills; i++) {
        int worker = i % WORKERS;

        for (int n = 0; n < 4; n++)
            freeze(pids, worker);
        end(pids[worker], SIGKILL);
        atomic_store(&storm->promised[worker], 0);
        atomic_store(&storm->ended, lives[worker]);
        atomic_store(&storm->progress[worker], 0);
        lives[worker] = ++life;
        pids[worker] = start(worker, life);
        if (i % 16 == 0) {
            end(pids[WORKERS + LOOKERS], SIGKILL);
            pids[WORKERS + LOOKERS] = start(WORKERS + LOOKERS, 0);
        }
    }
    atomic_store(&storm->done, 1);
    for (int i = 0; i < WORKERS + LOOKERS + 1; i++)
        end(pids[i], i < WORKERS || i == WORKERS + LOOKERS ? SIGKILL : 0);
}

START_TEST(nothing_is_lost)
{
    storm = shared_memory(sizeof(*storm));
    storm->pending = make_pending();
    make_storm(etv_some(400));

    printf("%lld added, %lld looks, %lld taken from the dead\n", atomic_load(&storm->added),
           atomic_load(&storm->looks), atomic_load(&storm->taken));
    ck_assert_int_gt(atomic_load(&storm->added), 0);
    ck_assert_int_eq(atomic_load(&storm->invisible), 0);
    ck_assert_int_eq(atomic_load(&storm->torn), 0);
    ck_assert_int_eq(atomic_load(&storm->premature), 0);
    ck_assert_int_eq(atomic_load(&storm->lost), 0);
    ck_assert_int_eq(atomic_load(&storm->full), 0);

    take_all(1000000);
    etv_pending_tidy(storm->pending, 1);
    ck_assert_int_eq(etv_pending_count(storm->pending), 0);
    ck_assert(!etv_pending_any(storm->pending));
    for (int i = 0; i < ETV_PENDING_SLOTS; i++) {
        etv_pending_what_t what = what_now(i % NAMES, 1);

        ck_assert_int_ge(etv_pending_add(storm->pending, &what, 1), 0);
    }
}
END_TEST

/* --- threads, for those who watch them --- */

typedef struct {
    int number;
    pthread_t thread;
} thread_t;

static void *run(void *arg)
{
    int number = ((thread_t *)arg)->number;

    for (int i = 0; i < etv_some(20000); i++) {
        etv_pending_what_t what = what_now(i % NAMES, (apr_uint64_t)number + 1);
        int slot = etv_pending_add(storm->pending, &what, number % 2 ? 1000 : MINUTES);

        if (!etv_pending_has(storm->pending, scope, what.hash, 0))
            atomic_fetch_add(&storm->invisible, number % 2 ? 0 : 1); /* others may take it */
        if (number == 0)
            take_all(1000);
        etv_pending_renew(storm->pending, slot, MINUTES);
        if (number % 2 == 0 && i % 2) {
            etv_pending_leave(storm->pending, slot, &what, 1, 0, MINUTES);
            if (!etv_pending_has(storm->pending, scope, what.hash, 0))
                atomic_fetch_add(&storm->invisible, 1);
        }
        etv_pending_remove(storm->pending, slot);
    }
    return NULL;
}

START_TEST(threads_at_once)
{
    thread_t threads[THREADS];

    storm = shared_memory(sizeof(*storm));
    storm->pending = make_pending();
    for (int i = 0; i < THREADS; i++) {
        threads[i].number = i;
        ck_assert_int_eq(pthread_create(&threads[i].thread, NULL, run, &threads[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i].thread, NULL);
    ck_assert_int_eq(atomic_load(&storm->invisible), 0);
    ck_assert_int_eq(atomic_load(&storm->torn), 0);
    take_all(10000000);
    etv_pending_tidy(storm->pending, 1);
    ck_assert(!etv_pending_any(storm->pending));
}
END_TEST

/* --- one model that is always pending, but by one slot after another --- */

static void *look_for_it(void *arg)
{
    (void)arg;
    while (!atomic_load(&storm->done)) {
        if (!is_pending(storm->pending, "m"))
            atomic_fetch_add(&storm->invisible, 1);
        atomic_fetch_add(&storm->looks, 1);
    }
    return NULL;
}

/* The far slot stands for the near one, or goes when that has come; and the other way round. */
static int change_places(etv_pending_what_t *what, int far_one, int stands)
{
    int near_one = etv_pending_add(storm->pending, what, stands ? 0 : MINUTES), from = 0;

    if (stands) {
        etv_pending_leave(storm->pending, near_one, what, 1, 1, 0);
        etv_pending_leave(storm->pending, far_one, what, 1, 1, 0);
        near_one = etv_pending_take_due(storm->pending, scope, 1, MINUTES, &from, what);
    } else {
        etv_pending_remove(storm->pending, far_one);
    }
    far_one = etv_pending_add(storm->pending, what, MINUTES);
    etv_pending_remove(storm->pending, near_one);
    return far_one;
}

START_TEST(from_slot_to_slot)
{
    etv_pending_what_t what = what_of("m", 1), filler = what_of("filler", 1);
    pthread_t looker;
    int first, slot;

    storm = shared_memory(sizeof(*storm));
    storm->pending = make_pending();
    first = etv_pending_add(storm->pending, &filler, MINUTES);
    for (int i = 0; i < 2000; i++)
        etv_pending_add(storm->pending, &filler, MINUTES);
    slot = etv_pending_add(storm->pending, &what, MINUTES);
    etv_pending_remove(storm->pending, first);
    ck_assert_int_eq(pthread_create(&looker, NULL, look_for_it, NULL), 0);
    AWAIT(atomic_load(&storm->looks) > 0);
    for (int i = 0; i < etv_some(200000); i++) {
        slot = change_places(&what, slot, i % 2);
        ck_assert_int_ge(slot, 0);
    }
    atomic_store(&storm->done, 1);
    pthread_join(looker, NULL);
    ck_assert_int_eq(atomic_load(&storm->invisible), 0);
    ck_assert_int_eq(etv_pending_count(storm->pending), 2001);
}
END_TEST

int main(void)
{
    return etv_check_run("pending storm", (const TTest *[]){nothing_is_lost, threads_at_once,
                                                            from_slot_to_slot, NULL});
}
