/* SPDX-License-Identifier: Apache-2.0 */
/* The mirror: what is found is what was installed, and still counts; names that clients make up
 * take no room of others; who dies or sleeps while it writes holds up nobody. */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "etv_check.h"
#include "mirror_fixture.h"

#define EPOCH 7

/* One set only, and as many generations as slots: keys 0 to 15 have one each. */
#define ONE_SET (ETV_MIRROR_WAYS / 2)

static etv_hash128_t key(int i)
{
    etv_hash128_t k = {(apr_uint64_t)i << 8, (apr_uint64_t)i};

    return k;
}

static etv_hash128_t name(const char *kind, int i)
{
    char text[40];

    snprintf(text, sizeof(text), "%s%d", kind, i);
    return etv_hash_name(text, strlen(text));
}

static etv_mirror_value_t value_of(int n)
{
    etv_mirror_value_t value = {.words = {0}};

    value.len = (unsigned char)snprintf((char *)value.token, sizeof(value.token), "%d", n);
    return value;
}

static void put(etv_mirror_t *mirror, etv_hash128_t k, etv_mirror_class_e class, apr_time_t now_us,
                int n)
{
    etv_mirror_value_t value = value_of(n);

    etv_mirror_install(mirror, k, EPOCH, etv_mirror_generation(mirror, k), class, now_us, &value);
}

/* @return the number that was put; -1 when nothing is found */
static int get(etv_mirror_t *mirror, etv_hash128_t k, apr_time_t now_us)
{
    etv_mirror_value_t value;
    char text[ETV_TOKEN_SHORT_MOST + 1];

    if (!etv_mirror_find(mirror, k, EPOCH, now_us, &value))
        return -1;
    memcpy(text, value.token, value.len);
    text[value.len] = '\0';
    return atoi(text);
}

static int count_found(etv_mirror_t *mirror, const char *kind, int n, apr_time_t now_us)
{
    int found = 0;

    for (int i = 0; i < n; i++)
        found += get(mirror, name(kind, i), now_us) == i;
    return found;
}

/* --- what is found --- */

START_TEST(tokens_of_all_lengths_are_found)
{
    etv_mirror_t *mirror = etv_make_mirror(ONE_SET);
    etv_mirror_value_t found;

    ck_assert_int_eq(etv_mirror_entries(mirror), ONE_SET);
    ck_assert_int_eq(etv_mirror_find(mirror, key(0), 0, 0, &found), 0);
    for (int len = 0; len <= ETV_TOKEN_SHORT_MOST; len++) {
        etv_mirror_value_t value = {.len = (unsigned char)len};

        for (int i = 0; i < ETV_TOKEN_SHORT_MOST; i++)
            value.token[i] = (unsigned char)(len + i * 5);
        etv_mirror_install(mirror, key(1), EPOCH, 0, ETV_MIRROR_CONFIGURED, 0, &value);
        memset(&found, 0xee, sizeof(found));
        ck_assert_int_eq(etv_mirror_find(mirror, key(1), EPOCH, 0, &found), 1);
        ck_assert_int_eq(found.len, len);
        ck_assert_uint_eq(found.absent, 0);
        ck_assert_int_eq(memcmp(found.token, value.token, (size_t)len), 0);
        ck_assert_int_eq(etv_mirror_find(mirror, key(2), EPOCH, 0, &found), 0);
    }
}
END_TEST

START_TEST(that_there_is_none_is_found)
{
    etv_mirror_t *mirror = etv_make_mirror(ONE_SET);
    etv_mirror_value_t none = {.absent = 1}, found;

    etv_mirror_install(mirror, key(3), EPOCH, 0, ETV_MIRROR_CONFIGURED, 0, &none);
    ck_assert_int_eq(etv_mirror_find(mirror, key(3), EPOCH, 0, &found), 1);
    ck_assert_uint_eq(found.absent, 1);
    ck_assert_uint_eq(found.len, 0);
    put(mirror, key(3), ETV_MIRROR_CONFIGURED, 0, 5);
    ck_assert_int_eq(get(mirror, key(3), 0), 5);
}
END_TEST

