/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The words, in shared memory, by which the children of one httpd agree about one store that
 * pushes: who listens to it, for how long what was heard holds, and what server it is. Every word
 * changes by one atomic step, so that whoever dies or is frozen anywhere holds up nobody. All
 * functions are safe in any thread and process. Times are etv_boottime_us.
 */
#ifndef ETV_STORE_CHANNEL_H
#define ETV_STORE_CHANNEL_H

#include <apr.h>
#include <apr_time.h>
#include <stdatomic.h>

#include "core/hash.h"

#define ETV_CHANNEL_FACTS       8
#define ETV_CHANNEL_FACTS_WORDS 4

/** A leader that does not renew for this long is replaced. */
#define ETV_CHANNEL_LEADS_US 300000

/** What is known of a server, as of one moment. */
typedef struct {
    unsigned char instance[16]; /**< changes with every flush, restart and promotion */
    unsigned char secret[16];   /**< the key for tags that it keeps; zero when it keeps none */
} etv_channel_facts_t;

typedef struct {
    _Atomic apr_uint64_t epoch;
    _Atomic apr_uint64_t words[ETV_CHANNEL_FACTS_WORDS];
    _Atomic apr_uint64_t sum;
} etv_channel_slot_t;

/** Zeroed at first. */
typedef struct {
    _Atomic apr_uint64_t name_lo, name_hi; /* written once, by the parent */
    _Atomic apr_uint64_t leader;           /* owner << 40 | until, in milliseconds; 0: nobody */
    _Atomic apr_uint64_t lease;            /* epoch << 40 | until, in milliseconds */
    _Atomic apr_uint32_t owners;           /* numbers given out */
    _Atomic apr_uint32_t handover; /* a futex: a leader has just left, or a follower shall */
    etv_channel_slot_t facts[ETV_CHANNEL_FACTS];
    unsigned char padding[64 - (40 + 48 * ETV_CHANNEL_FACTS) % 64];
} etv_channel_t;

/* --- the lease --- */

/** The lease as one word: take it once per decision. */
static inline apr_uint64_t etv_channel_lease(const etv_channel_t *ch)
{
    return atomic_load_explicit(&ch->lease, memory_order_acquire);
}

static inline apr_uint32_t etv_channel_epoch_of(apr_uint64_t lease)
{
    return (apr_uint32_t)(lease >> 40);
}

/** Whether what belongs to the epoch of this lease may be used now. */
static inline int etv_channel_holds(apr_uint64_t lease, apr_time_t now_us)
{
    return now_us < (apr_time_t)(lease & (((apr_uint64_t)1 << 40) - 1)) * 1000;
}

/**
 * Begin a new epoch: all that was known is void. Harmless at any time, by anybody.
 * @param wrapped  out: 1 when half of all numbers have been used since it was 1 last, and entries
 *                 of the mirror must go before they repeat
 * @return the new epoch
 */
apr_uint32_t etv_channel_raise(etv_channel_t *ch, int *wrapped);

/** The same, if `epoch` is still the present one. @return 1 when it was */
int etv_channel_refute(etv_channel_t *ch, apr_uint32_t epoch, int *wrapped);

/** What belongs to `epoch` holds until then. @return 0 when another epoch has begun */
int etv_channel_publish(etv_channel_t *ch, apr_uint32_t epoch, apr_time_t until_us);

/* --- the server of an epoch --- */

/** Before the epoch is published for the first time, by its leader. */
void etv_channel_set_facts(etv_channel_t *ch, apr_uint32_t epoch, const etv_channel_facts_t *facts);

/** @return 1; 0 when they are not known, or a former leader has just written over them */
int etv_channel_get_facts(const etv_channel_t *ch, apr_uint32_t epoch, etv_channel_facts_t *facts);

/* --- the leader --- */

/** A number for one who wants to lead. Never 0. */
apr_uint32_t etv_channel_owner(etv_channel_t *ch);

typedef enum {
    ETV_CHANNEL_FOLLOWS, /**< somebody else leads */
    ETV_CHANNEL_TAKES,   /**< leads from now on, and did not before */
    ETV_CHANNEL_LEADS    /**< goes on leading */
} etv_channel_role_e;

/** Try to lead, or go on leading, for ETV_CHANNEL_LEADS_US from now. */
etv_channel_role_e etv_channel_lead(etv_channel_t *ch, apr_uint32_t owner, apr_time_t now_us);

/** When whoever leads is to be replaced; 0 when nobody does. */
apr_time_t etv_channel_leader_until(const etv_channel_t *ch);

/** Leave at once, if leading: all that was known becomes void, and others are told.
 * @param wrapped  as etv_channel_raise */
void etv_channel_resign(etv_channel_t *ch, apr_uint32_t owner, int *wrapped);

/** What etv_channel_await waits for changes of. */
static inline apr_uint32_t etv_channel_handover(const etv_channel_t *ch)
{
    return atomic_load(&ch->handover);
}

/** Sleep until somebody resigned or etv_channel_wake was called since `seen` was read, or for that
 * long. May return early. */
void etv_channel_await(etv_channel_t *ch, apr_uint32_t seen, apr_interval_time_t most_us);

/** Wake all that sleep. Safe in signal handlers. */
void etv_channel_wake(etv_channel_t *ch);

#endif
