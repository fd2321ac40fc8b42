/* SPDX-License-Identifier: Apache-2.0 */
/** What pending slots look like in shared memory (see pending.c), and their words. For pending*.c
 *  alone. */
#ifndef ETV_STORE_PENDING_WORD_H
#define ETV_STORE_PENDING_WORD_H

#include <string.h>

#include "store/pending.h"
#include "store/slot_state.h"

#define TENTATIVE 3u /* beyond etv_slot_e */

#define UNTIL_SHIFT 2
#define UNTIL_BITS  40 /* milliseconds */
#define UNTIL_MASK  (((apr_uint64_t)1 << UNTIL_BITS) - 1)
#define TAG_SHIFT   (UNTIL_SHIFT + UNTIL_BITS)
#define TAG_BITS    19
#define TAG_MASK    (((apr_uint64_t)1 << TAG_BITS) - 1)
#define WAITS       ((apr_uint64_t)1 << (TAG_SHIFT + TAG_BITS))

/* A handle: the tag above the slot's place; never negative. */
#define PLACE_BITS 12

/* Stores that are told from those that there were once: if there are more, none is. */
#define STORES_MOST 64

#define NAME_WORDS  (ETV_MODEL_NAME_MOST / 8)
#define OWNER_WORDS (ETV_OWNER_CHARS / 8)

_Static_assert(ETV_PENDING_SLOTS == 1 << PLACE_BITS, "a handle has the place of each slot");
_Static_assert(PLACE_BITS + TAG_BITS < 32, "a handle is an int");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "words are shared by processes");

typedef struct {
    _Atomic apr_uint64_t lo, hi;
} key_t128;

typedef struct {
    _Atomic apr_uint64_t owner[OWNER_WORDS];
    _Atomic apr_uint64_t number, grace_us;
    _Atomic apr_uint64_t scope_lo, scope_hi, hash_lo, hash_hi;
    _Atomic apr_uint64_t name_len;
    _Atomic apr_uint64_t name[NAME_WORDS];
} about_t;

struct etv_pending_t {
    _Atomic apr_uint64_t top;        /* version << TOP_BITS | slots in use end here */
    _Atomic apr_int64_t overflow_us; /* everything counts as pending until then */
    _Atomic apr_int64_t warned_us;   /* when people were told last that bumps wait; 0: never */
    _Atomic apr_int64_t calmed_us;   /* and that they do not any more */
    _Atomic apr_uint64_t warned_of;  /* of which store */
    _Atomic apr_uint64_t handed_on;  /* see above */
    _Atomic apr_uint64_t stores;     /* a digest of the configured ones' scopes; 0: never told */
    _Atomic apr_uint64_t moved;      /* 1: they have been others, as changes' may still be */
    _Atomic apr_uint64_t n_stores;   /* how many of these there are; 0: too many */
    _Atomic apr_uint64_t store[STORES_MOST];
    _Alignas(64) _Atomic apr_uint64_t words[ETV_PENDING_SLOTS];
    key_t128 keys[ETV_PENDING_SLOTS];
    about_t about[ETV_PENDING_SLOTS];
};

/* --- words --- */

static inline unsigned state_of(apr_uint64_t word)
{
    return (unsigned)(word & ETV_SLOT_BITS);
}

static inline int is_pending(apr_uint64_t word)
{
    return state_of(word) == ETV_SLOT_LIVE || state_of(word) == TENTATIVE;
}

static inline apr_uint64_t tag_of(apr_uint64_t word)
{
    return word >> TAG_SHIFT & TAG_MASK;
}

static inline apr_time_t until_of(apr_uint64_t word)
{
    return (apr_time_t)(word >> UNTIL_SHIFT & UNTIL_MASK) * 1000;
}

static inline apr_uint64_t make_word(apr_uint64_t tag, apr_time_t until_us, unsigned state)
{
    apr_uint64_t ms = until_us > 0 ? ((apr_uint64_t)until_us + 999) / 1000 : 0;

    return (tag & TAG_MASK) << TAG_SHIFT | (ms & UNTIL_MASK) << UNTIL_SHIFT | state;
}

static inline apr_uint64_t busy_word(apr_uint64_t tag)
{
    apr_uint64_t pid = (apr_uint64_t)getpid() & ETV_SLOT_PID_MASK;

    return (tag & TAG_MASK) << TAG_SHIFT | pid << ETV_SLOT_PID_SHIFT | ETV_SLOT_BUSY;
}

static inline int handle_of(int place, apr_uint64_t word)
{
    return (int)(tag_of(word) << PLACE_BITS) | place;
}

static inline int place_of(int handle)
{
    return handle & (ETV_PENDING_SLOTS - 1);
}

/* Of this use of the slot, and not a later one. */
static inline int is_of(int handle, apr_uint64_t word)
{
    return is_pending(word) && handle_of(place_of(handle), word) == handle;
}

/* --- fields --- */

static inline void put(_Atomic apr_uint64_t *to, apr_uint64_t value)
{
    atomic_store_explicit(to, value, memory_order_release);
}

static inline apr_uint64_t get(const _Atomic apr_uint64_t *from)
{
    return atomic_load_explicit(from, memory_order_acquire);
}

static inline void put_text(_Atomic apr_uint64_t *to, const char *text, apr_size_t len)
{
    for (apr_size_t at = 0; at < len; at += 8) {
        apr_uint64_t word = 0;

        memcpy(&word, text + at, len - at < 8 ? len - at : 8);
        put(to + at / 8, word);
    }
}

static inline void get_text(char *text, const _Atomic apr_uint64_t *from, apr_size_t len)
{
    for (apr_size_t at = 0; at < len; at += 8) {
        apr_uint64_t word = get(from + at / 8);

        memcpy(text + at, &word, len - at < 8 ? len - at : 8);
    }
}

/* --- parts of it --- */

/** etv_pending_take_due for several. @param of  0: only of a store that is none of these */
int etv_pending_take(etv_pending_t *pending, const etv_hash128_t *scopes, int n, int of,
                     apr_time_t now_us, apr_time_t until_us, int *from, etv_pending_what_t *what);

/** Whether a store is not configured any more. */
int etv_pending_was_store(const etv_pending_t *pending, etv_hash128_t scope);

#endif
