/* SPDX-License-Identifier: Apache-2.0 */
#include "store/channel.h"

#include <string.h>

#include "store/futex.h"

/* Both packed words have milliseconds, good for 34 years of uptime, below 24 bits of a number. */
#define UNTIL_BITS  40
#define UNTIL_MASK  (((apr_uint64_t)1 << UNTIL_BITS) - 1)
#define NUMBER_MASK 0xffffffu

_Static_assert(sizeof(etv_channel_t) % 64 == 0, "what follows a channel must be aligned");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "words are shared by processes");

static apr_uint64_t pack(apr_uint32_t number, apr_time_t until_us)
{
    apr_uint64_t ms = until_us > 0 ? (apr_uint64_t)until_us / 1000 : 0;

    return (apr_uint64_t)(number & NUMBER_MASK) << UNTIL_BITS | (ms & UNTIL_MASK);
}

/* --- the lease --- */

/* Twice in each turn, so that one who dies before it has cleaned up does no harm. */
static int is_half(apr_uint32_t epoch)
{
    return (epoch & (NUMBER_MASK >> 1)) == 0;
}

apr_uint32_t etv_channel_raise(etv_channel_t *ch, int *wrapped)
{
    apr_uint64_t old = atomic_load(&ch->lease);
    apr_uint64_t next;

    do {
        next = pack(etv_channel_epoch_of(old) + 1, 0);
    } while (!atomic_compare_exchange_weak(&ch->lease, &old, next));
    *wrapped = is_half(etv_channel_epoch_of(next));
    return etv_channel_epoch_of(next);
}

int etv_channel_refute(etv_channel_t *ch, apr_uint32_t epoch, int *wrapped)
{
    apr_uint64_t old = atomic_load(&ch->lease);

    *wrapped = 0;
    while (etv_channel_epoch_of(old) == epoch) {
        if (atomic_compare_exchange_weak(&ch->lease, &old, pack(epoch + 1, 0))) {
            *wrapped = is_half((epoch + 1) & NUMBER_MASK);
            return 1;
        }
    }
    return 0;
}

int etv_channel_publish(etv_channel_t *ch, apr_uint32_t epoch, apr_time_t until_us)
{
    apr_uint64_t old = atomic_load(&ch->lease);

    while (etv_channel_epoch_of(old) == epoch) {
        if (atomic_compare_exchange_weak(&ch->lease, &old, pack(epoch, until_us))) {
            return 1;
        }
    }
    return 0;
}

/* --- the server of an epoch --- */

static apr_uint64_t sum_of(apr_uint32_t epoch, const apr_uint64_t words[ETV_CHANNEL_FACTS_WORDS])
{
    apr_uint64_t all[ETV_CHANNEL_FACTS_WORDS + 1];

    memcpy(all, words, sizeof(all[0]) * ETV_CHANNEL_FACTS_WORDS);
    all[ETV_CHANNEL_FACTS_WORDS] = epoch;
    return etv_hash_index(all, sizeof(all));
}

_Static_assert(sizeof(etv_channel_facts_t) == sizeof(apr_uint64_t) * ETV_CHANNEL_FACTS_WORDS,
               "facts are written word by word");

void etv_channel_set_facts(etv_channel_t *ch, apr_uint32_t epoch, const etv_channel_facts_t *facts)
{
    etv_channel_slot_t *slot = &ch->facts[epoch % ETV_CHANNEL_FACTS];
    apr_uint64_t words[ETV_CHANNEL_FACTS_WORDS];

    memcpy(words, facts, sizeof(words));
    atomic_store(&slot->epoch, epoch);
    for (int i = 0; i < ETV_CHANNEL_FACTS_WORDS; i++) {
        atomic_store(&slot->words[i], words[i]);
    }
    atomic_store(&slot->sum, sum_of(epoch, words));
}

int etv_channel_get_facts(const etv_channel_t *ch, apr_uint32_t epoch, etv_channel_facts_t *facts)
{
    const etv_channel_slot_t *slot = &ch->facts[epoch % ETV_CHANNEL_FACTS];
    apr_uint64_t words[ETV_CHANNEL_FACTS_WORDS];

    for (int i = 0; i < ETV_CHANNEL_FACTS_WORDS; i++) {
        words[i] = atomic_load(&slot->words[i]);
    }
    if (atomic_load(&slot->epoch) != epoch || atomic_load(&slot->sum) != sum_of(epoch, words)) {
        return 0;
    }
    memcpy(facts, words, sizeof(words));
    return 1;
}

/* --- the leader --- */

apr_uint32_t etv_channel_owner(etv_channel_t *ch)
{
    apr_uint32_t owner;

    do {
        owner = (atomic_fetch_add(&ch->owners, 1) + 1) & NUMBER_MASK;
    } while (!owner);
    return owner;
}

static apr_uint32_t owner_of(apr_uint64_t leader)
{
    return (apr_uint32_t)(leader >> UNTIL_BITS);
}

static apr_time_t until_of(apr_uint64_t leader)
{
    return (apr_time_t)(leader & UNTIL_MASK) * 1000;
}

etv_channel_role_e etv_channel_lead(etv_channel_t *ch, apr_uint32_t owner, apr_time_t now_us)
{
    apr_uint64_t next = pack(owner, now_us + ETV_CHANNEL_LEADS_US);
    apr_uint64_t old = atomic_load(&ch->leader);

    for (;;) {
        int mine = old && owner_of(old) == owner;

        if (old && !mine && now_us < until_of(old)) {
            return ETV_CHANNEL_FOLLOWS;
        }
        if (atomic_compare_exchange_weak(&ch->leader, &old, next)) {
            return mine ? ETV_CHANNEL_LEADS : ETV_CHANNEL_TAKES;
        }
    }
}

apr_time_t etv_channel_leader_until(const etv_channel_t *ch)
{
    return until_of(atomic_load(&ch->leader));
}

void etv_channel_resign(etv_channel_t *ch, apr_uint32_t owner, int *wrapped)
{
    apr_uint64_t old = atomic_load(&ch->leader);

    *wrapped = 0;
    if (!old || owner_of(old) != owner) {
        return;
    }
    etv_channel_raise(ch, wrapped);
    while (old && owner_of(old) == owner) {
        if (atomic_compare_exchange_weak(&ch->leader, &old, 0)) {
            etv_channel_wake(ch);
            return;
        }
    }
}

void etv_channel_await(etv_channel_t *ch, apr_uint32_t seen, apr_interval_time_t most_us)
{
    etv_futex_await(&ch->handover, seen, most_us);
}

void etv_channel_wake(etv_channel_t *ch)
{
    etv_futex_wake(&ch->handover);
}
