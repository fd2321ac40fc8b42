/* SPDX-License-Identifier: Apache-2.0 */
/** getaddrinfo in the shape that the resolver needs. Thread-safe; may take longer than any
 * deadline. */
#ifndef ETV_STORE_RESOLVER_LOOKUP_H
#define ETV_STORE_RESOLVER_LOOKUP_H

#include <apr_network_io.h>

#include "store/redis_conn.h"

/** Most addresses of one name that are kept. */
#define ETV_RESOLVER_MOST 8

/** Fills `addrs`, at most ETV_RESOLVER_MOST; returns their number, or 0 and why in `*error`
 * (EAI_…). Tests put their own in place of getaddrinfo. */
typedef int etv_resolver_lookup_fn(const char *host, apr_port_t port, etv_redis_addr_t *addrs,
                                   int *error);

/** Of an address in numbers; asks nobody. */
etv_resolver_lookup_fn etv_resolver_lookup_number;

/** Of a name. */
etv_resolver_lookup_fn etv_resolver_lookup_name;

#endif
