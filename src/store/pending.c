/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   +--------+-------+------------+-----------------+--------------------+
 *   | header | words | keys       | what the slots are about, a row each |
 *   +--------+-------+------------+-----------------+--------------------+
 *
 * A slot's word has a state, below the time until which somebody cares for it, below a tag that is
 * counted up whenever the slot gets another owner:
 *
 *   EMPTY --claim--> BUSY --written--> LIVE or TENTATIVE --remove--> EMPTY
 *
 * A bit says that a live one waits. Only what waits, or whose time has passed, is made to stand for
 * another, and its tag is counted up then: a delivery that began before does not remove it.
 *
 * While it is busy, the word has the writer's process instead of the time (slot_state.h): only when
 * that is gone may others have the slot, so nobody ever writes into what is another's.
 *
 * Whoever looks for something scans the words below `top`. It is raised after a slot was claimed
 * and before that is live; each raise counts its version up, so that one who found all slots near
 * the top empty and wants to lower it notices that this may not be so any more.
 *
 * A model may be pending without a gap, but by one slot after another; `handed_on` is counted up
 * when the next one is there and before the last one goes. Who has found nothing looks again when
 * it has changed meanwhile.
 */
#include "store/pending.h"

#include <string.h>

#include "store/pending_word.h"

/* So many changes of one model that the store was told of wait by themselves. */
#define TOLD_MOST 4

/* At least so long everything counts as pending when something had no slot. */
#define OVERFLOW_US (2 * APR_USEC_PER_SEC)

/* So often is looked again for what may have moved. */
#define LOOKS_MOST 64

/* Between two warnings. */
#define QUIET_US (10 * APR_USEC_PER_SEC)

#define TOP_BITS 16
#define TOP_MASK (((apr_uint64_t)1 << TOP_BITS) - 1)

apr_size_t etv_pending_bytes(void)
{
    return sizeof(etv_pending_t);
}

etv_pending_t *etv_pending_init(void *memory)
{
    return memory;
}

/* --- the top --- */

static int top_of(const etv_pending_t *pending)
{
    return (int)(atomic_load_explicit(&pending->top, memory_order_acquire) & TOP_MASK);
}

static apr_uint64_t next_top(apr_uint64_t top, int n)
{
    return ((top >> TOP_BITS) + 1) << TOP_BITS | (apr_uint64_t)n;
}

/* A slot below `n` was claimed. Counts also when the top is high enough: see above. */
static void raise_top(etv_pending_t *pending, int n)
{
    apr_uint64_t top = atomic_load(&pending->top);

    while (!atomic_compare_exchange_weak(
        &pending->top, &top, next_top(top, (int)(top & TOP_MASK) > n ? (int)(top & TOP_MASK) : n)))
        ;
}

static void lower_top(etv_pending_t *pending)
{
    apr_uint64_t top = atomic_load(&pending->top);
    int n = (int)(top & TOP_MASK);

    while (n > 0 && state_of(atomic_load(&pending->words[n - 1])) == ETV_SLOT_EMPTY)
        n--;
    if (n != (int)(top & TOP_MASK)) /* if another slot was claimed meanwhile, the next one lowers */
        atomic_compare_exchange_strong(&pending->top, &top, next_top(top, n));
}

/* --- what slots are about --- */

static void write_slot(etv_pending_t *pending, int place, const etv_pending_what_t *what)
{
    etv_hash128_t key = etv_hash_scoped(what->hash, what->scope);
    about_t *a = &pending->about[place];

    put(&pending->keys[place].lo, key.lo);
    put(&pending->keys[place].hi, key.hi);
    put_text(a->owner, what->id.owner, ETV_OWNER_CHARS);
    put(&a->number, what->id.number);
    put(&a->grace_us, (apr_uint64_t)what->id.grace_us);
    put(&a->scope_lo, what->scope.lo);
    put(&a->scope_hi, what->scope.hi);
    put(&a->hash_lo, what->hash.lo);
    put(&a->hash_hi, what->hash.hi);
    put(&a->name_len, what->name_len);
    put_text(a->name, what->name, what->name_len);
}

