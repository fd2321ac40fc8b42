/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Addresses of a store. Resolving a name may take longer than any deadline, and so may asking
 * sentinels, so a thread does it in the background; requests use the addresses found last.
 * Addresses in numbers and unix sockets need no thread. Thread-safe.
 */
#ifndef ETV_STORE_RESOLVER_H
#define ETV_STORE_RESOLVER_H

#include <apr_errno.h>
#include <apr_network_io.h>

#include "core/store_url.h"
#include "store/redis_conn.h"
#include "store/resolver_lookup.h"
#include "store/sentinel.h"

typedef struct etv_resolver_t etv_resolver_t;

/**
 * Start resolving.
 * @param url     any kind but SENTINEL
 * @param lookup  NULL for getaddrinfo
 * @return APR_SUCCESS, APR_ENAMETOOLONG for the path of a socket, or why there is no thread
 */
apr_status_t etv_resolver_create(const etv_store_url_t *url, etv_resolver_lookup_fn *lookup,
                                 etv_resolver_t **resolver);

/**
 * Start asking sentinels: once now, and later while somebody wants to know.
 * @param url       kind SENTINEL
 * @param password  as etv_sentinels_make
 * @param lease_us  how long a confirmation is of use to the callers; four are got in this time
 * @param lookup    NULL for getaddrinfo
 * @return APR_SUCCESS, APR_ENOMEM, or why there is no thread
 */
apr_status_t etv_resolver_create_sentinels(const etv_store_url_t *url, const char *password,
                                           apr_interval_time_t lease_us,
                                           etv_resolver_lookup_fn *lookup,
                                           etv_resolver_t **resolver);

/**
 * The addresses found last, in the resolver's order of preference. While the very first attempt is
 * under way, waits for it, at most until `deadline_us` (etv_boottime_us).
 * @param error  out: when there are none, why (EAI_…); 0 while it is not known yet
 * @return their number
 */
int etv_resolver_addrs(etv_resolver_t *r, apr_time_t deadline_us,
                       etv_redis_addr_t addrs[ETV_RESOLVER_MOST], int *error);

/**
 * Since when the addresses are known to be those of the primary. Waits for an answer of sentinels
 * that is not older than `since_us`, but not while they all fail.
 * @param deadline_us  no result comes later than this
 * @param serial       out: another number than before once sentinels have named another primary,
 *                     or the name has other addresses: what was connected before must not be used
 *                     any more
 * @return etv_boottime_us when the question was sent whose answer named them; 0 when there is none
 *         that recent; without sentinels always APR_INT64_MAX
 */
apr_time_t etv_resolver_confirmed(etv_resolver_t *r, apr_time_t since_us, apr_time_t deadline_us,
                                  unsigned *serial);

/** What came of the sentinels asked last; ETV_SENTINEL_CONFIRMS when none has failed. */
etv_sentinel_e etv_resolver_doubt(etv_resolver_t *r);

/** The addresses may have become wrong: resolve again soon, at most once per second. */
void etv_resolver_kick(etv_resolver_t *r);

/** Let the thread end, which uses nothing but what etv_resolver_destroy would free. Takes no lock.
 */
void etv_resolver_stop(etv_resolver_t *r);

/**
 * Stop, and free it. Never waits: a thread that is inside getaddrinfo, or waits for
 * a sentinel, ends itself after that. Takes no
 * lock, because a pool's cleanup may run inside a signal handler. No other call may follow.
 */
void etv_resolver_destroy(etv_resolver_t *r);

#endif
