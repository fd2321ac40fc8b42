/* SPDX-License-Identifier: Apache-2.0 */
#include "store/feed.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include <apr_general.h>

#include "store/boottime.h"
#include "store/futex.h"

/*
 * A writer takes a number, makes the entry of that number busy, writes it, and publishes it. It
 * cannot know whether the former writer of the same entry, one lap ago, is dead or asleep in the
 * middle of it, so it does not wait; should that one go on writing, the checksum no longer fits,
 * and readers say that something was missed.
 */
#define BUSY         1u
#define NUMBER_SHIFT 1

/* A number whose writer is not done is waited for so long, from when a reader noticed it. */
#define STUCK_MS 1000

/* When it was noticed, above it the low bits of the number. */
#define NOTICED_BITS 40
#define NOTICED_MASK (((apr_uint64_t)1 << NOTICED_BITS) - 1)
#define NOTICED_LOW  0xffffffu

/* Who waits for an entry that is not done looks again in time to give up on it. */
#define LOOK_AGAIN_US (STUCK_MS * 250)

#define WORD       ((apr_size_t)sizeof(apr_uint64_t))
#define NAME_WORDS (ETV_MODEL_NAME_MOST / sizeof(apr_uint64_t))

_Static_assert(ETV_MODEL_NAME_MOST % sizeof(apr_uint64_t) == 0, "names are copied by words");
_Static_assert((ETV_FEED_ENTRIES & (ETV_FEED_ENTRIES - 1)) == 0, "numbers are masked");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "words are shared by processes");

/* What an entry says, in the order in which it is summed up. */
enum { NUMBER, SCOPE_LO, SCOPE_HI, LEN, NAME, WORDS = NAME + NAME_WORDS };

typedef struct {
    _Alignas(64) _Atomic apr_uint64_t state; /* number << 1 | busy; 0: never used */
    _Atomic apr_uint64_t noticed;            /* number << 40 | since when it is waited for, in ms */
    _Atomic apr_uint64_t sum;
    _Atomic apr_uint64_t words[WORDS]; /* a length of 0: a gap */
} slot_t;

struct etv_feed_t {
    apr_uint64_t nonce; /* constant */
    _Alignas(64) _Atomic apr_uint64_t next;
    _Alignas(64) _Atomic apr_uint32_t changes; /* a futex */
    _Atomic apr_uint32_t sleepers; /* too many when one was killed: costs needless wake-ups */
    slot_t slots[ETV_FEED_ENTRIES];
};

apr_size_t etv_feed_bytes(void)
{
    return sizeof(etv_feed_t);
}

etv_feed_t *etv_feed_init(void *memory)
{
    etv_feed_t *feed = memory;

    if (apr_generate_random_bytes((unsigned char *)&feed->nonce, sizeof(feed->nonce)) !=
        APR_SUCCESS)
        feed->nonce = (apr_uint64_t)apr_time_now() << 16 ^ (apr_uint64_t)getpid();
    atomic_store(&feed->next, 1);
    return feed;
}

apr_uint64_t etv_feed_nonce(const etv_feed_t *feed)
{
    return feed->nonce;
}

apr_uint64_t etv_feed_next(const etv_feed_t *feed)
{
    return atomic_load(&feed->next);
}

static slot_t *slot_of(etv_feed_t *feed, apr_uint64_t number)
{
    return &feed->slots[number & (ETV_FEED_ENTRIES - 1)];
}

static apr_size_t words_of(apr_uint64_t len)
{
    return NAME + (apr_size_t)(len + WORD - 1) / WORD;
}

/* --- writing --- */

/* @return 0 when a writer that is a lap ahead has the entry already */
static int make_busy(slot_t *slot, apr_uint64_t number)
{
    apr_uint64_t old = atomic_load(&slot->state);

    do {
        if (old >> NUMBER_SHIFT >= number)
            return 0;
    } while (!atomic_compare_exchange_weak(&slot->state, &old, number << NUMBER_SHIFT | BUSY));
    return 1;
}

static void tell(etv_feed_t *feed)
{
    if (atomic_load(&feed->sleepers))
        etv_futex_wake(&feed->changes);
}

static void write_entry(etv_feed_t *feed, etv_hash128_t scope, const char *name, apr_size_t len)
{
    apr_uint64_t number = atomic_fetch_add(&feed->next, 1);
    apr_uint64_t words[WORDS] = {number, scope.lo, scope.hi, len};
    apr_uint64_t busy = number << NUMBER_SHIFT | BUSY;
    slot_t *slot = slot_of(feed, number);
    apr_size_t n = words_of(len);

    memcpy(words + NAME, name, len);
    if (!make_busy(slot, number))
        return;
    for (apr_size_t i = 0; i < n; i++)
        atomic_store_explicit(&slot->words[i], words[i], memory_order_release);
    atomic_store_explicit(&slot->sum, etv_hash_index(words, n * WORD), memory_order_release);
    atomic_compare_exchange_strong(&slot->state, &busy, number << NUMBER_SHIFT);
    tell(feed);
}