/* Perhaps of two writers: whoever reads looks at the word again afterwards. */
static void read_id(const etv_pending_t *pending, int place, etv_change_id_t *id)
{
    const about_t *a = &pending->about[place];

    get_text(id->owner, a->owner, ETV_OWNER_CHARS);
    id->owner[ETV_OWNER_CHARS] = '\0';
    id->number = get(&a->number);
    id->grace_us = (apr_interval_time_t)get(&a->grace_us);
}

static void read_slot(const etv_pending_t *pending, int place, etv_pending_what_t *what)
{
    const about_t *a = &pending->about[place];
    apr_uint64_t len = get(&a->name_len);

    read_id(pending, place, &what->id);
    what->scope = (etv_hash128_t){get(&a->scope_lo), get(&a->scope_hi)};
    what->hash = (etv_hash128_t){get(&a->hash_lo), get(&a->hash_hi)};
    what->tentative = 0;
    what->name_len = len < ETV_MODEL_NAME_MOST ? (apr_size_t)len : ETV_MODEL_NAME_MOST;
    get_text(what->name, a->name, what->name_len);
}

static int has_scope(const etv_pending_t *pending, int place, etv_hash128_t scope)
{
    return get(&pending->about[place].scope_lo) == scope.lo &&
           get(&pending->about[place].scope_hi) == scope.hi;
}

static int has_key(const etv_pending_t *pending, int place, etv_hash128_t key)
{
    return get(&pending->keys[place].lo) == key.lo && get(&pending->keys[place].hi) == key.hi;
}

/*
 * About this model: also of what may be the same store by another name, since there have been
 * others. To be pending for another store's change does no harm.
 */
static int is_about(const etv_pending_t *pending, int place, etv_hash128_t key, etv_hash128_t hash)
{
    const about_t *a = &pending->about[place];

    return has_key(pending, place, key) ||
           (get(&pending->moved) && get(&a->hash_lo) == hash.lo && get(&a->hash_hi) == hash.hi);
}

/* --- asking --- */

int etv_pending_overflows(const etv_pending_t *pending, apr_time_t now_us)
{
    return now_us < atomic_load_explicit(&pending->overflow_us, memory_order_acquire);
}

int etv_pending_any(const etv_pending_t *pending)
{
    return top_of(pending) != 0 ||
           atomic_load_explicit(&pending->overflow_us, memory_order_acquire) != 0;
}

static int finds(const etv_pending_t *pending, etv_hash128_t key, etv_hash128_t hash)
{
    int top = top_of(pending);

    for (int i = 0; i < top; i++) {
        if (is_pending(atomic_load(&pending->words[i])) && is_about(pending, i, key, hash))
            return 1;
    }
    return 0;
}

/* A model that was pending when this began, and still is when it ends, is seen. */
int etv_pending_has(const etv_pending_t *pending, etv_hash128_t scope, etv_hash128_t hash,
                    apr_time_t now_us)
{
    etv_hash128_t key = etv_hash_scoped(hash, scope);

    for (int i = 0; i < LOOKS_MOST; i++) {
        apr_uint64_t handed_on = atomic_load(&pending->handed_on);

        if (finds(pending, key, hash))
            return 1;
        if (handed_on == atomic_load(&pending->handed_on))
            return etv_pending_overflows(pending, now_us);
    }
    return 1; /* perhaps */
}

static int is_same(const etv_change_id_t *a, const etv_change_id_t *b)
{
    return a->number == b->number && memcmp(a->owner, b->owner, ETV_OWNER_CHARS) == 0;
}

/*
 * The word and the change of a slot, as they were at one moment. @return 0 when it is not about
 * this model
 */
