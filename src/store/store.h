/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The contract of a version store. A store maps models to opaque version tokens. "No such version"
 * is an answer, not an error; an error is never a miss.
 */
#ifndef ETV_STORE_STORE_H
#define ETV_STORE_STORE_H

#include <apr.h>
#include <apr_errno.h>
#include <apr_pools.h>
#include <apr_time.h>

#include "core/hash.h"
#include "core/model_name.h"
#include "store/mirror.h"

/** Longest token that is accepted, in bytes. */
#define ETV_TOKEN_MOST 512
/** Most models in one lookup. */
#define ETV_MODELS_MOST 32
/** Bytes of a store's secret for tags. */
#define ETV_SECRET_BYTES 16
/** Bytes of what tells lives of a store apart. */
#define ETV_INSTANCE_BYTES 16

typedef enum {
    ETV_MODEL_FOUND,    /**< token, token_len are set */
    ETV_MODEL_ABSENT,   /**< no version is known, and none was to be created */
    ETV_MODEL_UNUSABLE, /**< something is there that is no token: wrong type, or too long */
    ETV_MODEL_OPEN      /**< a change is under way (store/change_ops.h): nothing can be said */
} etv_model_state_e;

/** One model of a lookup. */
typedef struct {
    const char
        *name; /**< in, not terminated necessarily; no byte below 0x20, never starts with % */
    apr_size_t name_len;
    etv_hash128_t hash;         /**< in: of the name (core/hash.h) */
    unsigned char may_create;   /**< in: an absent version shall be created atomically */
    unsigned char learned;      /**< in: the name comes from a request or a customer */
    etv_model_state_e state;    /**< out */
    const unsigned char *token; /**< out on FOUND: the short form of it (core/token.h), in `kept` */
    apr_size_t token_len;
    etv_mirror_value_t kept;
} etv_model_t;

typedef enum {
    ETV_LOOKUP_OK,          /**< every model has a state, and the snapshot is filled in */
    ETV_LOOKUP_UNAVAILABLE, /**< nothing is known; the store has logged why */
    ETV_LOOKUP_BUSY         /**< nothing is known: too many learned names are being asked for */
} etv_lookup_e;

/** What holds for all models of one lookup. */
typedef struct {
    /** In: about now, wall clock, microseconds; what is looked up counts as used then. */
    apr_time_t now_us;
    /** What makes a lost write visible: changes with every flush, restart and promotion; folded
     *  into every tag. ETV_INSTANCE_BYTES, of the store or `kept_instance`. */
    const unsigned char *instance;
    /** The secret kept in the store, ETV_SECRET_BYTES; NULL when this store keeps none. */
    const unsigned char *secret;
    unsigned char kept_instance[ETV_INSTANCE_BYTES];
    unsigned char kept_secret[ETV_SECRET_BYTES];
} etv_snapshot_t;

typedef struct etv_store_t etv_store_t;

typedef struct {
    const char *kind; /**< "local", "redis" */
    /** Read all models; what was acknowledged before the call is seen, or, under a lease, what was
     *  acknowledged longer ago than that. Thread-safe. Bounded by the deadlines. */
    etv_lookup_e (*lookup)(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n,
                           etv_snapshot_t *snapshot);
    /** Give every model a token that it never had. Returns APR_SUCCESS only when the store has
     *  acknowledged all of them. On success each model's token is set to the new one. */
    apr_status_t (*bump)(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n);
    /** This process ends as soon as its requests are served: what it does for other processes is
     *  theirs from now on. Never waits; safe in signal handlers. NULL where there is nothing. */
    void (*retire)(etv_store_t *store);
    const struct etv_change_ops_t *changes;    /**< store/change_ops.h; never NULL */
    const struct etv_declared_ops_t *declared; /**< store/declared_ops.h; never NULL */
} etv_store_ops_t;

/** Stores embed this as their first member. */
struct etv_store_t {
    const etv_store_ops_t *ops;
};

typedef enum {
    ETV_LOG_ERR,     /**< needs a person */
    ETV_LOG_WARNING, /**< degraded */
    ETV_LOG_NOTICE,  /**< worth knowing once */
    ETV_LOG_INFO,    /**< life cycle */
    ETV_LOG_DEBUG
} etv_log_level_e;

/**
 * How stores log. Called from any thread; must not block on the store. `message` begins with its
 * own tag (`ETV0101: …`) and never has a credential in it.
 */
typedef void etv_log_fn(void *baton, etv_log_level_e level, apr_status_t status,
                        const char *message);

typedef struct {
    etv_log_fn *fn;
    void *baton;
} etv_log_t;

#endif
