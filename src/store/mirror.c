/* SPDX-License-Identifier: Apache-2.0 */
#include "store/mirror.h"

#include <stddef.h>
#include <string.h>

#include "store/boottime.h"
#include "store/slot_state.h"

/* A number has 19 digits. */
#define TOKEN_WORDS_USUAL 3

/* Marking an entry as used more often than this would only move cache lines between processors. */
#define USED_STEP_US 1000

/*
 * What was asked for longer ago is unknown again, so that a change which no server pushed (a key
 * that expired and was not removed yet, databases that were copied and swapped) is found some time.
 * Not all at once: up to a third more, depending on the key.
 */
#define AGE_MOST_US apr_time_from_sec(50)
#define AGE_SPREAD  0xffffffu

/* What nobody used for so long has no privilege any more. */
#define IDLE_US apr_time_from_sec(600)

typedef struct {
    _Atomic apr_uint64_t state; /* store/slot_state.h */
    _Atomic apr_uint64_t key_lo, key_hi;
    _Atomic apr_uint64_t generation;
    _Atomic apr_uint64_t what; /* epoch << 32 | class << 16 | absent << 8 | length of the token */
    _Atomic apr_int64_t used_us;
    _Atomic apr_int64_t asked_us;
    _Atomic apr_int64_t known_us; /* when it had been told: not before it was installed */
    _Atomic apr_uint64_t token[ETV_MIRROR_TOKEN_WORDS];
} entry_t;

struct etv_mirror_t {
    apr_uint64_t set_mask;  /* sets, a power of two, less one; constant */
    apr_uint64_t slot_mask; /* slots less one; constant */
    apr_size_t at;          /* of the first entry, in bytes from here; constant */
    int entries;            /* constant */
    _Alignas(64) etv_channel_t channels[ETV_MIRROR_CHANNELS];
    _Alignas(64) _Atomic apr_uint64_t words[]; /* the generations, then the entries */
};

/* Twice as many slots as entries: a set that overflows forgets, which costs one question. */
static apr_uint64_t sets_for(int entries)
{
    apr_uint64_t sets = 1;

    while (sets * ETV_MIRROR_WAYS < (apr_uint64_t)entries * 2)
        sets *= 2;
    return sets;
}

apr_size_t etv_mirror_bytes(int entries)
{
    return offsetof(etv_mirror_t, words) + (apr_size_t)sets_for(entries) * ETV_MIRROR_WAYS *
                                               (sizeof(apr_uint64_t) + sizeof(entry_t));
}

etv_mirror_t *etv_mirror_init(void *memory, int entries)
{
    etv_mirror_t *mirror = memory;

    mirror->entries = entries;
    mirror->set_mask = sets_for(entries) - 1;
    mirror->slot_mask = sets_for(entries) * ETV_MIRROR_WAYS - 1;
    mirror->at =
        offsetof(etv_mirror_t, words) + (apr_size_t)(mirror->slot_mask + 1) * sizeof(apr_uint64_t);
    return mirror;
}

int etv_mirror_entries(const etv_mirror_t *mirror)
{
    return mirror->entries;
}

etv_channel_t *etv_mirror_channel(etv_mirror_t *mirror, etv_hash128_t name)
{
    name.lo |= 1; /* never all zero, which is a free one */
    for (int i = 0; i < ETV_MIRROR_CHANNELS; i++) {
        etv_channel_t *ch = &mirror->channels[i];
        apr_uint64_t lo = atomic_load(&ch->name_lo);

        if (lo == name.lo && atomic_load(&ch->name_hi) == name.hi)
            return ch;
        if (!lo) {
            atomic_store(&ch->name_hi, name.hi);
            atomic_store(&ch->name_lo, name.lo);
            return ch;
        }
    }
    return NULL;
}

/* --- generations --- */

/* Not the bits that choose the set, so that keys of one set do not share a generation. */
static apr_uint64_t bucket_of(const etv_mirror_t *mirror, etv_hash128_t key)
{
    return (key.hi ^ key.lo >> 32) & mirror->slot_mask;
}

