/* SPDX-License-Identifier: Apache-2.0 */
/* The feed: each reader sees what was written, in order, or is told that it missed something. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "etv_check.h"
#include "mirror_fixture.h"
#include "store/feed.h"

static const etv_hash128_t here = {1, 2}, there = {3, 4};

static etv_feed_t *make(void)
{
    void *memory =
        mmap(NULL, etv_feed_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(memory, MAP_FAILED);
    return etv_feed_init(memory);
}

static void write_name(etv_feed_t *feed, const char *name)
{
    etv_feed_write(feed, here, name, strlen(name));
}

static void expect_bump(etv_feed_t *feed, apr_uint64_t *next, const char *name)
{
    apr_uint64_t number = *next;
    etv_feed_entry_t entry;

    ck_assert_int_eq(etv_feed_read(feed, next, &entry), ETV_FEED_BUMP);
    ck_assert_str_eq(entry.name, name);
    ck_assert_uint_eq(entry.len, strlen(name));
    ck_assert_uint_eq(entry.number, number);
    ck_assert_uint_eq(*next, number + 1);
    ck_assert(entry.scope.lo == here.lo && entry.scope.hi == here.hi);
}

static void expect_nothing(etv_feed_t *feed, apr_uint64_t *next)
{
    apr_uint64_t number = *next;
    etv_feed_entry_t entry;

    ck_assert_int_eq(etv_feed_read(feed, next, &entry), ETV_FEED_NONE);
    ck_assert_uint_eq(*next, number);
}

/* --- reading --- */

START_TEST(bumps_are_read_in_order_by_everybody)
{
    etv_feed_t *feed = make();
    apr_uint64_t a = etv_feed_next(feed), b = a;

    ck_assert_uint_eq(a, 1);
    expect_nothing(feed, &a);
    write_name(feed, "one");
    write_name(feed, "two");
    expect_bump(feed, &a, "one");
    expect_bump(feed, &a, "two");
    expect_nothing(feed, &a);
    write_name(feed, "three");
    expect_bump(feed, &a, "three");
    expect_bump(feed, &b, "one");
    expect_bump(feed, &b, "two");
    expect_bump(feed, &b, "three");
    expect_nothing(feed, &b);
    ck_assert_uint_eq(etv_feed_next(feed), 4);
}
END_TEST

START_TEST(names_of_all_lengths)
{
    etv_feed_t *feed = make();
    apr_uint64_t next = 1;
    char name[ETV_MODEL_NAME_MOST + 2];

    memset(name, 'n', sizeof(name));
    etv_feed_write(feed, here, name, 0);
    etv_feed_write(feed, here, name, ETV_MODEL_NAME_MOST + 1);
    expect_nothing(feed, &next);
    for (apr_size_t len = 1; len <= ETV_MODEL_NAME_MOST; len++) {
        etv_feed_write(feed, here, name, len);
        name[len] = '\0';
        expect_bump(feed, &next, name);
        name[len] = 'n';
    }
}
END_TEST

START_TEST(stores_are_told_apart)
{
    etv_feed_t *feed = make();
    apr_uint64_t next = 1;
    etv_feed_entry_t entry;

    etv_feed_write(feed, there, "x", 1);
    etv_feed_write_gap(feed, there);
    ck_assert_int_eq(etv_feed_read(feed, &next, &entry), ETV_FEED_BUMP);
    ck_assert(entry.scope.lo == there.lo && entry.scope.hi == there.hi);
    ck_assert_int_eq(etv_feed_read(feed, &next, &entry), ETV_FEED_GAP);
    ck_assert(entry.scope.lo == there.lo && entry.scope.hi == there.hi);
    ck_assert_uint_eq(entry.number, 2);
    expect_nothing(feed, &next);
}
END_TEST

START_TEST(who_is_overtaken_is_told_once)
{
    etv_feed_t *feed = make();
    apr_uint64_t slow = 1, just = 1;
    etv_feed_entry_t entry;

    for (int i = 0; i < ETV_FEED_ENTRIES; i++)
        write_name(feed, "m");
    expect_bump(feed, &just, "m"); /* the oldest one is there yet */
    write_name(feed, "newest");
    ck_assert_int_eq(etv_feed_read(feed, &slow, &entry), ETV_FEED_GAP);
    ck_assert_uint_eq(entry.number, ETV_FEED_ENTRIES + 1);
    ck_assert(!entry.scope.lo && !entry.scope.hi);
    expect_nothing(feed, &slow);
    write_name(feed, "after");
    expect_bump(feed, &slow, "after");
}
END_TEST

