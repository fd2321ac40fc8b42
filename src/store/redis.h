/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Versions in Redis, read from the primary: for every lookup, or for those that a mirror cannot
 * answer. Create it after the fork, once per child process; every function is safe in any number
 * of threads.
 *
 * Keys, all behind the prefix: `<model>` holds a token, `%epoch` the epoch that a flush removes,
 * `%secret` the key for tags (hexadecimal), `%open:<model>` the set of its changes under way, each
 * `<owner>.<number>`, `%alive:<owner>` is there while that process shows life, `%digest:<model>`
 * says what data a version stands for, `%models:<id>` and `%fields:<id>` are texts that tags name.
 */
#ifndef ETV_STORE_REDIS_H
#define ETV_STORE_REDIS_H

#include "core/store_url.h"
#include "store/feed.h"
#include "store/mirror.h"
#include "store/redis_tls.h"
#include "store/store.h"

typedef struct {
    const etv_store_url_t *url; /**< any kind but LOCAL */
    const char *password;       /**< from a file: goes before url->password; NULL when none */
    const etv_redis_tls_t *tls; /**< for `rediss`; outlives the store; NULL: in plain text */
    const char *prefix;
    apr_interval_time_t connect_timeout_us; /**< total: connect, AUTH, SELECT, INFO memory */
    apr_interval_time_t command_timeout_us; /**< total for a lookup or bump when connected */
    int connections_most;                   /**< of this process */
    apr_interval_time_t lease_us; /**< how long what was found true may be taken as true */
    etv_mirror_t *mirror;         /**< of the versions; NULL: every lookup asks */
    etv_channel_t *channel;       /**< of this store in the mirror */
    etv_hash128_t scope;          /**< tells this store's keys in the mirror from those of others */
    etv_feed_t *feed; /**< where pushed changes are told, under `scope`; NULL: nowhere */
    /** 1: when the pool goes, so does the process. Nothing is freed then: it may happen in a signal
     *  handler that has interrupted malloc. */
    int ends_process;
    int keep_secret; /**< 1: create and read the secret in the store */
    etv_log_t log;
} etv_redis_config_t;

/**
 * Make a store; connects when first used. A background thread of its own resolves host names (none
 * for addresses and sockets). Everything lives as long as `p`, a pool that outlives all requests of
 * the child; its cleanup stops the threads, without waiting for a resolver, and closes idle
 * connections. With a mirror, a thread listens to the server, for all processes (listen.h).
 * @return APR_SUCCESS, or why threads or locks could not be made
 */
apr_status_t etv_redis_create(apr_pool_t *p, const etv_redis_config_t *config, etv_store_t **store);

#endif
