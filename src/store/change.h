/* SPDX-License-Identifier: Apache-2.0 */
/**
 * One change of some models, from before the backend runs until its bump was acknowledged: what is
 * pending on this host (store/pending.h) and what the store was told (store/change_ops.h) together.
 * A change is used by one thread at a time; the keeper (store/keeper.h) cares for it meanwhile.
 */
#ifndef ETV_STORE_CHANGE_H
#define ETV_STORE_CHANGE_H

#include "store/change_ops.h"
#include "store/keeper.h"
#include "store/pending.h"

typedef enum {
    ETV_CHANGE_ANNOUNCED, /**< all hosts know */
    ETV_CHANGE_LOCAL,     /**< the store could not be told; this host alone knows */
    ETV_CHANGE_EXISTS     /**< `as_read` and not as read: nothing was begun */
} etv_change_e;

typedef struct etv_change_t etv_change_t;

/**
 * Begin a change, before anything changes.
 * @param keeper   of this process
 * @param scope    of the store (etv_server_t.scope)
 * @param models   1 to ETV_MODELS_MOST, names and hashes; copied to `p`
 * @param grace_us how long the change counts as under way when this process is gone; at least
 *                 a second
 * @param as_read  see etv_change_ops_t.announce
 * @param change   out: lives in `p`, whose end leaves the change (etv_change_leave), unless it was
 *                 ended before; NULL on ETV_CHANGE_EXISTS
 */
etv_change_e etv_change_begin(apr_pool_t *p, etv_keeper_t *keeper, etv_store_t *store,
                              etv_hash128_t scope, const etv_model_t *models, int n,
                              apr_interval_time_t grace_us, int as_read, etv_change_t **change);

/** Add models that became known later (at most ETV_MODELS_MOST more, over all calls). The store is
 *  not told; this host knows. */
void etv_change_add(etv_change_t *change, const etv_model_t *models, int n);

/** A change of nothing, for etv_change_add. */
etv_change_t *etv_change_make(apr_pool_t *p, etv_keeper_t *keeper, etv_store_t *store,
                              etv_hash128_t scope, apr_interval_time_t grace_us);

/** Bump all models: what has changed so far is known to all from now on. The change goes on.
 *  @return APR_SUCCESS, or the store could not: it will be told again (this host knows) */
apr_status_t etv_change_bump(etv_change_t *change);

/** Bump, and end the change. When the store cannot be told, the keeper goes on trying: until then
 *  this host knows, and where it was announced all hosts do. */
apr_status_t etv_change_end(etv_change_t *change);

/** Nobody will say when it is done: the change stays under way for its grace, and then the keeper
 *  ends it. */
void etv_change_leave(etv_change_t *change);

/** Nothing changed: end it without a bump. */
void etv_change_withdraw(etv_change_t *change);

#endif
