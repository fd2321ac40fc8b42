/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The connections of a process to one Redis: at most so many, the one used last is used next, and
 * a circuit breaker in front of all. Connecting happens outside the lock, nobody waits beyond its
 * deadline, and when the peer fails nothing that was connected before is used again. Thread-safe.
 */
#ifndef ETV_STORE_REDIS_POOL_H
#define ETV_STORE_REDIS_POOL_H

#include <apr_errno.h>
#include <apr_time.h>

#include "store/redis_conn.h"

typedef struct etv_redis_pool_t etv_redis_pool_t;

/**
 * Makes a connection that is ready for use, or says why not in the log.
 * @return APR_SUCCESS and `*conn`
 */
typedef apr_status_t etv_redis_open_fn(void *baton, apr_time_t deadline_us,
                                       etv_redis_conn_t **conn);

/** Called, without the lock, when the breaker opens (1) and closes (0). */
typedef void etv_redis_breaker_fn(void *baton, int open);

typedef struct {
    int connections_most;
    apr_interval_time_t connect_timeout_us;
    apr_interval_time_t command_timeout_us; /**< also the longest wait for a free connection */
    etv_redis_open_fn *open;
    etv_redis_breaker_fn *breaker;
    void *baton;
} etv_redis_pool_config_t;

typedef enum {
    ETV_TAKE_OK,
    ETV_TAKE_PAUSED,    /**< the breaker is open */
    ETV_TAKE_EXHAUSTED, /**< every connection stayed in use until the deadline */
    ETV_TAKE_FAILED     /**< no connection could be made; was logged */
} etv_take_e;

/** How a connection and its peer did. */
typedef enum {
    ETV_GIVE_SOUND, /**< both are well */
    ETV_GIVE_DROP,  /**< the peer is well; the connection is of no more use */
    ETV_GIVE_STALE, /**< was found closed when it was to be reused; says nothing about the peer */
    ETV_GIVE_FAILED /**< the peer failed */
} etv_give_e;

/** @return APR_SUCCESS, APR_ENOMEM, or why no lock could be made */
apr_status_t etv_redis_pool_create(const etv_redis_pool_config_t *config, etv_redis_pool_t **pool);

/**
 * Take a connection; on ETV_TAKE_OK it must be given back.
 * @param fresh        1: a new one, none that was used before
 * @param now_us       etv_boottime_us
 * @param deadline_us  no result comes later than this
 * @param status       out: why, on ETV_TAKE_FAILED
 */
etv_take_e etv_redis_pool_take(etv_redis_pool_t *pool, int fresh, apr_time_t now_us,
                               apr_time_t deadline_us, etv_redis_conn_t **conn,
                               apr_status_t *status);

void etv_redis_pool_give(etv_redis_pool_t *pool, etv_redis_conn_t *conn, etv_give_e how);

/** The peer has become another one: nothing that was connected before is used again. */
void etv_redis_pool_renounce(etv_redis_pool_t *pool);

/**
 * Close idle connections and free the pool. Never waits: where the lock is held (a cleanup inside a
 * signal handler), everything is left to the end of the process. No connection may be in use.
 */
void etv_redis_pool_destroy(etv_redis_pool_t *pool);

#endif
