/* SPDX-License-Identifier: Apache-2.0 */
#include "store/table.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <apr_general.h>

/*
 * An entry's state is a generation, counted up with every change of owner, above two bits. A reader
 * that sees the same live state before and after has read the fields of one owner.
 */
#define STATE_EMPTY 0u
#define STATE_BUSY  1u
#define STATE_LIVE  2u
#define STATE_BITS  3u
#define STATE_NEXT  4u

/* Marking an entry as used more often than this would only move cache lines between processors. */
#define USED_STEP_US 1000

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2,
               "entries are shared by processes: 64-bit atomics must not need a lock");

typedef struct {
    _Atomic apr_uint64_t state;
    _Atomic apr_uint64_t key_lo, key_hi;
    _Atomic apr_uint64_t value_lo, value_hi;
    _Atomic apr_int64_t since_us;
    _Atomic apr_int64_t used_us;
    apr_uint64_t padding;
} entry_t;

struct etv_table_t {
    pthread_mutex_t lock; /* shared, robust; guards every write below but used_us */
    apr_uint64_t sets;    /* a power of two; constant */
    int entries;          /* constant */
    unsigned char instance[16];
    unsigned char secret[ETV_TABLE_SECRET_BYTES];
    _Atomic apr_uint64_t last_number;
    _Alignas(64) entry_t slots[];
};

static apr_uint64_t sets_for(int entries)
{
    apr_uint64_t sets = 1;

    while (sets * ETV_TABLE_WAYS < (apr_uint64_t)entries * 4)
        sets *= 2;
    return sets;
}

apr_size_t etv_table_bytes(int entries)
{
    return offsetof(etv_table_t, slots) +
           (apr_size_t)sets_for(entries) * ETV_TABLE_WAYS * sizeof(entry_t);
}

static apr_status_t init_lock(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attr;
    int rc = pthread_mutexattr_init(&attr);

    if (rc)
        return APR_FROM_OS_ERROR(rc);
    rc = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    if (!rc)
        rc = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    if (!rc)
        rc = pthread_mutex_init(lock, &attr);
    pthread_mutexattr_destroy(&attr);
    return rc ? APR_FROM_OS_ERROR(rc) : APR_SUCCESS;
}

apr_status_t etv_table_init(void *memory, int entries, etv_table_t **table)
{
    etv_table_t *t = memory;
    apr_status_t rv = init_lock(&t->lock);

    if (rv == APR_SUCCESS)
        rv = apr_generate_random_bytes(t->instance, sizeof(t->instance));
    if (rv == APR_SUCCESS)
        rv = apr_generate_random_bytes(t->secret, sizeof(t->secret));
    if (rv != APR_SUCCESS)
        return rv;
    t->entries = entries;
    t->sets = sets_for(entries);
    *table = t;
    return APR_SUCCESS;
}

int etv_table_entries(const etv_table_t *table)
{
    return table->entries;
}

const unsigned char *etv_table_instance(const etv_table_t *table)
{
    return table->instance;
}

const unsigned char *etv_table_secret(const etv_table_t *table)
{
    return table->secret;
}

static entry_t *set_of(etv_table_t *table, etv_hash128_t key)
{
    return table->slots + (key.lo & (table->sets - 1)) * ETV_TABLE_WAYS;
}

static int has_key(const entry_t *e, etv_hash128_t key)
{
    return atomic_load_explicit(&e->key_lo, memory_order_relaxed) == key.lo &&
           atomic_load_explicit(&e->key_hi, memory_order_relaxed) == key.hi;
}

static void read_entry(const entry_t *e, etv_table_entry_t *out)
{
    /* The value is read before the time, and written after it: a new value never comes with an
     * old time. */
    out->value.lo = atomic_load_explicit(&e->value_lo, memory_order_acquire);
    out->value.hi = atomic_load_explicit(&e->value_hi, memory_order_acquire);
    out->since_us = atomic_load_explicit(&e->since_us, memory_order_acquire);
}

etv_table_find_e etv_table_find(etv_table_t *table, etv_hash128_t key, apr_time_t now_us,
                                etv_table_entry_t *entry)
{
    entry_t *set = set_of(table, key);
    etv_table_find_e absent = ETV_TABLE_ABSENT;

    for (int i = 0; i < ETV_TABLE_WAYS; i++) {
        entry_t *e = set + i;
        apr_uint64_t state = atomic_load_explicit(&e->state, memory_order_acquire);

        if ((state & STATE_BITS) == STATE_BUSY)
            absent = ETV_TABLE_CHANGING;
        if ((state & STATE_BITS) != STATE_LIVE || !has_key(e, key))
            continue;
        read_entry(e, entry);
        if (atomic_load_explicit(&e->state, memory_order_acquire) != state)
            return ETV_TABLE_CHANGING;
        if (now_us - atomic_load_explicit(&e->used_us, memory_order_relaxed) > USED_STEP_US)
            atomic_store_explicit(&e->used_us, now_us, memory_order_relaxed);
        return ETV_TABLE_FOUND;
    }
    return absent;
}

