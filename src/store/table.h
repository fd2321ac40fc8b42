/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A table in shared memory: 128-bit keys to 128-bit values, used by the embedded store and to
 * remember when this host first saw a version.
 *
 * Readers take no lock and make no system call. Writers hold a robust mutex; one that dies with it
 * leaves a table that the next writer repairs. When there is no room, the least recently used entry
 * of the key's set gives way.
 *
 * Layout: one header, then sets of ETV_TABLE_WAYS entries; a key lives in the set that its hash
 * names. There are four slots for each entry that was asked for, so a set overflows before the
 * table is full only about once in a million.
 *
 *   +--------+--------- set 0 ---------+--------- set 1 ---------+ ...
 *   | header | entry 0 | … | entry 15  | entry 0 | … | entry 15  |
 *   +--------+-------------------------+-------------------------+ ...
 */
#ifndef ETV_STORE_TABLE_H
#define ETV_STORE_TABLE_H

#include <apr.h>
#include <apr_errno.h>
#include <apr_time.h>

#include "core/hash.h"

#define ETV_TABLE_WAYS          16
#define ETV_TABLE_ENTRIES_LEAST 16
#define ETV_TABLE_ENTRIES_MOST  (1 << 22)
#define ETV_TABLE_SECRET_BYTES  16

typedef struct etv_table_t etv_table_t;

/** What one entry holds. */
typedef struct {
    etv_hash128_t value;
    apr_time_t since_us; /**< when the value was set, on the caller's clock */
} etv_table_entry_t;

/** Bytes of shared memory that a table for `entries` needs. */
apr_size_t etv_table_bytes(int entries);

/**
 * Lay out a new table in `memory`, which is zeroed, aligned to 64 bytes and shared by all processes
 * that will use it; before any of them does.
 * @return APR_SUCCESS; else why the lock or random bytes could not be had
 */
apr_status_t etv_table_init(void *memory, int entries, etv_table_t **table);

/** How many entries it was made for. */
int etv_table_entries(const etv_table_t *table);

/** 16 random bytes that differ for each table that was ever made. */
const unsigned char *etv_table_instance(const etv_table_t *table);

/** ETV_TABLE_SECRET_BYTES random bytes for keys that need not outlive the table. */
const unsigned char *etv_table_secret(const etv_table_t *table);

typedef enum {
    ETV_TABLE_ABSENT,
    ETV_TABLE_FOUND,   /**< `*entry` was filled in */
    ETV_TABLE_CHANGING /**< it may be there: some entry of the set was being written */
} etv_table_find_e;

/** Find a key; marks it as used at `now_us`. Takes no lock and never waits. */
etv_table_find_e etv_table_find(etv_table_t *table, etv_hash128_t key, apr_time_t now_us,
                                etv_table_entry_t *entry);

/**
 * Decide about a key under the lock. `decide` gets the entry, or NULL when it is absent, and
 * returns 1 with `*value` to set (a new entry, or a change), 0 to leave it as it is.
 */
typedef int etv_table_decide_fn(void *baton, const etv_table_entry_t *current,
                                etv_hash128_t *value);

/**
 * Change or insert an entry atomically.
 * @param since_us  becomes the entry's time when `decide` sets a value
 * @param result    out: the entry as it is afterwards; untouched when absent
 * @return APR_SUCCESS; APR_NOTFOUND when absent and left so; APR_TIMEUP when another writer held
 *         the lock for ETV_TABLE_LOCK_US
 */
apr_status_t etv_table_update(etv_table_t *table, etv_hash128_t key, apr_time_t now_us,
                              apr_time_t since_us, etv_table_decide_fn *decide, void *baton,
                              etv_table_entry_t *result);

/** How long a writer waits for another one: far above any honest critical section. */
#define ETV_TABLE_LOCK_US (APR_USEC_PER_SEC / 10)

/**
 * A number above every one this table gave before, and at least `least`. Only inside `decide`.
 */
apr_uint64_t etv_table_next_number(etv_table_t *table, apr_uint64_t least);

/** The newest number that was given; 0: none. What gets a number from now on gets a greater one. */
apr_uint64_t etv_table_newest(const etv_table_t *table);

/** Set another entry, too. Only inside `decide`: nobody sees a state of the table in between but by
 *  etv_table_find, or when the writer dies before it has set its own. */
void etv_table_set_also(etv_table_t *table, etv_hash128_t key, apr_time_t now_us,
                        etv_hash128_t value);

#endif
