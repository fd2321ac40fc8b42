/* SPDX-License-Identifier: Apache-2.0 */
/** What the files of the embedded store share. Nobody else includes this. */
#ifndef ETV_STORE_LOCAL_STORE_H
#define ETV_STORE_LOCAL_STORE_H

#include <stdatomic.h>

#include "store/change_ops.h"
#include "store/declared_ops.h"
#include "store/local.h"

typedef struct {
    etv_store_t store; /* first: the contract's view of it */
    etv_table_t *table;
    etv_hash128_t scope;
    etv_pending_t *pending; /* NULL: nothing ever is */
    etv_feed_t *feed;       /* NULL: nobody watches */
    etv_log_t log;
    _Atomic apr_int64_t quiet_until_us; /* for the log */
} etv_local_t;

extern const etv_change_ops_t etv_local_changes;
extern const etv_declared_ops_t etv_local_declared;

apr_status_t etv_local_bump(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n);

/** The least number that a token given now shall have. */
apr_uint64_t etv_local_least_token(apr_time_t now_us);

/** The model is there, and this is its token. */
void etv_local_set_found(etv_model_t *model, apr_uint64_t number);

/** What holds for all models of a lookup. */
void etv_local_set_snapshot(const etv_local_t *local, etv_snapshot_t *snapshot);

/** Who watches is told that a model was bumped. */
void etv_local_tell(const etv_local_t *local, const etv_model_t *model);

void etv_local_log_busy(etv_local_t *local, apr_status_t rv);

#endif
