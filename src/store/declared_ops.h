/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What a store does for responses whose models are known only when the backend has answered:
 * versions as of an earlier moment, and a registry of small texts that tags name.
 */
#ifndef ETV_STORE_DECLARED_OPS_H
#define ETV_STORE_DECLARED_OPS_H

#include "store/store.h"

/** A moment, as far as the store's host knows. Opaque to callers. */
typedef struct {
    apr_uint64_t mark;  /**< local: the newest number that was given by then */
    apr_time_t at_us;   /**< etv_boottime_us */
    apr_uint32_t epoch; /**< leased: the epoch that was in force */
    int known;          /**< 0: nothing can be recalled from this moment */
} etv_moment_t;

/** What the registry keeps texts of; they are told apart. */
typedef enum { ETV_REGISTRY_MODELS, ETV_REGISTRY_FIELDS } etv_registry_kind_e;

/** Names a text: a keyed digest of it, made by the caller. */
#define ETV_REGISTRY_ID_BYTES 16
/** Longest text. */
#define ETV_REGISTRY_TEXT_MOST 4608

typedef struct etv_declared_ops_t {
    /** Now: to be taken before the handler runs. Never waits, makes no system call but the clock.
     */
    void (*moment)(etv_store_t *store, etv_moment_t *moment);

    /**
     * The versions of models, of each only if this host knew it at that moment and it is still the
     * same: read before the handler ran, it cannot be too new for what that answered. Never asks.
     * @return ETV_LOOKUP_OK: all are FOUND, snapshot filled in; ETV_LOOKUP_UNAVAILABLE otherwise
     */
    etv_lookup_e (*recall)(etv_store_t *store, etv_model_t *models, int n,
                           const etv_moment_t *moment, etv_snapshot_t *snapshot);

    /** Remember a text for all hosts that share the store, for a week from now; to be called again
     *  in time. Idempotent. NULL: the store is this host, whose own registry (store/registry.h) is
     *  all there is. */
    apr_status_t (*put)(etv_store_t *store, apr_pool_t *p, etv_registry_kind_e kind,
                        const unsigned char id[ETV_REGISTRY_ID_BYTES], const char *text,
                        apr_size_t len);

    /** @return APR_SUCCESS with a text in `p`; APR_NOTFOUND; else the store could not. NULL as put
     */
    apr_status_t (*get)(etv_store_t *store, apr_pool_t *p, etv_registry_kind_e kind,
                        const unsigned char id[ETV_REGISTRY_ID_BYTES], const char **text,
                        apr_size_t *len);
} etv_declared_ops_t;

#endif
