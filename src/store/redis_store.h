/* SPDX-License-Identifier: Apache-2.0 */
/** What the files of the Redis store share. Nobody else includes this. */
#ifndef ETV_STORE_REDIS_STORE_H
#define ETV_STORE_REDIS_STORE_H

#include <apr_network_io.h>
#include <stdatomic.h>

#include "store/change_ops.h"
#include "store/declared_ops.h"
#include "store/redis.h"
#include "store/redis_cluster.h"
#include "store/redis_log.h"
#include "store/redis_pool.h"
#include "store/resolver.h"

/** Names behind the prefix; no model starts with %. */
#define ETV_REDIS_EPOCH  "%epoch"
#define ETV_REDIS_SECRET "%secret"

/** Families of keys: what stands between the prefix and a model, an owner, an id. */
typedef enum {
    ETV_REDIS_KEY_MODEL,  /**< nothing */
    ETV_REDIS_KEY_OPEN,   /**< "%open:", a set of the changes of a model that are under way */
    ETV_REDIS_KEY_ALIVE,  /**< "%alive:", there as long as an owner of changes shows life */
    ETV_REDIS_KEY_DIGEST, /**< "%digest:", of the data that a version stands for */
    ETV_REDIS_KEY_MODELS, /**< "%models:", a text of the registry */
    ETV_REDIS_KEY_FIELDS, /**< "%fields:", likewise */
    ETV_REDIS_KEYS
} etv_redis_key_e;

#define ETV_REDIS_OPEN "%open:"

typedef struct {
    etv_store_t base;
    apr_pool_t *own;           /* of its own, because a thread may outlive the caller's */
    etv_redis_config_t config; /* strings are copies */
    apr_size_t prefix_len;
    struct {
        const char *text; /* the prefix and what follows it */
        apr_size_t len;
    } family[ETV_REDIS_KEYS];
    const char *shown; /* the address without credentials */
    etv_redis_log_t log;
    etv_resolver_t *resolver;
    etv_redis_cluster_t cluster; /* where to go instead of the resolver's addresses */
    etv_redis_pool_t *pool;
    struct etv_listener_t *listener;    /* NULL without a mirror */
    atomic_int learned;                 /* lookups that ask for learned names just now */
    _Atomic apr_int64_t unconfirmed_us; /* until then no request waits for sentinels; 0: all do */
    _Atomic apr_int64_t refute_us;      /* when the table may be contradicted again */
    atomic_int policy_warned;
    atomic_uint serial; /* of the primary that connections of the pool lead to (resolver.h) */
} etv_redis_t;

/** The store's operations (store.h). */
etv_lookup_e etv_redis_lookup(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n,
                              etv_snapshot_t *snapshot);
apr_status_t etv_redis_bump(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n);

/** The same through the mirror (store/leased.c). */
etv_lookup_e etv_leased_lookup(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n,
                               etv_snapshot_t *snapshot);
apr_status_t etv_leased_bump(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n);

/** What is beyond these, asking always, and through the mirror. */
extern const etv_change_ops_t etv_redis_changes;
extern const etv_change_ops_t etv_leased_changes;
extern const etv_declared_ops_t etv_redis_declared;
extern const etv_declared_ops_t etv_leased_declared;

/** etv_declared_ops_t.put and get. */
apr_status_t etv_redis_put(etv_store_t *store, apr_pool_t *p, etv_registry_kind_e kind,
                           const unsigned char id[ETV_REGISTRY_ID_BYTES], const char *text,
                           apr_size_t len);
apr_status_t etv_redis_get(etv_store_t *store, apr_pool_t *p, etv_registry_kind_e kind,
                           const unsigned char id[ETV_REGISTRY_ID_BYTES], const char **text,
                           apr_size_t *len);

/**
 * Ask what the server is, on a connection of the caller's own; it must be a primary.
 * @return ETV_GIVE_SOUND and `*facts`; else the connection is of no more use, and why was logged
 */
etv_give_e etv_redis_read_facts(etv_redis_t *r, etv_redis_conn_t *c, apr_time_t deadline_us,
                                etv_channel_facts_t *facts);

/** An etv_redis_open_fn: connect and shake hands (AUTH, SELECT, maxmemory policy). */
apr_status_t etv_redis_open(void *store, apr_time_t deadline_us, etv_redis_conn_t **conn);

/**
 * The same for a thread with a watch.
 * @param at     the one address to connect to; NULL for those that the resolver knows
 * @param watch  stays with the connection; may be NULL
 */
apr_status_t etv_redis_open_watched(etv_redis_t *r, const etv_redis_addr_t *at,
                                    const etv_conn_watch_t *watch, apr_time_t deadline_us,
                                    etv_redis_conn_t **conn);

/** Log why no sentinel confirms the primary. */
void etv_redis_say_doubt(etv_redis_t *r);

/** Log why an exchange failed. @return what that says about connection and peer */
etv_give_e etv_redis_exchange_failed(etv_redis_t *r, const etv_redis_conn_t *c, etv_conn_e what);

/**
 * Log an error reply.
 * @param command  which command was refused
 * @return ETV_GIVE_FAILED when no command would do better now, ETV_GIVE_DROP when others may
 */
etv_give_e etv_redis_refused(etv_redis_t *r, const char *command, const etv_resp_t *error);

/**
 * Whether an error reply names another node of a cluster, to be asked from now on; logged.
 * @param give  out: ETV_GIVE_STALE: ask once more at once; ETV_GIVE_FAILED: that would lead astray
 * @return 1, or 0 when it says something else
 */
int etv_redis_moved(etv_redis_t *r, const etv_redis_conn_t *c, const etv_resp_t *error,
                    etv_give_e *give);

#endif
