/* SPDX-License-Identifier: Apache-2.0 */
/** What the files of the Redis store share. Nobody else includes this. */
#ifndef ETV_STORE_REDIS_STORE_H
#define ETV_STORE_REDIS_STORE_H

#include <apr_network_io.h>
#include <stdatomic.h>

#include "store/redis.h"
#include "store/redis_log.h"
#include "store/redis_pool.h"
#include "store/resolver.h"

/** Names behind the prefix; no model starts with %. */
#define ETV_REDIS_EPOCH  "%epoch"
#define ETV_REDIS_SECRET "%secret"

typedef struct {
    etv_store_t base;
    etv_redis_config_t config; /* strings are copies */
    apr_size_t prefix_len;
    const char *shown; /* the address without credentials */
    etv_redis_log_t log;
    etv_resolver_t *resolver;
    etv_redis_pool_t *pool;
    atomic_int policy_warned;
} etv_redis_t;

/** The store's operations (store.h). */
etv_lookup_e etv_redis_lookup(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n,
                              etv_snapshot_t *snapshot);
apr_status_t etv_redis_bump(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n);

/** An etv_redis_open_fn: connect and shake hands (AUTH, SELECT, maxmemory policy). */
apr_status_t etv_redis_open(void *store, apr_time_t deadline_us, etv_redis_conn_t **conn);

/** Log why an exchange failed. @return what that says about connection and peer */
etv_give_e etv_redis_exchange_failed(etv_redis_t *r, const etv_redis_conn_t *c, etv_conn_e what);

/**
 * Log an error reply.
 * @param command  which command was refused
 * @return ETV_GIVE_FAILED when no command would do better now, ETV_GIVE_DROP when others may
 */
etv_give_e etv_redis_refused(etv_redis_t *r, const char *command, const etv_resp_t *error);

#endif