/** Whatever it was asked for. */
START_TEST(what_was_installed_later_is_not_recalled)
{
    etv_mirror_t *mirror = etv_make_mirror(ONE_SET);
    etv_mirror_value_t value = {.len = 1}, found;
    apr_time_t before_us = etv_boottime_us(), after_us;

    while (etv_boottime_us() == before_us) {
    }
    etv_mirror_install(mirror, key(1), EPOCH, 0, ETV_MIRROR_CONFIGURED, before_us, &value);
    after_us = etv_boottime_us();
    ck_assert_int_eq(etv_mirror_find(mirror, key(1), EPOCH, after_us, &found), 1);
    ck_assert_int_eq(etv_mirror_recall(mirror, key(1), EPOCH, after_us, before_us, &found), 0);
    ck_assert_int_eq(etv_mirror_recall(mirror, key(1), EPOCH, after_us, after_us, &found), 1);
    ck_assert_int_eq(etv_mirror_recall(mirror, key(1), EPOCH + 1, after_us, after_us, &found), 0);
    ck_assert_int_eq(etv_mirror_recall(mirror, key(2), EPOCH, after_us, after_us, &found), 0);
    etv_mirror_invalidate(mirror, key(1));
    ck_assert_int_eq(etv_mirror_recall(mirror, key(1), EPOCH, after_us, after_us, &found), 0);
}
END_TEST

START_TEST(only_the_epoch_counts_that_it_was_asked_in)
{
    etv_mirror_t *mirror = etv_make_mirror(ONE_SET);
    static const apr_uint32_t epochs[] = {0, 1, EPOCH - 1, EPOCH, EPOCH + 1, 0xffffff};
    etv_mirror_value_t found;

    put(mirror, key(1), ETV_MIRROR_CONFIGURED, 0, 1);
    for (size_t i = 0; i < ETV_ROWS(epochs); i++)
        ck_assert_int_eq(etv_mirror_find(mirror, key(1), epochs[i], 0, &found), epochs[i] == EPOCH);
    for (size_t i = 0; i < ETV_ROWS(epochs); i++) {
        etv_mirror_value_t value = value_of((int)i);

        etv_mirror_install(mirror, key(1), epochs[i], 0, ETV_MIRROR_CONFIGURED, 0, &value);
        for (size_t k = 0; k < ETV_ROWS(epochs); k++)
            ck_assert_int_eq(etv_mirror_find(mirror, key(1), epochs[k], 0, &found), i == k);
    }
}
END_TEST

START_TEST(an_invalidation_voids_its_key)
{
    etv_mirror_t *mirror = etv_make_mirror(ONE_SET);

    for (int i = 0; i < ETV_MIRROR_WAYS; i++)
        put(mirror, key(i), ETV_MIRROR_CONFIGURED, 0, i);
    for (int i = 0; i < ETV_MIRROR_WAYS; i++) {
        etv_mirror_invalidate(mirror, key(i));
        for (int k = 0; k < ETV_MIRROR_WAYS; k++)
            ck_assert_int_eq(get(mirror, key(k), 0), k > i ? k : -1);
    }
    for (int i = 0; i < ETV_MIRROR_WAYS; i++)
        put(mirror, key(i), ETV_MIRROR_CONFIGURED, 0, 100 + i);
    for (int i = 0; i < ETV_MIRROR_WAYS; i++)
        ck_assert_int_eq(get(mirror, key(i), 0), 100 + i);
    etv_mirror_invalidate_all(mirror);
    for (int i = 0; i < ETV_MIRROR_WAYS; i++)
        ck_assert_int_eq(get(mirror, key(i), 0), -1);
}
END_TEST