void etv_feed_write(etv_feed_t *feed, etv_hash128_t scope, const char *name, apr_size_t len)
{
    if (len && len <= ETV_MODEL_NAME_MOST)
        write_entry(feed, scope, name, len);
}

void etv_feed_write_gap(etv_feed_t *feed, etv_hash128_t scope)
{
    write_entry(feed, scope, "", 0);
}

/* --- reading --- */

/* @return 0 when it was not written by one writer alone */
static int copy_entry(const slot_t *slot, apr_uint64_t number, etv_feed_entry_t *entry)
{
    apr_uint64_t words[WORDS];
    apr_uint64_t len = atomic_load_explicit(&slot->words[LEN], memory_order_acquire);
    apr_size_t n;

    if (len > ETV_MODEL_NAME_MOST)
        return 0;
    n = words_of(len);
    for (apr_size_t i = 0; i < n; i++)
        words[i] = atomic_load_explicit(&slot->words[i], memory_order_acquire);
    if (words[NUMBER] != number || words[LEN] != len ||
        atomic_load_explicit(&slot->sum, memory_order_acquire) != etv_hash_index(words, n * WORD))
        return 0;
    entry->scope.lo = words[SCOPE_LO];
    entry->scope.hi = words[SCOPE_HI];
    entry->len = (apr_size_t)len;
    memcpy(entry->name, words + NAME, entry->len);
    entry->name[entry->len] = '\0';
    return 1;
}

/* Something of any store. */
static etv_feed_e missed(etv_feed_entry_t *entry)
{
    entry->scope = (etv_hash128_t){0, 0};
    entry->len = 0;
    entry->name[0] = '\0';
    return ETV_FEED_GAP;
}

/* The writer of a number has not published it: is it time to go on without? */
static int is_stuck(slot_t *slot, apr_uint64_t number)
{
    apr_uint64_t now_ms = (apr_uint64_t)etv_boottime_us() / 1000 & NOTICED_MASK;
    apr_uint64_t since = atomic_load(&slot->noticed);

    while (since >> NOTICED_BITS != (number & NOTICED_LOW)) {
        apr_uint64_t from_now = (number & NOTICED_LOW) << NOTICED_BITS | now_ms;

        if (atomic_compare_exchange_weak(&slot->noticed, &since, from_now))
            return 0;
    }
    return ((now_ms - since) & NOTICED_MASK) >= STUCK_MS;
}

etv_feed_e etv_feed_read(etv_feed_t *feed, apr_uint64_t *next, etv_feed_entry_t *entry)
{
    apr_uint64_t number = *next, head = atomic_load(&feed->next);
    slot_t *slot = slot_of(feed, number);
    apr_uint64_t state;
    int whole;

    if (number >= head)
        return ETV_FEED_NONE;
    entry->number = number;
    state = atomic_load_explicit(&slot->state, memory_order_acquire);
    if (state >> NUMBER_SHIFT < number || state == (number << NUMBER_SHIFT | BUSY)) {
        if (!is_stuck(slot, number))
            return ETV_FEED_NONE;
        *next = number + 1;
        return missed(entry);
    }
    whole = state == number << NUMBER_SHIFT && copy_entry(slot, number, entry);
    if (atomic_load_explicit(&slot->state, memory_order_acquire) >> NUMBER_SHIFT != number) {
        /* Overtaken. Whoever looks at everything now has seen all that there was until now. */
        *next = atomic_load(&feed->next);
        entry->number = *next - 1;
        return missed(entry);
    }
    *next = number + 1;
    if (!whole)
        return missed(entry);
    return entry->len ? ETV_FEED_BUMP : ETV_FEED_GAP;
}

/* --- waiting --- */

static int is_there(etv_feed_t *feed, apr_uint64_t number)
{
    apr_uint64_t state = atomic_load(&slot_of(feed, number)->state);

    return !(state & BUSY) && state >> NUMBER_SHIFT >= number;
}

void etv_feed_await(etv_feed_t *feed, apr_uint64_t next, apr_interval_time_t most_us)
{
    apr_uint32_t seen;

    atomic_fetch_add(&feed->sleepers, 1); /* before looking, as writers publish before they look */
    seen = atomic_load(&feed->changes);
    if (!is_there(feed, next)) {
        int waited_for = next < atomic_load(&feed->next);

        etv_futex_await(&feed->changes, seen,
                        waited_for && most_us > LOOK_AGAIN_US ? LOOK_AGAIN_US : most_us);
    }
    atomic_fetch_sub(&feed->sleepers, 1);
}

void etv_feed_wake(etv_feed_t *feed)
{
    etv_futex_wake(&feed->changes);
}
