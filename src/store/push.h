/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What Redis pushes: one connection that subscribes to the invalidations of all keys below a prefix
 * and hands them to the mirror. RESP2, so that one connection is both the tracked and the
 * subscribed one: when it is lost, nothing is missed unnoticed. Used by one thread.
 */
#ifndef ETV_STORE_PUSH_H
#define ETV_STORE_PUSH_H

#include "store/redis_store.h"

typedef struct {
    etv_redis_t *r;
    etv_redis_conn_t *conn; /* NULL: closed */
    int subscribed;
    int pings; /* without an answer */
} etv_push_t;

void etv_push_init(etv_push_t *push, etv_redis_t *r);

typedef enum {
    ETV_PUSH_OPEN,
    ETV_PUSH_FAILED, /**< was logged; may do later */
    ETV_PUSH_REFUSED /**< was logged; the server does not let this user listen, or cannot push */
} etv_push_open_e;

/**
 * Begin to listen to the very server that `like` is connected to and has read the run id of. May
 * take twice the store's connect timeout.
 */
etv_push_open_e etv_push_open(etv_push_t *push, const etv_redis_conn_t *like,
                              const etv_conn_watch_t *watch);
void etv_push_close(etv_push_t *push);

/** For poll; -1 when closed. */
int etv_push_fd(const etv_push_t *push);
short etv_push_events(const etv_push_t *push);

typedef enum {
    ETV_PUSH_HEARD,   /**< all that came was handed to the mirror */
    ETV_PUSH_FLUSHED, /**< the same, and everything that was known is void */
    ETV_PUSH_DENIED,  /**< was logged; as ETV_PUSH_REFUSED */
    ETV_PUSH_LOST     /**< was logged; the connection is of no more use */
} etv_push_read_e;

/** Take in what has arrived, without waiting. */
etv_push_read_e etv_push_read(etv_push_t *push);

/** Ask for a sign of life, behind everything that was pushed so far. */
void etv_push_ping(etv_push_t *push);
/** Whether an answer to it is still to come, or something has come in part. */
int etv_push_awaits_pong(const etv_push_t *push);

#endif