START_TEST(what_was_read_before_an_invalidation_is_dropped)
{
    etv_mirror_t *mirror = etv_make_mirror(ONE_SET);
    etv_mirror_value_t old = value_of(1);
    apr_uint64_t generation = etv_mirror_generation(mirror, key(1));

    etv_mirror_invalidate(mirror, key(1));
    etv_mirror_install(mirror, key(1), EPOCH, generation, ETV_MIRROR_CONFIGURED, 0, &old);
    ck_assert_int_eq(get(mirror, key(1), 0), -1);
    put(mirror, key(1), ETV_MIRROR_CONFIGURED, 0, 2);
    etv_mirror_install(mirror, key(1), EPOCH, generation, ETV_MIRROR_CONFIGURED, 0, &old);
    ck_assert_int_eq(get(mirror, key(1), 0), 2); /* nor does it push out what is new */
    generation = etv_mirror_generation(mirror, key(1));
    etv_mirror_invalidate_all(mirror);
    etv_mirror_install(mirror, key(1), EPOCH, generation, ETV_MIRROR_CONFIGURED, 0, &old);
    ck_assert_int_eq(get(mirror, key(1), 0), -1);
}
END_TEST

/* Also what is used all the time: it is asked for again once in a while, not all names at once. */
START_TEST(nothing_is_believed_for_ever)
{
    etv_mirror_t *mirror = etv_make_mirror(1000);
    apr_time_t step = apr_time_from_sec(1);
    int most = 0;

    for (int i = 0; i < 100; i++)
        put(mirror, name("model", i), ETV_MIRROR_CONFIGURED, 0, i);
    for (apr_time_t now_us = 0; now_us <= apr_time_from_sec(68); now_us += step) {
        int found = count_found(mirror, "model", 100, now_us);
        int gone = 100 - most - found;

        if (now_us <= apr_time_from_sec(50))
            ck_assert_int_eq(found, 100);
        ck_assert_int_lt(gone, 30);
        most = 100 - found;
    }
    ck_assert_int_eq(most, 100);
    put(mirror, name("model", 1), ETV_MIRROR_CONFIGURED, apr_time_from_sec(70), 1);
    ck_assert_int_eq(get(mirror, name("model", 1), apr_time_from_sec(120)), 1);
}
END_TEST

START_TEST(each_store_has_a_channel)
{
    etv_mirror_t *mirror = etv_make_mirror(ONE_SET);
    etv_channel_t *channels[ETV_MIRROR_CHANNELS];
    etv_hash128_t nothing = {0, 0};

    channels[0] = etv_mirror_channel(mirror, nothing);
    for (int i = 1; i < ETV_MIRROR_CHANNELS; i++) {
        channels[i] = etv_mirror_channel(mirror, name("store", i));
        ck_assert_ptr_nonnull(channels[i]);
        ck_assert_uint_eq((apr_uintptr_t)channels[i] % 64, 0);
        for (int k = 0; k < i; k++)
            ck_assert_ptr_ne(channels[i], channels[k]);
    }
    ck_assert_ptr_null(etv_mirror_channel(mirror, name("store", 1000)));
    ck_assert_ptr_eq(etv_mirror_channel(mirror, nothing), channels[0]);
    for (int i = 1; i < ETV_MIRROR_CHANNELS; i++)
        ck_assert_ptr_eq(etv_mirror_channel(mirror, name("store", i)), channels[i]);
}
END_TEST

START_TEST(it_holds_what_it_was_made_for)
{
    static const int sizes[] = {1, 8, 9, 16, 1000, 65536};

    for (size_t i = 0; i < ETV_ROWS(sizes); i++) {
        etv_mirror_t *mirror = etv_make_mirror(sizes[i]);
        int some = etv_some(sizes[i]), found;

        for (int k = 0; k < some; k++)
            put(mirror, name("model", k), ETV_MIRROR_CONFIGURED, k, k);
        found = count_found(mirror, "model", some, some);
        ck_assert_msg(found >= some - some / 100, "%d of %d", found, some);
    }
}
END_TEST

/* --- what may be pushed aside by what --- */

#define FLOOD   100000
#define FLOOD_N 500

static void flood(etv_mirror_t *mirror, int n, apr_time_t since_us)
{
    for (int i = 0; i < n; i++) {
        put(mirror, name("learned", i), ETV_MIRROR_LEARNED, since_us + i, i);
        put(mirror, name("made up", i), ETV_MIRROR_MADE_UP, since_us + i, i);
    }
}