START_TEST(feeds_have_numbers_of_their_own)
{
    ck_assert_uint_ne(etv_feed_nonce(make()), etv_feed_nonce(make()));
}
END_TEST

/* --- writers that die --- */

/* What a writer does first: the next number is in the second line of the cache. */
static void take_a_number(etv_feed_t *feed)
{
    apr_uint64_t before = etv_feed_next(feed);

    atomic_fetch_add((_Atomic apr_uint64_t *)((char *)feed + 64), 1);
    ck_assert_uint_eq(etv_feed_next(feed), before + 1);
}

static etv_feed_e read_or_wait(etv_feed_t *feed, apr_uint64_t *next, etv_feed_entry_t *entry)
{
    etv_feed_e what;

    while ((what = etv_feed_read(feed, next, entry)) == ETV_FEED_NONE)
        etv_feed_await(feed, *next, APR_USEC_PER_SEC * 60);
    return what;
}

START_TEST(a_number_that_nobody_writes_is_skipped)
{
    etv_feed_t *feed = make();
    apr_uint64_t next = 1, again = 1;
    etv_feed_entry_t entry;

    write_name(feed, "before");
    take_a_number(feed);
    expect_bump(feed, &next, "before");
    expect_nothing(feed, &next); /* it may come yet */
    write_name(feed, "after");
    expect_nothing(feed, &next);
    ck_assert_int_eq(read_or_wait(feed, &next, &entry), ETV_FEED_GAP);
    ck_assert_uint_eq(entry.number, 2);
    ck_assert(!entry.scope.lo && !entry.scope.hi);
    expect_bump(feed, &next, "after");
    /* and nobody else waits for it again */
    expect_bump(feed, &again, "before");
    ck_assert_int_eq(etv_feed_read(feed, &again, &entry), ETV_FEED_GAP);
    expect_bump(feed, &again, "after");
}
END_TEST

START_TEST(the_last_number_may_be_one_that_nobody_writes)
{
    etv_feed_t *feed = make();
    apr_uint64_t next = 1;
    etv_feed_entry_t entry;

    take_a_number(feed);
    ck_assert_int_eq(read_or_wait(feed, &next, &entry), ETV_FEED_GAP);
    ck_assert_uint_eq(next, 2);
    expect_nothing(feed, &next);
}
END_TEST

/* --- waiting --- */

typedef struct {
    etv_feed_t *feed;
    atomic_int awake;
} sleeper_t;

static void *sleep_long(void *sleeper)
{
    sleeper_t *s = sleeper;

    etv_feed_await(s->feed, etv_feed_next(s->feed), APR_USEC_PER_SEC * 50);
    atomic_store(&s->awake, 1);
    return NULL;
}

START_TEST(sleepers_are_woken)
{
    for (int by_writing = 0; by_writing < 2; by_writing++) {
        sleeper_t s = {make(), 0};
        pthread_t thread;

        ck_assert_int_eq(pthread_create(&thread, NULL, sleep_long, &s), 0);
        while (!atomic_load(&s.awake)) { /* it may not sleep yet */
            if (by_writing)
                write_name(s.feed, "m");
            else
                etv_feed_wake(s.feed);
            usleep(1000);
        }
        pthread_join(thread, NULL);
    }
}
END_TEST

START_TEST(nobody_sleeps_while_there_is_something)
{
    etv_feed_t *feed = make();

    write_name(feed, "m");
    etv_feed_await(feed, 1, APR_USEC_PER_SEC * 3600);
    for (int i = 0; i < ETV_FEED_ENTRIES; i++)
        write_name(feed, "m");
    etv_feed_await(feed, 1, APR_USEC_PER_SEC * 3600); /* overtaken */
    etv_feed_await(feed, etv_feed_next(feed), 1000);
    etv_feed_await(feed, etv_feed_next(feed), 0);
    etv_feed_await(feed, etv_feed_next(feed), -1);
}
END_TEST

