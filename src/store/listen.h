/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The thread, one in every child, that would listen to a server's pushes for all children of this
 * host. One of them does (store/channel.h); the others wait to take its place.
 */
#ifndef ETV_STORE_LISTEN_H
#define ETV_STORE_LISTEN_H

#include <apr_errno.h>

#include "store/redis_store.h"

typedef struct etv_listener_t etv_listener_t;

/** Start the thread for a store that has a mirror. @return APR_SUCCESS, or why there is none */
apr_status_t etv_listen_start(etv_redis_t *r, etv_listener_t **listener);

/** Let another process listen from now on; never waits, safe in signal handlers. NULL is nothing.
 */
void etv_listen_retire(etv_listener_t *listener);

/**
 * Retire, and wait until the thread uses neither the store nor shared memory any more.
 * @return 1; 0 when it did not end in time, as it cannot when a signal handler interrupted malloc:
 *         neither the store nor its pool may be freed then
 */
int etv_listen_stop(etv_listener_t *listener);

/** Retire and wait likewise, but free nothing, because the process ends. NULL is nothing. */
void etv_listen_end(etv_listener_t *listener);

#endif