START_TEST(a_flood_takes_no_room_of_configured_names)
{
    etv_mirror_t *mirror = etv_make_mirror(2 * FLOOD_N);

    for (int i = 0; i < FLOOD_N; i++)
        put(mirror, name("configured", i), ETV_MIRROR_CONFIGURED, 0, i);
    flood(mirror, etv_some(FLOOD), 1000);
    ck_assert_int_eq(count_found(mirror, "configured", FLOOD_N, 1000), FLOOD_N);
    ck_assert_int_gt(count_found(mirror, "learned", etv_some(FLOOD), 1000), 0);
}
END_TEST

/* One after the other, with a flood between two of them: seldom used ones must not be what makes
 * room for the next. */
START_TEST(configured_names_come_before_a_flood)
{
    etv_mirror_t *mirror = etv_make_mirror(ONE_SET);
    apr_time_t now_us = 0;

    for (int i = 0; i < ETV_MIRROR_WAYS; i++) {
        flood(mirror, 100, now_us += 1000000);
        put(mirror, name("configured", i), ETV_MIRROR_CONFIGURED, now_us += 1000000, i);
        ck_assert_int_eq(count_found(mirror, "configured", i + 1, 0), i + 1);
    }
    flood(mirror, 100, now_us);
    ck_assert_int_eq(count_found(mirror, "configured", ETV_MIRROR_WAYS, 0), ETV_MIRROR_WAYS);
    ck_assert_int_eq(count_found(mirror, "learned", 100, 0), 0);
}
END_TEST

START_TEST(learned_names_have_a_share)
{
    etv_mirror_t *mirror = etv_make_mirror(ONE_SET);
    int room = ETV_MIRROR_WAYS - ETV_MIRROR_WAYS / 4;

    for (int i = 0; i < 1000; i++)
        put(mirror, name("learned", i), ETV_MIRROR_LEARNED, i, i);
    ck_assert_int_eq(count_found(mirror, "learned", 1000, 1000), room);
    for (int i = 1000 - room; i < 1000; i++) /* the last ones */
        ck_assert_int_eq(get(mirror, name("learned", i), 1000), i);
    for (int i = 0; i < ETV_MIRROR_WAYS - room; i++)
        put(mirror, name("configured", i), ETV_MIRROR_CONFIGURED, 2000, i);
    ck_assert_int_eq(count_found(mirror, "learned", 1000, 2000), room);
}
END_TEST

START_TEST(made_up_names_have_a_small_share)
{
    etv_mirror_t *mirror = etv_make_mirror(ONE_SET);

    for (int i = 0; i < 1000; i++)
        put(mirror, name("made up", i), ETV_MIRROR_MADE_UP, i, i);
    ck_assert_int_eq(count_found(mirror, "made up", 1000, 1000), 2);
    for (int i = 0; i < ETV_MIRROR_WAYS; i++)
        put(mirror, name("learned", i), ETV_MIRROR_LEARNED, 1000 + i, i);
    for (int i = 0; i < 1000; i++)
        put(mirror, name("made up", i), ETV_MIRROR_MADE_UP, 2000 + i, i);
    ck_assert_int_eq(count_found(mirror, "learned", ETV_MIRROR_WAYS, 3000),
                     ETV_MIRROR_WAYS - ETV_MIRROR_WAYS / 4);
    ck_assert_int_eq(count_found(mirror, "made up", 1000, 3000), 0);
}
END_TEST

/* A name that is configured here and learned there. */
START_TEST(a_request_takes_no_rank_away)
{
    etv_mirror_t *mirror = etv_make_mirror(ONE_SET);

    for (int i = 0; i < ETV_MIRROR_WAYS; i++)
        put(mirror, name("configured", i), ETV_MIRROR_CONFIGURED, i, i);
    for (int i = 0; i < ETV_MIRROR_WAYS; i++) {
        put(mirror, name("configured", i), ETV_MIRROR_LEARNED, 100 + i, i);
        put(mirror, name("configured", i), ETV_MIRROR_MADE_UP, 100 + i, i);
    }
    flood(mirror, 1000, 1000);
    ck_assert_int_eq(count_found(mirror, "configured", ETV_MIRROR_WAYS, 2000), ETV_MIRROR_WAYS);
}
END_TEST

