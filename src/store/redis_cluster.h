/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Where in a Redis Cluster a store's keys are. They are all in one hash slot, because the prefix
 * has a {tag}; the node that has the slot is the one that another node named last (MOVED), or else
 * the one of the configured address. Thread-safe; one per store and process.
 */
#ifndef ETV_STORE_REDIS_CLUSTER_H
#define ETV_STORE_REDIS_CLUSTER_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/redis_conn.h"
#include "store/resolver.h"

/** Whether all keys that begin so are in one slot: the first { is closed, around something. */
int etv_redis_cluster_tagged(const char *prefix);

/** A node that was named. */
typedef struct {
    atomic_int refs;
    unsigned serial;          /**< never 0 */
    etv_resolver_t *resolver; /**< of its address; a name is resolved in the background */
    apr_port_t port;
    char host[256];
} etv_cluster_node_t;

typedef struct {
    pthread_mutex_t lock;
    unsigned serials;         /* lock */
    etv_cluster_node_t *node; /* lock; NULL: the configured address */
    apr_time_t named_us;      /* lock; when a host name was followed last */
    char down_host[256];      /* lock; the node that could not be reached last */
    apr_port_t down_port;     /* lock */
    apr_time_t down_us;       /* lock; when that was, in etv_boottime_us */
} etv_redis_cluster_t;

/** @return APR_SUCCESS, or why no lock could be made */
apr_status_t etv_redis_cluster_init(etv_redis_cluster_t *cluster);
/** Never waits: what others hold is left to the end of the process. */
void etv_redis_cluster_destroy(etv_redis_cluster_t *cluster);

/** The node to ask, to be released; NULL: the configured address. */
etv_cluster_node_t *etv_redis_cluster_node(etv_redis_cluster_t *cluster);
/** NULL is nothing. */
void etv_redis_cluster_release(etv_cluster_node_t *node);

/** That node failed: back to the configured address. 0, and what is not current, is nothing. */
void etv_redis_cluster_forget(etv_redis_cluster_t *cluster, unsigned serial);

/** The same when it could not even be reached: for a while it is of no use to be sent there. */
void etv_redis_cluster_unreachable(etv_redis_cluster_t *cluster, const etv_cluster_node_t *node);

#define ETV_CLUSTER_DOWN_US apr_time_from_sec(1)

typedef enum {
    ETV_CLUSTER_FOLLOWS,
    ETV_CLUSTER_DOWN,  /**< that node could not be reached a moment ago */
    ETV_CLUSTER_ASTRAY /**< there is no address in it that could be used */
} etv_cluster_e;

/**
 * An error reply named the node to ask: remember it.
 * @param error  `MOVED slot host:port`
 * @param from   who said so: an empty host means the same host
 */
etv_cluster_e etv_redis_cluster_follow(etv_redis_cluster_t *cluster, const char *error,
                                       const etv_redis_addr_t *from);

#endif
