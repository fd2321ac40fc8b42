/* SPDX-License-Identifier: Apache-2.0 */
#include "store/registry.h"

#include <stddef.h>
#include <string.h>

#include "store/slot_state.h"

#define WAYS 8

/* Marking a text as used more often than this would only move cache lines between processors. */
#define USED_STEP_US 1000

#define WORD ((apr_size_t)sizeof(apr_uint64_t))

typedef struct {
    _Atomic apr_uint64_t state; /* store/slot_state.h */
    _Atomic apr_uint64_t id_lo, id_hi;
    _Atomic apr_uint64_t what; /* kind << 32 | length of the text */
    _Atomic apr_int64_t used_us;
    _Alignas(64) _Atomic apr_uint64_t text[ETV_REGISTRY_TEXT_MOST / sizeof(apr_uint64_t)];
} slot_t;

struct etv_registry_t {
    apr_uint64_t sets; /* constant */
    _Alignas(64) slot_t slots[];
};

_Static_assert(ETV_REGISTRY_TEXT_MOST % sizeof(apr_uint64_t) == 0, "texts are copied by words");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "words are shared by processes");

/* What is looked for, as slots have it. */
typedef struct {
    apr_uint64_t lo, hi;
    apr_uint64_t kind;
} wanted_t;

static apr_uint64_t sets_for(int texts)
{
    return texts < WAYS ? 1 : ((apr_uint64_t)texts + WAYS - 1) / WAYS;
}

apr_size_t etv_registry_bytes(int texts)
{
    return offsetof(etv_registry_t, slots) + (apr_size_t)sets_for(texts) * WAYS * sizeof(slot_t);
}

etv_registry_t *etv_registry_init(void *memory, int texts)
{
    etv_registry_t *registry = memory;

    registry->sets = sets_for(texts);
    return registry;
}

static wanted_t wanted_of(etv_registry_kind_e kind, const unsigned char *id)
{
    wanted_t wanted = {0, 0, (apr_uint64_t)kind};

    memcpy(&wanted.lo, id, sizeof(wanted.lo));
    memcpy(&wanted.hi, id + sizeof(wanted.lo), sizeof(wanted.hi));
    return wanted;
}

/* Ids are digests already. */
static slot_t *set_of(etv_registry_t *registry, const wanted_t *wanted)
{
    return registry->slots + ((wanted->lo >> 32) * registry->sets >> 32) * WAYS;
}

/* @return the length of the text that the slot has, if it is the one wanted; 0 */
static apr_size_t matches(const slot_t *slot, const wanted_t *wanted)
{
    apr_uint64_t what;

    if (atomic_load_explicit(&slot->id_lo, memory_order_acquire) != wanted->lo ||
        atomic_load_explicit(&slot->id_hi, memory_order_acquire) != wanted->hi)
        return 0;
    what = atomic_load_explicit(&slot->what, memory_order_acquire);
    if (what >> 32 != wanted->kind || (what & 0xffffffffu) > ETV_REGISTRY_TEXT_MOST)
        return 0;
    return (apr_size_t)(what & 0xffffffffu);
}

/* Reads whole words, for which `text` has room. */
static void read_text(const slot_t *slot, char *text, apr_size_t len)
{
    for (apr_size_t i = 0; i * WORD < len; i++) {
        apr_uint64_t word = atomic_load_explicit(&slot->text[i], memory_order_acquire);

        memcpy(text + i * WORD, &word, WORD);
    }
}

static void mark_used(slot_t *slot, apr_time_t now_us)
{
    if (now_us - atomic_load_explicit(&slot->used_us, memory_order_relaxed) > USED_STEP_US)
        atomic_store_explicit(&slot->used_us, now_us, memory_order_relaxed);
}