apr_uint64_t etv_mirror_generation(const etv_mirror_t *mirror, etv_hash128_t key)
{
    return atomic_load(&mirror->words[bucket_of(mirror, key)]);
}

void etv_mirror_invalidate(etv_mirror_t *mirror, etv_hash128_t key)
{
    atomic_fetch_add(&mirror->words[bucket_of(mirror, key)], 1);
}

void etv_mirror_invalidate_all(etv_mirror_t *mirror)
{
    for (apr_uint64_t i = 0; i <= mirror->slot_mask; i++)
        atomic_fetch_add(&mirror->words[i], 1);
}

/* --- entries --- */

static entry_t *set_of(etv_mirror_t *mirror, etv_hash128_t key)
{
    entry_t *entries = (entry_t *)(void *)((char *)mirror + mirror->at);

    return entries + (key.lo & mirror->set_mask) * ETV_MIRROR_WAYS;
}

static int has_key(const entry_t *e, etv_hash128_t key)
{
    return atomic_load_explicit(&e->key_lo, memory_order_acquire) == key.lo &&
           atomic_load_explicit(&e->key_hi, memory_order_acquire) == key.hi;
}

static void read_value(const entry_t *e, apr_uint64_t what, etv_mirror_value_t *value)
{
    for (int i = 0; i < TOKEN_WORDS_USUAL; i++)
        value->words[i] = atomic_load_explicit(&e->token[i], memory_order_acquire);
    if ((what & 0xff) > TOKEN_WORDS_USUAL * 8) {
        for (int i = TOKEN_WORDS_USUAL; i < ETV_MIRROR_TOKEN_WORDS; i++)
            value->words[i] = atomic_load_explicit(&e->token[i], memory_order_acquire);
    }
    value->len = (unsigned char)what;
    value->absent = (unsigned char)(what >> 8 & 1);
}

/* @param by_us  what was not known then is not found; NULL: whenever */
static inline __attribute__((always_inline)) int find(etv_mirror_t *mirror, etv_hash128_t key,
                                                      apr_uint32_t epoch, apr_time_t now_us,
                                                      const apr_time_t *by_us,
                                                      etv_mirror_value_t *value)
{
    apr_time_t oldest_us = now_us - AGE_MOST_US - (apr_time_t)(key.hi & AGE_SPREAD);
    entry_t *set = set_of(mirror, key);

    for (entry_t *e = set; e < set + ETV_MIRROR_WAYS; e++) {
        apr_uint64_t state = atomic_load_explicit(&e->state, memory_order_acquire);
        apr_uint64_t what, generation;
        apr_time_t asked_us;
        int late;

        if (etv_slot_of(state) != ETV_SLOT_LIVE || !has_key(e, key))
            continue;
        what = atomic_load_explicit(&e->what, memory_order_acquire);
        generation = atomic_load_explicit(&e->generation, memory_order_acquire);
        asked_us = atomic_load_explicit(&e->asked_us, memory_order_acquire);
        late = by_us && atomic_load_explicit(&e->known_us, memory_order_acquire) > *by_us;
        read_value(e, what, value);
        if (late || atomic_load_explicit(&e->state, memory_order_acquire) != state ||
            what >> 32 != epoch || generation != etv_mirror_generation(mirror, key) ||
            asked_us < oldest_us)
            continue; /* of two that were installed at the same time, the other may be whole */
        if (now_us - atomic_load_explicit(&e->used_us, memory_order_relaxed) > USED_STEP_US)
            atomic_store_explicit(&e->used_us, now_us, memory_order_relaxed);
        return 1;
    }
    return 0;
}

int etv_mirror_find(etv_mirror_t *mirror, etv_hash128_t key, apr_uint32_t epoch, apr_time_t now_us,
                    etv_mirror_value_t *value)
{
    return find(mirror, key, epoch, now_us, NULL, value);
}

int etv_mirror_recall(etv_mirror_t *mirror, etv_hash128_t key, apr_uint32_t epoch,
                      apr_time_t now_us, apr_time_t by_us, etv_mirror_value_t *value)
{
    return find(mirror, key, epoch, now_us, &by_us, value);
}