static int read_match(const etv_pending_t *pending, int place, etv_hash128_t key,
                      etv_hash128_t hash, apr_uint64_t *word, etv_change_id_t *id)
{
    for (;;) {
        *word = atomic_load(&pending->words[place]);
        if (!is_pending(*word) || !is_about(pending, place, key, hash))
            return 0;
        read_id(pending, place, id);
        if (is_of(handle_of(place, *word), atomic_load(&pending->words[place])))
            return 1;
    }
}

static int finds_other(const etv_pending_t *pending, etv_hash128_t key, etv_hash128_t hash,
                       const etv_change_id_t *id)
{
    int top = top_of(pending);
    etv_change_id_t found;
    apr_uint64_t word;

    for (int i = 0; i < top; i++) {
        if (read_match(pending, i, key, hash, &word, &found) && state_of(word) != TENTATIVE &&
            !is_same(&found, id))
            return 1;
    }
    return 0;
}

int etv_pending_has_other(const etv_pending_t *pending, etv_hash128_t scope, etv_hash128_t hash,
                          const etv_change_id_t *id, apr_time_t now_us)
{
    etv_hash128_t key = etv_hash_scoped(hash, scope);

    for (int i = 0; i < LOOKS_MOST; i++) {
        apr_uint64_t handed_on = atomic_load(&pending->handed_on);

        if (finds_other(pending, key, hash, id))
            return 1;
        if (handed_on == atomic_load(&pending->handed_on))
            return etv_pending_overflows(pending, now_us);
    }
    return 1;
}

void etv_pending_confirm(etv_pending_t *pending, etv_hash128_t scope, etv_hash128_t hash,
                         const etv_change_id_t *id)
{
    etv_hash128_t key = etv_hash_scoped(hash, scope);
    int top = top_of(pending);
    etv_change_id_t found;
    apr_uint64_t word;

    for (int i = 0; i < top; i++) {
        while (
            read_match(pending, i, key, hash, &word, &found) && state_of(word) == TENTATIVE &&
            is_same(&found, id) &&
            !atomic_compare_exchange_strong(&pending->words[i], &word,
                                            (word & ~(apr_uint64_t)ETV_SLOT_BITS) | ETV_SLOT_LIVE))
            ;
    }
}

/* --- changing --- */

void etv_pending_overflow(etv_pending_t *pending, apr_time_t until_us)
{
    apr_int64_t old = atomic_load(&pending->overflow_us);

    while (old < until_us && !atomic_compare_exchange_weak(&pending->overflow_us, &old, until_us))
        ;
}

/* @param waits  0 or WAITS. @return -1 when there is no slot */
static int add(etv_pending_t *pending, const etv_pending_what_t *what, apr_time_t until_us,
               apr_uint64_t waits)
{
    for (int i = 0; i < ETV_PENDING_SLOTS; i++) {
        apr_uint64_t seen = atomic_load(&pending->words[i]);
        apr_uint64_t busy, done;

        if (state_of(seen) != ETV_SLOT_EMPTY && !etv_slot_is_abandoned(seen))
            continue;
        busy = busy_word(tag_of(seen) + 1);
        if (!atomic_compare_exchange_strong(&pending->words[i], &seen, busy))
            continue;
        raise_top(pending, i + 1);
        write_slot(pending, i, what);
        done =
            make_word(tag_of(busy), until_us, what->tentative ? TENTATIVE : ETV_SLOT_LIVE) | waits;
        if (atomic_compare_exchange_strong(&pending->words[i], &busy, done)) {
            atomic_fetch_add(&pending->handed_on, 1);
            return handle_of(i, done);
        }
    }
    return -1;
}

int etv_pending_add(etv_pending_t *pending, const etv_pending_what_t *what, apr_time_t until_us)
{
    int slot = add(pending, what, until_us, 0);

    if (slot < 0)
        etv_pending_overflow(pending, until_us);
    return slot;
}

