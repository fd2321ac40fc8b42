/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Addresses of a store. Resolving a name may take longer than any deadline, so a thread does it in
 * the background; requests use the addresses found last. Addresses in numbers and unix sockets need
 * no thread. Thread-safe.
 */
#ifndef ETV_STORE_RESOLVER_H
#define ETV_STORE_RESOLVER_H

#include <apr_errno.h>
#include <apr_network_io.h>

#include "core/store_url.h"
#include "store/redis_conn.h"

/** Most addresses of one name that are kept. */
#define ETV_RESOLVER_MOST 8

typedef struct etv_resolver_t etv_resolver_t;

/** Fills `addrs`, at most ETV_RESOLVER_MOST; returns their number, or 0 and why in `*error`
 * (EAI_…). Tests put their own in place of getaddrinfo. */
typedef int etv_resolver_lookup_fn(const char *host, apr_port_t port, etv_redis_addr_t *addrs,
                                   int *error);

/**
 * Start resolving.
 * @param lookup  NULL for getaddrinfo
 * @return APR_SUCCESS, APR_ENAMETOOLONG for the path of a socket, or why there is no thread
 */
apr_status_t etv_resolver_create(const etv_store_url_t *url, etv_resolver_lookup_fn *lookup,
                                 etv_resolver_t **resolver);

/**
 * The addresses found last, in the resolver's order of preference. While the very first attempt is
 * under way, waits for it, at most until `deadline_us` (etv_boottime_us).
 * @param error  out: when there are none, why (EAI_…); 0 while it is not known yet
 * @return their number
 */
int etv_resolver_addrs(etv_resolver_t *r, apr_time_t deadline_us,
                       etv_redis_addr_t addrs[ETV_RESOLVER_MOST], int *error);

/** The addresses may have become wrong: resolve again soon, at most once per second. */
void etv_resolver_kick(etv_resolver_t *r);

/**
 * Stop. Never waits: a thread that is inside getaddrinfo ends itself when that returns. Takes no
 * lock, because a pool's cleanup may run inside a signal handler. No other call may follow.
 */
void etv_resolver_destroy(etv_resolver_t *r);

#endif