static etv_mirror_class_e class_of(const entry_t *e)
{
    return (etv_mirror_class_e)(atomic_load(&e->what) >> 16 & 0xff);
}

/* Dearer than any age of use. */
#define DEAR ((apr_int64_t)1 << 62)

/*
 * How dear what is in a slot is to this writer: the cheapest slot is taken. -1: not to be taken.
 * What is worth less goes first, however much it is used: else names of requests that come all the
 * time would make the configured ones push aside each other.
 */
static apr_int64_t price_of(const entry_t *e, apr_uint64_t state, etv_hash128_t key,
                            etv_mirror_class_e class, apr_time_t now_us)
{
    apr_int64_t used_us = atomic_load_explicit(&e->used_us, memory_order_relaxed);
    int idle = now_us - used_us >= IDLE_US;

    if (etv_slot_of(state) == ETV_SLOT_EMPTY)
        return 1;
    if (etv_slot_of(state) == ETV_SLOT_BUSY)
        return etv_slot_is_abandoned(state) ? 2 : -1;
    if (has_key(e, key))
        return 0;
    if (class_of(e) < class && !idle)
        return -1;
    return 3 + used_us + (class_of(e) == class && !idle ? DEAR : 0);
}

/* Names of a class that comes from requests have only so many slots of a set, full or not. */
static int first_way(etv_mirror_class_e class)
{
    switch (class) {
    case ETV_MIRROR_CONFIGURED:
        break;
    case ETV_MIRROR_LEARNED:
        return ETV_MIRROR_WAYS / 4;
    case ETV_MIRROR_MADE_UP:
        return ETV_MIRROR_WAYS - 2;
    }
    return 0;
}

/* Make a slot of the set this writer's own. @return NULL when none can be had now */
static entry_t *claim(entry_t *set, etv_hash128_t key, etv_mirror_class_e class, apr_time_t now_us,
                      apr_uint64_t *claimed)
{
    entry_t *best = NULL;
    apr_uint64_t best_state = 0;
    apr_int64_t best_price = 0;

    for (int i = first_way(class); i < ETV_MIRROR_WAYS; i++) {
        apr_uint64_t state = atomic_load_explicit(&set[i].state, memory_order_acquire);
        apr_int64_t price = price_of(set + i, state, key, class, now_us);

        if (price >= 0 && (!best || price < best_price)) {
            best = set + i;
            best_state = state;
            best_price = price;
        }
    }
    return best && etv_slot_claim(&best->state, best_state, claimed) ? best : NULL;
}

static void write_field(_Atomic apr_uint64_t *field, apr_uint64_t value)
{
    atomic_store_explicit(field, value, memory_order_release);
}

void etv_mirror_install(etv_mirror_t *mirror, etv_hash128_t key, apr_uint32_t epoch,
                        apr_uint64_t generation, etv_mirror_class_e class, apr_time_t now_us,
                        const etv_mirror_value_t *value)
{
    apr_uint64_t claimed;
    entry_t *e;

    if (generation != etv_mirror_generation(mirror, key))
        return; /* void already; it would only push something out */
    e = claim(set_of(mirror, key), key, class, now_us, &claimed);
    if (!e)
        return;
    if (has_key(e, key) && class_of(e) == ETV_MIRROR_CONFIGURED)
        class = ETV_MIRROR_CONFIGURED; /* and learned elsewhere: no request takes its rank away */
    write_field(&e->key_lo, key.lo);
    write_field(&e->key_hi, key.hi);
    write_field(&e->generation, generation);
    write_field(&e->what, (apr_uint64_t)epoch << 32 | (apr_uint64_t) class << 16 |
                              (apr_uint64_t)(value->absent ? 1 : 0) << 8 | value->len);
    atomic_store_explicit(&e->used_us, now_us, memory_order_release);
    atomic_store_explicit(&e->asked_us, now_us, memory_order_release);
    atomic_store_explicit(&e->known_us, etv_boottime_us(), memory_order_release);
    for (int i = 0; i < ETV_MIRROR_TOKEN_WORDS; i++)
        write_field(&e->token[i], value->words[i]);
    etv_slot_publish(&e->state, claimed);
}