/* A writer died: what it was just writing is of no value, everything else is whole. */
static void repair(etv_table_t *table)
{
    for (apr_uint64_t i = 0; i < table->sets * ETV_TABLE_WAYS; i++) {
        entry_t *e = table->slots + i;
        apr_uint64_t state = atomic_load_explicit(&e->state, memory_order_relaxed);

        if ((state & STATE_BITS) == STATE_BUSY)
            atomic_store_explicit(&e->state, (state & ~(apr_uint64_t)STATE_BITS) + STATE_NEXT,
                                  memory_order_release);
    }
}

static apr_status_t lock_table(etv_table_t *table)
{
    struct timespec until;
    int rc = pthread_mutex_trylock(&table->lock);

    if (rc == EBUSY) {
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += ETV_TABLE_LOCK_US * 1000;
        if (until.tv_nsec >= 1000000000L) {
            until.tv_nsec -= 1000000000L;
            until.tv_sec++;
        }
        rc = pthread_mutex_timedlock(&table->lock, &until);
    }
    if (rc == EOWNERDEAD) {
        repair(table);
        rc = pthread_mutex_consistent(&table->lock);
    }
    if (rc == ETIMEDOUT)
        return APR_TIMEUP;
    return rc ? APR_FROM_OS_ERROR(rc) : APR_SUCCESS;
}

static entry_t *find_locked(entry_t *set, etv_hash128_t key)
{
    for (int i = 0; i < ETV_TABLE_WAYS; i++) {
        apr_uint64_t state = atomic_load_explicit(&set[i].state, memory_order_relaxed);

        if ((state & STATE_BITS) == STATE_LIVE && has_key(set + i, key))
            return set + i;
    }
    return NULL;
}

/* An empty slot, else the one that was used longest ago. */
static entry_t *victim(entry_t *set)
{
    entry_t *oldest = set;

    for (int i = 0; i < ETV_TABLE_WAYS; i++) {
        apr_uint64_t state = atomic_load_explicit(&set[i].state, memory_order_relaxed);

        if ((state & STATE_BITS) != STATE_LIVE)
            return set + i;
        if (atomic_load_explicit(&set[i].used_us, memory_order_relaxed) <
            atomic_load_explicit(&oldest->used_us, memory_order_relaxed))
            oldest = set + i;
    }
    return oldest;
}

static void write_value(entry_t *e, etv_hash128_t value, apr_time_t since_us)
{
    atomic_store_explicit(&e->since_us, since_us, memory_order_release);
    atomic_store_explicit(&e->value_hi, value.hi, memory_order_release);
    atomic_store_explicit(&e->value_lo, value.lo, memory_order_release);
}

static void begin_write(entry_t *e, apr_uint64_t *state)
{
    *state = atomic_load_explicit(&e->state, memory_order_relaxed) & ~(apr_uint64_t)STATE_BITS;
    atomic_store_explicit(&e->state, *state | STATE_BUSY, memory_order_seq_cst);
    atomic_thread_fence(memory_order_seq_cst);
}

static void end_write(entry_t *e, apr_uint64_t state)
{
    atomic_store_explicit(&e->state, (state + STATE_NEXT) | STATE_LIVE, memory_order_release);
}

/* Lock held. @return the entry */
static entry_t *set_locked(etv_table_t *table, etv_hash128_t key, etv_hash128_t value,
                           apr_time_t since_us)
{
    entry_t *set = set_of(table, key), *e = find_locked(set, key);
    apr_uint64_t state;

    if (!e)
        e = victim(set);
    begin_write(e, &state);
    atomic_store_explicit(&e->key_lo, key.lo, memory_order_relaxed);
    atomic_store_explicit(&e->key_hi, key.hi, memory_order_relaxed);
    write_value(e, value, since_us);
    end_write(e, state);
    return e;
}

static void mark_used(entry_t *e, apr_time_t now_us)
{
    atomic_store_explicit(&e->used_us, now_us, memory_order_relaxed);
}

apr_status_t etv_table_update(etv_table_t *table, etv_hash128_t key, apr_time_t now_us,
                              apr_time_t since_us, etv_table_decide_fn *decide, void *baton,
                              etv_table_entry_t *result)
{
    etv_table_entry_t current;
    etv_hash128_t value;
    apr_status_t rv = lock_table(table);
    entry_t *e;

    if (rv != APR_SUCCESS)
        return rv;
    e = find_locked(set_of(table, key), key);
    if (e)
        read_entry(e, &current);
    if (decide(baton, e ? &current : NULL, &value)) {
        e = set_locked(table, key, value, since_us);
        current.value = value;
        current.since_us = since_us;
    }
    if (e) {
        mark_used(e, now_us);
        *result = current;
    }
    pthread_mutex_unlock(&table->lock);
    return e ? APR_SUCCESS : APR_NOTFOUND;
}

void etv_table_set_also(etv_table_t *table, etv_hash128_t key, apr_time_t now_us,
                        etv_hash128_t value)
{
    mark_used(set_locked(table, key, value, now_us), now_us);
}

apr_uint64_t etv_table_newest(const etv_table_t *table)
{
    return atomic_load_explicit(&table->last_number, memory_order_acquire);
}

apr_uint64_t etv_table_next_number(etv_table_t *table, apr_uint64_t least)
{
    apr_uint64_t next = atomic_load_explicit(&table->last_number, memory_order_relaxed) + 1;

    if (next < least)
        next = least;
    atomic_store_explicit(&table->last_number, next, memory_order_release);
    return next;
}
