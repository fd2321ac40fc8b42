/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What a server says about itself, asked once before the children are made. Each question runs in
 * a process of its own, so that neither a resolver nor a server can hold up the start, or leave
 * threads behind.
 */
#ifndef ETV_STORE_REDIS_PROBE_H
#define ETV_STORE_REDIS_PROBE_H

#include <apr_time.h>

#include "core/store_url.h"
#include "store/redis_tls.h"

/** No probe takes longer, whatever its timeout. */
#define ETV_REDIS_PROBE_MOST_US apr_time_from_sec(1)

typedef struct {
    const etv_store_url_t *url; /**< kind TCP */
    const char *password;       /**< goes before url->password; may be NULL */
    const etv_redis_tls_t *tls; /**< NULL: in plain text */
    apr_interval_time_t timeout_us;
    int is_cluster; /**< out: 1: it is a node of a Redis Cluster; 0: it is not, or did not say */
} etv_redis_probe_t;

/** Ask all of them at once. Silent: a server that does not answer now may do later. */
void etv_redis_probe(etv_redis_probe_t *probes, int n);

#endif