START_TEST(what_nobody_uses_has_no_rank)
{
    etv_mirror_t *mirror = etv_make_mirror(ONE_SET);
    apr_time_t later = apr_time_from_sec(599);

    for (int i = 0; i < ETV_MIRROR_WAYS; i++)
        put(mirror, name("configured", i), ETV_MIRROR_CONFIGURED, 0, i);
    put(mirror, name("learned", 0), ETV_MIRROR_LEARNED, later, 0);
    ck_assert_int_eq(get(mirror, name("learned", 0), later), -1);
    for (int i = 0; i < ETV_MIRROR_WAYS - 1; i++)
        put(mirror, name("configured", i), ETV_MIRROR_CONFIGURED, later, i);
    later += apr_time_from_sec(2);
    for (int i = 0; i < 100; i++)
        put(mirror, name("learned", i), ETV_MIRROR_LEARNED, later, i);
    ck_assert_int_eq(get(mirror, name("learned", 99), later), 99);
    ck_assert_int_eq(count_found(mirror, "learned", 100, later), 1); /* one seat was free */
    ck_assert_int_eq(count_found(mirror, "configured", ETV_MIRROR_WAYS, later),
                     ETV_MIRROR_WAYS - 1);
}
END_TEST

START_TEST(of_equals_the_one_goes_that_is_least_used)
{
    etv_mirror_t *mirror = etv_make_mirror(ONE_SET);

    for (int i = 0; i < 5000; i++) {
        apr_time_t now_us = (apr_time_t)i * 2000;

        put(mirror, name("model", i), ETV_MIRROR_CONFIGURED, now_us, i);
        ck_assert_int_eq(get(mirror, name("model", 0), now_us), 0);
    }
    ck_assert_int_eq(count_found(mirror, "model", 5000, 0), ETV_MIRROR_WAYS);
    ck_assert_int_eq(get(mirror, name("model", 5000 - ETV_MIRROR_WAYS), 0), -1);
}
END_TEST

/* --- writers that do not come to an end --- */

static void sleep_for_ever(int signal_number)
{
    (void)signal_number;
    for (;;)
        pause();
}

static void die(int signal_number)
{
    (void)signal_number;
    VALGRIND_ENABLE_ERROR_REPORTING;
    raise(SIGKILL);
}

/* A process that has made a slot its own, and touches memory that it may not read when it fetches
 * what to write there: that kills it, or puts it to sleep. */
static pid_t start_stuck_writer(etv_mirror_t *mirror, etv_hash128_t k, int sleeps)
{
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (!child) {
        const void *value = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        VALGRIND_DISABLE_ERROR_REPORTING; /* this one is wanted */
        signal(SIGSEGV, sleeps ? sleep_for_ever : die);
        signal(SIGBUS, sleeps ? sleep_for_ever : die);
        etv_mirror_install(mirror, k, EPOCH, etv_mirror_generation(mirror, k),
                           ETV_MIRROR_CONFIGURED, 0, value);
        _exit(0);
    }
    return child;
}

static void await_end(pid_t child)
{
    int status;

    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
}

START_TEST(the_slots_of_dead_writers_are_used_again)
{
    etv_mirror_t *mirror = etv_make_mirror(ONE_SET);

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < ETV_MIRROR_WAYS; i++)
            put(mirror, key(i), ETV_MIRROR_CONFIGURED, i, i);
        for (int i = 0; i < ETV_MIRROR_WAYS; i++) {
            await_end(start_stuck_writer(mirror, key(i), 0));
            ck_assert_int_eq(get(mirror, key(i), 0), -1);
        }
        for (int i = 0; i < ETV_MIRROR_WAYS; i++) {
            put(mirror, key(100 + i), ETV_MIRROR_CONFIGURED, i, i);
            ck_assert_int_eq(get(mirror, key(100 + i), 0), i);
        }
    }
    for (int i = 0; i < ETV_MIRROR_WAYS; i++)
        ck_assert_int_eq(get(mirror, key(100 + i), 0), i);
}
END_TEST