/* --- many at once --- */

#define WRITERS 4

static void write_numbered(etv_feed_t *feed, int writer, int from, int n)
{
    char name[40];

    for (int i = from; i < from + n; i++) {
        snprintf(name, sizeof(name), "%d:%d", writer, i);
        write_name(feed, name);
        if (i % 64 == 0)
            usleep(200);
    }
}

static pid_t start_writer(etv_feed_t *feed, int writer, int n)
{
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (!child) {
        write_numbered(feed, writer, 1, n);
        _exit(0);
    }
    return child;
}

/* What a reader knows of each writer: the last number, and whether it may have missed some. */
typedef struct {
    int last[WRITERS];
    int unsure[WRITERS];
    int bumps, gaps;
} seen_t;

static void take(seen_t *seen, const etv_feed_entry_t *entry)
{
    int writer = -1, i = -1;

    ck_assert_int_eq(sscanf(entry->name, "%d:%d", &writer, &i), 2);
    ck_assert(writer >= 0 && writer < WRITERS);
    if (seen->unsure[writer])
        ck_assert_int_gt(i, seen->last[writer]);
    else
        ck_assert_int_eq(i, seen->last[writer] + 1);
    seen->last[writer] = i;
    seen->unsure[writer] = 0;
    seen->bumps++;
}

static void read_all(etv_feed_t *feed, seen_t *seen, apr_uint64_t *next, int n)
{
    etv_feed_entry_t entry;

    for (int left = WRITERS; left;) {
        if (read_or_wait(feed, next, &entry) == ETV_FEED_BUMP) {
            take(seen, &entry);
        } else {
            seen->gaps++;
            for (int w = 0; w < WRITERS; w++)
                seen->unsure[w] = 1;
        }
        left = 0;
        for (int w = 0; w < WRITERS; w++)
            left += seen->last[w] < n && (!seen->unsure[w] || *next < etv_feed_next(feed));
    }
}

START_TEST(nothing_is_missed_unnoticed)
{
    int n = etv_some(20000);
    etv_feed_t *feed = make();
    apr_uint64_t next = 1;
    seen_t seen = {{0}, {0}, 0, 0};
    pid_t writers[WRITERS];

    for (int w = 0; w < WRITERS; w++)
        writers[w] = start_writer(feed, w, n);
    /* Those who were overtaken at the very end have nothing to wait for: one more of each. */
    read_all(feed, &seen, &next, n);
    for (int w = 0; w < WRITERS; w++)
        ck_assert_int_eq(waitpid(writers[w], NULL, 0), writers[w]);
    ck_assert_int_gt(seen.bumps, 0);
}
END_TEST

START_TEST(writers_that_are_killed_hold_up_nobody)
{
    etv_feed_t *feed = make();
    apr_uint64_t next = 1;
    etv_feed_entry_t entry;
    etv_feed_e what;

    for (int i = 0, rounds = etv_some(50); i < rounds; i++) {
        pid_t child = fork();

        ck_assert_int_ge(child, 0);
        if (!child) {
            for (;;)
                write_name(feed, "a name of some length, so that it takes time to write");
        }
        usleep((useconds_t)(500 + i * 37 % 1000));
        kill(child, SIGKILL);
        ck_assert_int_eq(waitpid(child, NULL, 0), child);
    }
    write_name(feed, "last");
    do {
        what = read_or_wait(feed, &next, &entry);
        if (what == ETV_FEED_BUMP && strcmp(entry.name, "last") != 0)
            ck_assert_str_eq(entry.name, "a name of some length, so that it takes time to write");
    } while (next < etv_feed_next(feed));
}
END_TEST

int main(void)
{
    return etv_check_run(
        "feed",
        (const TTest *[]){bumps_are_read_in_order_by_everybody, names_of_all_lengths,
                          stores_are_told_apart, who_is_overtaken_is_told_once,
                          feeds_have_numbers_of_their_own, a_number_that_nobody_writes_is_skipped,
                          the_last_number_may_be_one_that_nobody_writes, sleepers_are_woken,
                          nobody_sleeps_while_there_is_something, nothing_is_missed_unnoticed,
                          writers_that_are_killed_hold_up_nobody, NULL});
}
