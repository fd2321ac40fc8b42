/* SPDX-License-Identifier: Apache-2.0 */
/**
 * TLS for connections to Redis, TLS 1.2 or later. The server must prove, by a certificate of a
 * trusted authority, that it is the host of the address. There is no way to switch that off.
 *
 * The files are read once, by the process that may read them; children inherit what was read over
 * fork. Nothing here ever waits, raises SIGPIPE, asks for a pass phrase, or leaves anything in
 * OpenSSL's queue of errors, which other users of OpenSSL in the same thread share.
 */
#ifndef ETV_STORE_REDIS_TLS_H
#define ETV_STORE_REDIS_TLS_H

#include <apr_errno.h>
#include <apr_pools.h>

#include "core/store_url.h"

/** What all connections to one address share: trusted authorities and the client's certificate. */
typedef struct etv_redis_tls_t etv_redis_tls_t;

/**
 * Read the files that an address names.
 * @param url  with `tls`; the paths are taken as they are
 * @param tls  out: lives in `p`; safe in any number of threads
 * @return NULL, or a sentence in `p` that names the file that is wrong, or says that this module
 * was built without OpenSSL
 */
const char *etv_redis_tls_load(apr_pool_t *p, const etv_store_url_t *url, etv_redis_tls_t **tls);

/** TLS on one connected socket. Used by one thread at a time. */
typedef struct etv_tls_link_t etv_tls_link_t;

/**
 * @param host   a name or an address that the certificate may be for
 * @param other  another one; NULL: none
 * @param fd     non-blocking; stays the caller's
 * @return NULL when memory ran out
 */
etv_tls_link_t *etv_tls_link_make(const etv_redis_tls_t *tls, const char *host, const char *other,
                                  int fd);

/** Never sends anything. NULL is nothing. */
void etv_tls_link_free(etv_tls_link_t *link);

typedef enum {
    ETV_TLS_DONE,
    ETV_TLS_WANTS_READ,  /**< again when the socket is readable */
    ETV_TLS_WANTS_WRITE, /**< again when it is writable */
    ETV_TLS_LOST,        /**< closed or broken; etv_tls_link_status tells */
    ETV_TLS_FAILED       /**< etv_tls_link_why tells */
} etv_tls_e;

etv_tls_e etv_tls_link_handshake(etv_tls_link_t *link);

/** @param n  out: how many were taken, on ETV_TLS_DONE */
etv_tls_e etv_tls_link_send(etv_tls_link_t *link, const void *bytes, apr_size_t len, apr_size_t *n);

/** @param n  out: how many came, on ETV_TLS_DONE; at least 1 */
etv_tls_e etv_tls_link_receive(etv_tls_link_t *link, void *buffer, apr_size_t len, apr_size_t *n);

/** Whether there is more that poll on the socket would not tell of. */
int etv_tls_link_pending(const etv_tls_link_t *link);

/** After ETV_TLS_LOST: an error of the system, or APR_EOF. */
apr_status_t etv_tls_link_status(const etv_tls_link_t *link);

/** After ETV_TLS_FAILED: which check failed, never in words of the peer. */
const char *etv_tls_link_why(const etv_tls_link_t *link);

#endif
