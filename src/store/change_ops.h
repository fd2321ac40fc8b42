/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What a store does about changes, beyond a bump. A change is announced before the backend runs (an
 * intent), and ends with its bump. In between nothing is known of its models: lookups say
 * ETV_MODEL_OPEN on every host that shares the store. An intent whose owner showed no sign of life
 * for its grace is completed, by a bump, by whoever finds it. All functions are thread-safe and
 * bounded by the store's deadlines.
 */
#ifndef ETV_STORE_CHANGE_OPS_H
#define ETV_STORE_CHANGE_OPS_H

#include "store/store.h"

/** Hexadecimal digits of an owner's name. */
#define ETV_OWNER_CHARS 16

/** Names one change to all hosts. */
typedef struct {
    /** The process that makes it; random, and another one from time to time: a change that has
     * ended and comes back nevertheless must not count as open for as long as the process lives. */
    char owner[ETV_OWNER_CHARS + 1];
    apr_uint64_t number;          /**< among those of its owner: never used twice */
    apr_interval_time_t grace_us; /**< how long this change is under way when nobody cares */
    /** How long the owner counts as living after a sign of life: the same for all its changes, so
     *  that none shortens another's; at least the grace. */
    apr_interval_time_t alive_us;
} etv_change_id_t;

/** Longest digest of data that etv_change_ops_t.bump_if takes, in bytes. */
#define ETV_DATA_DIGEST_MOST 128

typedef struct etv_change_ops_t {
    /**
     * Announce that all these models are about to change; also a sign of life of the owner.
     * @param as_read  1: only if every model is still what an earlier lookup said in `models`
     *                 (state FOUND and token, or ABSENT) and no change of any is under way. Who
     *                 announces such changes of one model at the same time: one of them succeeds.
     * @return APR_SUCCESS once the store has acknowledged it; APR_EEXIST: not as it was read, or a
     *         change is under way (nothing was announced); else the store could not (it is unknown
     *         whether it was announced)
     */
    apr_status_t (*announce)(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n,
                             const etv_change_id_t *id, int as_read);

    /** Bump as etv_store_ops_t.bump, and end the announced change in the same step. */
    apr_status_t (*complete)(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n,
                             const etv_change_id_t *id);

    /** End an announced change without a bump: nothing has changed. */
    apr_status_t (*withdraw)(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n,
                             const etv_change_id_t *id);

    /**
     * Complete the changes of one model whose owners are gone.
     * @param still_open  out: 1 when others are under way
     * @return APR_SUCCESS when that is so now; else the store could not
     */
    apr_status_t (*rescue)(etv_store_t *store, apr_pool_t *p, etv_model_t *model, int *still_open);

    /**
     * Bump one model unless the digest of its data is the one that was recorded with its present
     * version. Atomic: of two calls with one digest, one bumps. On success the model's token is
     * set to the present one.
     * @param digest  1 to ETV_DATA_DIGEST_MOST bytes
     * @param bumped  out: 1 when it was bumped
     */
    apr_status_t (*bump_if)(etv_store_t *store, apr_pool_t *p, etv_model_t *model,
                            const char *digest, apr_size_t digest_len, int *bumped);
} etv_change_ops_t;

#endif