/* @return the length of what is in `text` now; 0 when this slot has it not, or not whole */
static apr_size_t take(slot_t *slot, const wanted_t *wanted, apr_time_t now_us, char *text)
{
    apr_uint64_t state = atomic_load_explicit(&slot->state, memory_order_acquire);
    apr_size_t len;

    if (etv_slot_of(state) != ETV_SLOT_LIVE)
        return 0;
    len = matches(slot, wanted);
    if (!len)
        return 0;
    read_text(slot, text, len);
    if (atomic_load_explicit(&slot->state, memory_order_acquire) != state)
        return 0;
    mark_used(slot, now_us);
    return len;
}

apr_size_t etv_registry_find(etv_registry_t *registry, etv_registry_kind_e kind,
                             const unsigned char id[ETV_REGISTRY_ID_BYTES], apr_time_t now_us,
                             char *text)
{
    wanted_t wanted = wanted_of(kind, id);
    slot_t *set = set_of(registry, &wanted);
    apr_size_t len = 0;

    for (int i = 0; i < WAYS && !len; i++)
        len = take(set + i, &wanted, now_us, text);
    return len;
}

/* How dear what is in a slot is: the cheapest one is taken. -1: not to be taken. */
static apr_int64_t price_of(const slot_t *slot, apr_uint64_t state, const wanted_t *wanted)
{
    switch (etv_slot_of(state)) {
    case ETV_SLOT_EMPTY:
        return 1;
    case ETV_SLOT_BUSY:
        return etv_slot_is_abandoned(state) ? 2 : -1;
    case ETV_SLOT_LIVE:
        break;
    }
    if (matches(slot, wanted))
        return 0;
    return 3 + atomic_load_explicit(&slot->used_us, memory_order_relaxed);
}

/* Make a slot of the set this writer's own. @return NULL when none can be had now */
static slot_t *claim(slot_t *set, const wanted_t *wanted, apr_uint64_t *claimed)
{
    slot_t *best = NULL;
    apr_uint64_t best_state = 0;
    apr_int64_t best_price = 0;

    for (slot_t *slot = set; slot < set + WAYS; slot++) {
        apr_uint64_t state = atomic_load_explicit(&slot->state, memory_order_acquire);
        apr_int64_t price = price_of(slot, state, wanted);

        if (price >= 0 && (!best || price < best_price)) {
            best = slot;
            best_state = state;
            best_price = price;
        }
    }
    return best && etv_slot_claim(&best->state, best_state, claimed) ? best : NULL;
}

static void write_text(slot_t *slot, const char *text, apr_size_t len)
{
    for (apr_size_t i = 0; i * WORD < len; i++) {
        apr_size_t left = len - i * WORD;
        apr_uint64_t word = 0;

        memcpy(&word, text + i * WORD, left < WORD ? left : WORD);
        atomic_store_explicit(&slot->text[i], word, memory_order_release);
    }
}

void etv_registry_add(etv_registry_t *registry, etv_registry_kind_e kind,
                      const unsigned char id[ETV_REGISTRY_ID_BYTES], apr_time_t now_us,
                      const char *text, apr_size_t len)
{
    wanted_t wanted = wanted_of(kind, id);
    slot_t *set = set_of(registry, &wanted);
    char present[ETV_REGISTRY_TEXT_MOST];
    apr_uint64_t claimed;
    slot_t *slot;

    if (!len || len > ETV_REGISTRY_TEXT_MOST)
        return;
    /* Found, it is marked as used, which is all that most calls are for. */
    if (etv_registry_find(registry, kind, id, now_us, present) == len &&
        memcmp(present, text, len) == 0)
        return;
    slot = claim(set, &wanted, &claimed);
    if (!slot)
        return;
    atomic_store_explicit(&slot->id_lo, wanted.lo, memory_order_release);
    atomic_store_explicit(&slot->id_hi, wanted.hi, memory_order_release);
    atomic_store_explicit(&slot->what, wanted.kind << 32 | len, memory_order_release);
    atomic_store_explicit(&slot->used_us, now_us, memory_order_release);
    write_text(slot, text, len);
    etv_slot_publish(&slot->state, claimed);
}