/* Until it has died, everybody goes without its slot, and nobody waits for it. */
START_TEST(the_slot_of_a_sleeping_writer_is_its_own)
{
    etv_mirror_t *mirror = etv_make_mirror(ONE_SET);
    pid_t child;

    for (int i = 0; i < ETV_MIRROR_WAYS; i++)
        put(mirror, key(i), ETV_MIRROR_CONFIGURED, 0, i);
    child = start_stuck_writer(mirror, key(5), 1);
    while (get(mirror, key(5), 0) != -1)
        usleep(1000);
    for (int i = 0; i < 1000; i++)
        put(mirror, key(100 + i), ETV_MIRROR_CONFIGURED, 1000 + i, i);
    for (int i = 1000 - ETV_MIRROR_WAYS + 1; i < 1000; i++)
        ck_assert_int_eq(get(mirror, key(100 + i), 2000), i);
    ck_assert_int_eq(get(mirror, key(100 + 1000 - ETV_MIRROR_WAYS), 2000), -1);
    put(mirror, key(5), ETV_MIRROR_CONFIGURED, 3000, 55); /* in another slot */
    ck_assert_int_eq(get(mirror, key(5), 3000), 55);
    kill(child, SIGKILL);
    await_end(child);
    for (int i = 0; i < ETV_MIRROR_WAYS; i++)
        put(mirror, key(i), ETV_MIRROR_CONFIGURED, 4000 + i, i);
    for (int i = 0; i < ETV_MIRROR_WAYS; i++)
        ck_assert_int_eq(get(mirror, key(i), 5000), i);
}
END_TEST

/* All slots of a set are being written: what comes is dropped. */
START_TEST(a_set_full_of_sleepers_blocks_nobody)
{
    etv_mirror_t *mirror = etv_make_mirror(ONE_SET);
    pid_t children[ETV_MIRROR_WAYS];

    for (int i = 0; i < ETV_MIRROR_WAYS; i++)
        put(mirror, key(i), ETV_MIRROR_CONFIGURED, 0, i);
    for (int i = 0; i < ETV_MIRROR_WAYS; i++) {
        children[i] = start_stuck_writer(mirror, key(i), 1);
        while (get(mirror, key(i), 0) != -1)
            usleep(1000);
    }
    put(mirror, key(100), ETV_MIRROR_CONFIGURED, 0, 1);
    ck_assert_int_eq(get(mirror, key(100), 0), -1);
    for (int i = 0; i < ETV_MIRROR_WAYS; i++) {
        kill(children[i], SIGKILL);
        await_end(children[i]);
    }
    put(mirror, key(100), ETV_MIRROR_CONFIGURED, 0, 1);
    ck_assert_int_eq(get(mirror, key(100), 0), 1);
}
END_TEST

int main(void)
{
    return etv_check_run("mirror",
                         (const TTest *[]){tokens_of_all_lengths_are_found,
                                           that_there_is_none_is_found,
                                           what_was_installed_later_is_not_recalled,
                                           only_the_epoch_counts_that_it_was_asked_in,
                                           an_invalidation_voids_its_key,
                                           what_was_read_before_an_invalidation_is_dropped,
                                           nothing_is_believed_for_ever,
                                           each_store_has_a_channel,
                                           it_holds_what_it_was_made_for,
                                           a_flood_takes_no_room_of_configured_names,
                                           configured_names_come_before_a_flood,
                                           learned_names_have_a_share,
                                           made_up_names_have_a_small_share,
                                           a_request_takes_no_rank_away,
                                           what_nobody_uses_has_no_rank,
                                           of_equals_the_one_goes_that_is_least_used,
                                           the_slots_of_dead_writers_are_used_again,
                                           the_slot_of_a_sleeping_writer_is_its_own,
                                           a_set_full_of_sleepers_blocks_nobody,
                                           NULL});
}
