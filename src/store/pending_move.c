/* SPDX-License-Identifier: Apache-2.0 */
/* What is pending for stores that the configuration has no more. */
#include "store/pending.h"

#include "store/pending_word.h"

/* Enough to write the slots that stand for another one. */
#define MOVE_US (2 * APR_USEC_PER_SEC)

void etv_pending_use_stores(etv_pending_t *pending, const etv_hash128_t *scopes, int n)
{
    apr_uint64_t digest = 1, before;

    put(&pending->n_stores, 0);
    for (int i = 0; i < n; i++) {
        digest += scopes[i].lo;
        if (i < STORES_MOST)
            put(&pending->store[i], scopes[i].lo);
    }
    put(&pending->n_stores, n > STORES_MOST ? 0 : (apr_uint64_t)n);
    before = atomic_exchange(&pending->stores, digest);
    if (before && before != digest)
        atomic_store(&pending->moved, 1);
}

int etv_pending_was_store(const etv_pending_t *pending, etv_hash128_t scope)
{
    apr_uint64_t n = get(&pending->n_stores);

    for (apr_uint64_t i = 0; i < n; i++) {
        if (get(&pending->store[i]) == scope.lo)
            return 0;
    }
    return n != 0 && get(&pending->moved);
}

/* The change counts as pending all the time, by one slot or the others. @return 0: no room */
static int move_one(etv_pending_t *pending, int slot, etv_pending_what_t *what,
                    const etv_hash128_t *scopes, int n, apr_time_t now_us)
{
    what->id.number = 0; /* these stores were not told of the change */
    for (int i = 0; i < n; i++) {
        what->scope = scopes[i];
        if (!etv_pending_leave(pending, -1, what, 0, now_us, 0)) {
            etv_pending_renew(pending, slot, 0);
            return 0;
        }
    }
    atomic_fetch_add(&pending->handed_on, 1);
    etv_pending_remove(pending, slot);
    return 1;
}

int etv_pending_move(etv_pending_t *pending, const etv_hash128_t *scopes, int n, apr_time_t now_us)
{
    etv_pending_what_t what;
    int from = 0, moved = 0, slot;

    while (n && get(&pending->moved) &&
           (slot = etv_pending_take(pending, scopes, n, 0, now_us, now_us + MOVE_US, &from,
                                    &what)) >= 0 &&
           move_one(pending, slot, &what, scopes, n, now_us))
        moved++;
    return moved;
}