int etv_pending_renew(etv_pending_t *pending, int slot, apr_time_t until_us)
{
    _Atomic apr_uint64_t *word = &pending->words[place_of(slot)];
    apr_uint64_t seen = atomic_load(word);

    while (slot >= 0 && is_of(slot, seen)) {
        if (atomic_compare_exchange_weak(word, &seen,
                                         make_word(tag_of(seen), until_us, state_of(seen))))
            return 1;
    }
    return 0;
}

void etv_pending_remove(etv_pending_t *pending, int slot)
{
    _Atomic apr_uint64_t *word = &pending->words[place_of(slot)];
    apr_uint64_t seen = atomic_load(word);

    while (slot >= 0 && is_of(slot, seen)) {
        if (atomic_compare_exchange_weak(word, &seen, make_word(tag_of(seen), 0, ETV_SLOT_EMPTY))) {
            lower_top(pending);
            return;
        }
    }
}

/* --- leaving --- */

/* It waits, or whoever had it is gone, or late. */
static int is_nobodys(apr_uint64_t word, apr_time_t now_us)
{
    return state_of(word) == ETV_SLOT_LIVE && (word & WAITS || until_of(word) <= now_us);
}

static apr_uint64_t waiting_word(apr_uint64_t word, apr_time_t until_us)
{
    return make_word(tag_of(word) + 1, until_us, ETV_SLOT_LIVE) | WAITS;
}

typedef struct {
    etv_hash128_t key, hash;
    const etv_change_id_t *id;
    int told;
    int spared; /* how many that were told of are not to be asked yet */
    apr_time_t now_us, until_us;
} left_t;

/* Have a slot stand for what is left, too. @return 0 when it cannot */
static int stand_in(etv_pending_t *pending, int place, left_t *left)
{
    etv_change_id_t id;
    apr_uint64_t word;

    while (read_match(pending, place, left->key, left->hash, &word, &id) &&
           has_key(pending, place, left->key) && is_nobodys(word, left->now_us)) {
        apr_time_t until_us = until_of(word);

        if (left->told && !is_same(&id, left->id) && (!id.number || left->spared > 0)) {
            left->spared -= id.number != 0;
            return 0;
        }
        if (until_us < left->until_us)
            until_us = left->until_us;
        if (atomic_compare_exchange_strong(&pending->words[place], &word,
                                           waiting_word(word, until_us)))
            return 1;
    }
    return 0;
}

static int find_stand_in(etv_pending_t *pending, int slot, left_t *left)
{
    int top = top_of(pending);

    for (int i = 0; i < top; i++) {
        int is_own =
            slot >= 0 && i == place_of(slot) && is_of(slot, atomic_load(&pending->words[i]));

        if (!is_own && stand_in(pending, i, left))
            return 1;
    }
    return 0;
}

/* The slot itself waits from now on. @return 0 when somebody else has taken it */
static int have_wait(etv_pending_t *pending, int slot, apr_time_t until_us)
{
    _Atomic apr_uint64_t *word = &pending->words[place_of(slot)];
    apr_uint64_t seen = atomic_load(word);

    while (slot >= 0 && is_of(slot, seen)) {
        if (atomic_compare_exchange_weak(word, &seen, waiting_word(seen, until_us)))
            return 1;
    }
    return 0;
}

int etv_pending_leave(etv_pending_t *pending, int slot, const etv_pending_what_t *what, int told,
                      apr_time_t now_us, apr_time_t until_us)
{
    etv_pending_what_t kept = *what;
    left_t left = {.key = etv_hash_scoped(what->hash, what->scope),
                   .hash = what->hash,
                   .id = &what->id,
                   .told = told && what->id.number,
                   .spared = TOLD_MOST - 1,
                   .now_us = now_us,
                   .until_us = until_us};

    kept.tentative = 0;
    if (!told)
        kept.id.number = 0;
    if (find_stand_in(pending, slot, &left)) {
        atomic_fetch_add(&pending->handed_on, 1);
        etv_pending_remove(pending, slot);
        return 1;
    }
    if (kept.id.number == what->id.number && have_wait(pending, slot, until_us))
        return 1;
    if (add(pending, &kept, until_us, WAITS) >= 0) {
        etv_pending_remove(pending, slot);
        return 1;
    }
    if (have_wait(pending, slot, until_us))
        return 1;
    etv_pending_overflow(pending,
                         until_us > now_us + OVERFLOW_US ? until_us : now_us + OVERFLOW_US);
    return 0;
}

