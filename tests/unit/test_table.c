/* SPDX-License-Identifier: Apache-2.0 */
/* The shared table: found again, replaced by age of use, whole after a writer's death. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "etv_check.h"
#include "table_fixture.h"

#include "store/settle.h"
#include "store/table.h"

static void drop_table(etv_table_t *table)
{
    munmap(table, etv_table_bytes(etv_table_entries(table)));
}

static etv_hash128_t key_of(int i)
{
    return etv_hash_name(&i, sizeof(i));
}

static int set_lo(void *baton, const etv_table_entry_t *current, etv_hash128_t *value)
{
    (void)current;
    value->lo = *(apr_uint64_t *)baton;
    value->hi = ~value->lo;
    return 1;
}

static int leave(void *baton, const etv_table_entry_t *current, etv_hash128_t *value)
{
    (void)baton;
    (void)current;
    (void)value;
    return 0;
}

static void put(etv_table_t *table, etv_hash128_t key, apr_uint64_t value, apr_time_t now_us)
{
    etv_table_entry_t entry;

    ck_assert_int_eq(etv_table_update(table, key, now_us, now_us, set_lo, &value, &entry),
                     APR_SUCCESS);
    ck_assert_uint_eq(entry.value.lo, value);
}

START_TEST(finds_what_was_put)
{
    etv_table_t *table = etv_make_table(64);
    etv_table_entry_t entry;

    ck_assert_int_eq(etv_table_find(table, key_of(1), 0, &entry), 0);
    put(table, key_of(1), 11, 1000);
    put(table, key_of(2), 22, 2000);
    ck_assert_int_eq(etv_table_find(table, key_of(1), 0, &entry), 1);
    ck_assert_uint_eq(entry.value.lo, 11);
    ck_assert_int_eq(entry.since_us, 1000);
    put(table, key_of(1), 12, 3000);
    ck_assert_int_eq(etv_table_find(table, key_of(1), 0, &entry), 1);
    ck_assert_uint_eq(entry.value.lo, 12);
    ck_assert_int_eq(entry.since_us, 3000);
    ck_assert_int_eq(etv_table_find(table, key_of(3), 0, &entry), 0);
    drop_table(table);
}
END_TEST

START_TEST(leaves_absent_what_is_not_wanted)
{
    etv_table_t *table = etv_make_table(16);
    etv_table_entry_t entry;

    ck_assert_int_eq(etv_table_update(table, key_of(1), 0, 0, leave, NULL, &entry), APR_NOTFOUND);
    ck_assert_int_eq(etv_table_find(table, key_of(1), 0, &entry), 0);
    drop_table(table);
}
END_TEST

START_TEST(holds_as_many_as_it_was_made_for)
{
    etv_table_t *table = etv_make_table(1000);
    etv_table_entry_t entry;
    int lost = 0;

    for (int i = 0; i < 1000; i++)
        put(table, key_of(i), (apr_uint64_t)i, i);
    for (int i = 0; i < 1000; i++)
        lost += etv_table_find(table, key_of(i), 1000, &entry) != ETV_TABLE_FOUND;
    ck_assert_int_eq(lost, 0);
    drop_table(table);
}
END_TEST

START_TEST(what_is_used_outlives_what_is_not)
{
    etv_table_t *table = etv_make_table(16);
    etv_table_entry_t entry;
    int kept = 0;

    put(table, key_of(0), 7, 0);
    for (int i = 1; i < 5000; i++) {
        apr_time_t now_us = apr_time_from_sec(i);

        put(table, key_of(i), (apr_uint64_t)i, now_us);
        ck_assert_int_eq(etv_table_find(table, key_of(0), now_us, &entry), 1);
        ck_assert_uint_eq(entry.value.lo, 7);
    }
    for (int i = 1; i < 4000; i++)
        kept += etv_table_find(table, key_of(i), 0, &entry) == ETV_TABLE_FOUND;
    ck_assert_int_eq(kept, 0);
    drop_table(table);
}
END_TEST

START_TEST(numbers_only_grow)
{
    etv_table_t *table = etv_make_table(16);

    ck_assert_uint_eq(etv_table_next_number(table, 100), 100);
    ck_assert_uint_eq(etv_table_next_number(table, 50), 101);
    ck_assert_uint_eq(etv_table_next_number(table, 101), 102);
    ck_assert_uint_eq(etv_table_next_number(table, 500), 500);
    drop_table(table);
}
END_TEST

START_TEST(tables_differ)
{
    etv_table_t *a = etv_make_table(16), *b = etv_make_table(16);

    ck_assert_int_ne(memcmp(etv_table_instance(a), etv_table_instance(b), 16), 0);
    ck_assert_int_ne(memcmp(etv_table_secret(a), etv_table_secret(b), 16), 0);
    ck_assert_int_ne(memcmp(etv_table_secret(a), etv_table_instance(a), 16), 0);
    drop_table(a);
    drop_table(b);
}
END_TEST

static int die_while_deciding(void *baton, const etv_table_entry_t *current, etv_hash128_t *value)
{
    (void)baton;
    (void)current;
    (void)value;
    raise(SIGKILL);
    return 0;
}

START_TEST(survives_the_death_of_a_writer)
{
    etv_table_t *table = etv_make_table(16);
    etv_table_entry_t entry;
    int status;
    pid_t child;

    put(table, key_of(1), 1, 0);
    child = fork();
    if (child == 0) {
        etv_table_update(table, key_of(1), 0, 0, die_while_deciding, NULL, &entry);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
    put(table, key_of(2), 2, 0);
    put(table, key_of(1), 3, 0);
    ck_assert_int_eq(etv_table_find(table, key_of(1), 0, &entry), 1);
    ck_assert_uint_eq(entry.value.lo, 3);
    drop_table(table);
}
END_TEST

static int sleep_while_deciding(void *baton, const etv_table_entry_t *current, etv_hash128_t *value)
{
    char byte = 1;

    (void)current;
    (void)value;
    if (write(*(int *)baton, &byte, 1) == 1)
        pause();
    return 0;
}

START_TEST(a_frozen_writer_blocks_nobody_for_long)
{
    etv_table_t *table = etv_make_table(16);
    etv_table_entry_t entry;
    apr_uint64_t value = 9;
    int fds[2];
    char byte;
    pid_t child;

    put(table, key_of(1), 1, 0);
    ck_assert_int_eq(pipe(fds), 0);
    child = fork();
    if (child == 0) {
        etv_table_update(table, key_of(1), 0, 0, sleep_while_deciding, &fds[1], &entry);
        _exit(0);
    }
    ck_assert_int_eq((int)read(fds[0], &byte, 1), 1);
    ck_assert_int_eq(etv_table_update(table, key_of(2), 0, 0, set_lo, &value, &entry), APR_TIMEUP);
    ck_assert_int_eq(etv_table_find(table, key_of(1), 0, &entry), 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    put(table, key_of(2), 2, 0);
    close(fds[0]);
    close(fds[1]);
    drop_table(table);
}
END_TEST

/* Readers must never see the key of one entry with the value of another, nor half a value. */
typedef struct {
    etv_table_t *table;
    _Atomic int stop;
    _Atomic int torn;
    _Atomic int found;
} storm_t;

