/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The thread, one in every child that may change models, that cares for changes: shows the store
 * that this process lives while its changes are under way, tells a store that has forgotten them
 * again, delivers what could not be delivered, and completes what others left behind.
 */
#ifndef ETV_STORE_KEEPER_H
#define ETV_STORE_KEEPER_H

#include <apr_errno.h>
#include <apr_pools.h>

#include "store/change_ops.h"
#include "store/pending.h"

typedef struct etv_keeper_t etv_keeper_t;

/** One of a child's stores. */
typedef struct {
    etv_store_t *store;
    etv_hash128_t scope;
} etv_keeper_store_t;

/**
 * Make the keeper of this process. Its thread starts when there is something to do first, or at
 * once when something is pending.
 * @param stores  copied; the stores must live until etv_keeper_end
 * @param p       its end ends the thread
 */
apr_status_t etv_keeper_create(apr_pool_t *p, etv_pending_t *pending,
                               const etv_keeper_store_t *stores, int n, etv_log_t log,
                               etv_keeper_t **keeper);

/** The pool's end is the end of the process: nothing is freed then, because it may happen in a
 * signal handler that has interrupted malloc. */
void etv_keeper_ends_process(etv_keeper_t *keeper);

/** How long this process counts as living after a sign of life: the longest grace of all changes
 *  that it will make. Before the first of them. */
void etv_keeper_lives(etv_keeper_t *keeper, apr_interval_time_t alive_us);

/** Start the thread now. */
void etv_keeper_start(etv_keeper_t *keeper);

etv_pending_t *etv_keeper_pending(const etv_keeper_t *keeper);

/** Have the changes of a model looked at that some host has left open: once per second at most.
 *  Never waits. NULL does nothing. */
void etv_keeper_look(etv_keeper_t *keeper, etv_hash128_t scope, const etv_model_t *model);

/** This process ends as soon as its requests are served. Safe in signal handlers, never waits. */
void etv_keeper_retire(etv_keeper_t *keeper);

#endif