/* Whether a slot is of one of these stores. */
static int has_one(const etv_pending_t *pending, int place, const etv_hash128_t *scopes, int n)
{
    for (int i = 0; i < n; i++) {
        if (has_scope(pending, place, scopes[i]))
            return 1;
    }
    return 0;
}

int etv_pending_take(etv_pending_t *pending, const etv_hash128_t *scopes, int n, int of,
                     apr_time_t now_us, apr_time_t until_us, int *from, etv_pending_what_t *what)
{
    int top = top_of(pending);

    for (int i = *from; i < top; i++) {
        apr_uint64_t seen = atomic_load(&pending->words[i]), taken;

        if (!is_pending(seen) || now_us < until_of(seen) || has_one(pending, i, scopes, n) != of)
            continue;
        read_slot(pending, i, what);
        taken = make_word(tag_of(seen) + 1, until_us, ETV_SLOT_LIVE);
        /* Had anybody else had the slot meanwhile, its tag would differ. */
        if (!atomic_compare_exchange_strong(&pending->words[i], &seen, taken))
            continue;
        *from = i + 1;
        return handle_of(i, taken);
    }
    *from = top;
    return -1;
}

int etv_pending_take_due(etv_pending_t *pending, etv_hash128_t scope, apr_time_t now_us,
                         apr_time_t until_us, int *from, etv_pending_what_t *what)
{
    if (etv_pending_was_store(pending, scope))
        return -1;
    return etv_pending_take(pending, &scope, 1, 1, now_us, until_us, from, what);
}

void etv_pending_tidy(etv_pending_t *pending, apr_time_t now_us)
{
    apr_int64_t until = atomic_load(&pending->overflow_us);
    int top = top_of(pending);

    for (int i = 0; i < top; i++) {
        apr_uint64_t seen = atomic_load(&pending->words[i]);

        if (etv_slot_is_abandoned(seen))
            atomic_compare_exchange_strong(&pending->words[i], &seen,
                                           make_word(tag_of(seen), 0, ETV_SLOT_EMPTY));
    }
    lower_top(pending);
    if (until && until <= now_us)
        atomic_compare_exchange_strong(&pending->overflow_us, &until, 0);
}

/* --- looking --- */

apr_time_t etv_pending_next_due(const etv_pending_t *pending)
{
    int top = top_of(pending);
    apr_time_t next = 0;

    for (int i = 0; i < top; i++) {
        apr_uint64_t word = get(&pending->words[i]);

        if (is_pending(word) && (!next || until_of(word) < next))
            next = until_of(word) ? until_of(word) : 1;
    }
    return next;
}

int etv_pending_count(const etv_pending_t *pending)
{
    int top = top_of(pending), n = 0;

    for (int i = 0; i < top; i++)
        n += is_pending(get(&pending->words[i]));
    return n;
}

/* --- what people are told --- */

int etv_pending_may_warn(etv_pending_t *pending, etv_hash128_t scope, apr_time_t now_us)
{
    apr_int64_t last = atomic_load(&pending->warned_us);

    if ((last && now_us - last < QUIET_US) ||
        !atomic_compare_exchange_strong(&pending->warned_us, &last, now_us))
        return 0;
    atomic_store(&pending->warned_of, scope.lo);
    return 1;
}

int etv_pending_may_calm(etv_pending_t *pending, etv_hash128_t scope, apr_time_t now_us)
{
    apr_int64_t last = atomic_load(&pending->calmed_us);

    return atomic_load(&pending->warned_us) > last &&
           atomic_load(&pending->warned_of) == scope.lo &&
           atomic_compare_exchange_strong(&pending->calmed_us, &last, now_us);
}