#define STORM_KEYS 200

static void *storm_reader(void *baton)
{
    storm_t *storm = baton;
    etv_table_entry_t entry;

    for (int i = 0; !storm->stop; i = (i + 1) % STORM_KEYS) {
        if (etv_table_find(storm->table, key_of(i), apr_time_from_sec(i), &entry) !=
            ETV_TABLE_FOUND)
            continue;
        storm->found++;
        if (entry.value.hi != ~entry.value.lo || entry.value.lo % STORM_KEYS != (apr_uint64_t)i)
            storm->torn++;
    }
    return NULL;
}

static void *storm_writer(void *baton)
{
    storm_t *storm = baton;

    for (int i = 0; i < 40000; i++) {
        etv_table_entry_t entry;
        apr_uint64_t value = (apr_uint64_t)i;

        etv_table_update(storm->table, key_of(i % STORM_KEYS), i, i, set_lo, &value, &entry);
    }
    return NULL;
}

START_TEST(readers_see_whole_entries_in_a_storm)
{
    storm_t storm = {.table =
                         etv_make_table(16)}; /* far too small: entries give way all the time */
    pthread_t readers[2], writers[2];

    for (int i = 0; i < 2; i++) {
        pthread_create(&readers[i], NULL, storm_reader, &storm);
        pthread_create(&writers[i], NULL, storm_writer, &storm);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(writers[i], NULL);
    storm.stop = 1;
    for (int i = 0; i < 2; i++)
        pthread_join(readers[i], NULL);
    ck_assert_int_eq(storm.torn, 0);
    ck_assert_int_gt(storm.found, 0);
    drop_table(storm.table);
}
END_TEST

START_TEST(settling_counts_from_first_sight)
{
    etv_table_t *table = etv_make_table(64);
    etv_hash128_t scope = etv_hash_name("a", 1), other = etv_hash_name("b", 1);
    etv_model_t model = {.name = "m", .name_len = 1, .hash = etv_hash_name("m", 1)};

    model.token = (const unsigned char *)"1";
    model.token_len = 1;
    ck_assert_int_eq(etv_settle_age(table, scope, &model, 1000), 0);
    ck_assert_int_eq(etv_settle_age(table, scope, &model, 1500), 500);
    ck_assert_int_eq(etv_settle_age(table, other, &model, 1500), 0);
    model.token = (const unsigned char *)"2";
    ck_assert_int_eq(etv_settle_age(table, scope, &model, 2000), 0);
    ck_assert_int_eq(etv_settle_age(table, scope, &model, 2700), 700);
    ck_assert_int_eq(etv_settle_age(table, scope, &model, 100), 0); /* never negative */
    drop_table(table);
}
END_TEST

int main(void)
{
    return etv_check_run(
        "table",
        (const TTest *[]){
            finds_what_was_put, leaves_absent_what_is_not_wanted, holds_as_many_as_it_was_made_for,
            what_is_used_outlives_what_is_not, numbers_only_grow, tables_differ,
            survives_the_death_of_a_writer, a_frozen_writer_blocks_nobody_for_long,
            readers_see_whole_entries_in_a_storm, settling_counts_from_first_sight, NULL});
}
