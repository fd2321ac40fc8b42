/* SPDX-License-Identifier: Apache-2.0 */
/**
 * One connection to Redis with total deadlines: however slowly a peer drips, an exchange ends in
 * time. No name is ever resolved here. Used by one thread at a time. After anything but
 * ETV_CONN_OK the connection must be freed: what it would read next belongs to an older command.
 */
#ifndef ETV_STORE_REDIS_CONN_H
#define ETV_STORE_REDIS_CONN_H

#include <apr_errno.h>
#include <apr_time.h>
#include <sys/socket.h>

#include "store/redis_tls.h"
#include "store/resp.h"

/** Where to connect to: TCP over IPv4 or IPv6, or a unix socket. */
typedef struct {
    struct sockaddr_storage addr;
    socklen_t len;
} etv_redis_addr_t;

typedef enum {
    ETV_CONN_OK,
    ETV_CONN_LOST,     /**< refused, reset or closed by the peer; `status` tells */
    ETV_CONN_TIMEOUT,  /**< the deadline passed */
    ETV_CONN_GARBLED,  /**< what came is not the protocol */
    ETV_CONN_OVERSIZE, /**< more bytes than any sound reply has */
    ETV_CONN_STOPPED,  /**< the watch's descriptor became readable: the owner wants to end */
    ETV_CONN_TLS       /**< TLS failed; `why` tells which check */
} etv_conn_e;

/** For a thread that must not be absent while it waits for a peer. */
typedef struct {
    int wake_fd;                  /**< readable: give up with ETV_CONN_STOPPED */
    apr_interval_time_t every_us; /**< at most, between two calls of `tick` */
    void (*tick)(void *baton);
    void *baton;
} etv_conn_watch_t;

typedef struct etv_redis_conn_t {
    int fd;
    etv_tls_link_t *tls;           /**< NULL: in plain text */
    const char *why;               /**< after ETV_CONN_TLS: a sentence of our own */
    etv_redis_addr_t peer;         /**< where it was last connected to */
    const etv_conn_watch_t *watch; /**< NULL: nothing interrupts it */
    etv_resp_out_t out;            /**< commands for the next exchange */
    apr_size_t sent;               /**< of `out` */
    etv_resp_in_t *in;
    apr_status_t status; /**< why the last call failed */
    apr_size_t received; /**< bytes of the last exchange */
    apr_size_t replied;  /**< complete replies of the last exchange */

    /* The pool's. */
    struct etv_redis_conn_t *next; /**< idle ones, newest first */
    unsigned generation;           /**< of the peer, as far as this process can tell */
    int reused;                    /**< 1: not made for the request that holds it */
    unsigned node;                 /**< of a cluster that was named; 0: the configured address */

    /* The store's: what this connection last read of the server. */
    apr_time_t server_read_us; /**< when run id and secret were read; 0: never */
    apr_size_t run_id_len;     /**< of the first part of `identity` */
    apr_size_t identity_len;
    apr_size_t epoch_len; /**< 0: secret and epoch were never read */
    unsigned char identity[192];
    unsigned char epoch[64];
    unsigned char secret[16];
    unsigned char instance[16];     /**< digest of `instance_of` */
    unsigned char instance_of[256]; /**< identity and epoch */
    apr_size_t instance_of_len;
} etv_redis_conn_t;

/** @return a connection that is not connected, or NULL when memory ran out */
etv_redis_conn_t *etv_redis_conn_make(void);

/** Close and free; NULL is nothing. */
void etv_redis_conn_free(etv_redis_conn_t *c);

/** Connect; `deadline_us` in etv_boottime_us. May be called again after LOST or TIMEOUT. */
etv_conn_e etv_redis_conn_open(etv_redis_conn_t *c, const etv_redis_addr_t *to,
                               apr_time_t deadline_us);

/**
 * Speak TLS from now on, on a connection that was just opened.
 * @param host, other  as etv_tls_link_make
 */
etv_conn_e etv_redis_conn_secure(etv_redis_conn_t *c, const etv_redis_tls_t *tls, const char *host,
                                 const char *other, apr_time_t deadline_us);

/**
 * Send c->out, and read exactly `n` replies.
 * @param bytes_most  all replies together
 * @param replies     out: `n` of them, until the next exchange; after a failure c->replied
 */
etv_conn_e etv_redis_conn_exchange(etv_redis_conn_t *c, apr_size_t n, apr_size_t bytes_most,
                                   apr_time_t deadline_us, etv_resp_t ***replies);

/* --- for a caller that waits by itself, with poll on c->fd --- */

/** Send what c->out holds as far as the peer takes it now. @return OK, LOST, TLS */
etv_conn_e etv_redis_conn_send(etv_redis_conn_t *c);

/** Whether something of c->out is not sent yet. */
static inline int etv_redis_conn_unsent(const etv_redis_conn_t *c)
{
    return c->sent < c->out.len;
}

/**
 * Feed c->in with all that has arrived, without waiting; take replies with etv_resp_in_next.
 * @param bytes_most  of one call
 * @return OK, also when nothing came; LOST, OVERSIZE, TLS
 */
etv_conn_e etv_redis_conn_receive(etv_redis_conn_t *c, apr_size_t bytes_most);

#endif
