/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Asking Redis Sentinels which server is the primary. Waits for peers and resolves their names, so
 * it belongs into a thread of its own. Used by one thread at a time.
 */
#ifndef ETV_STORE_SENTINEL_H
#define ETV_STORE_SENTINEL_H

#include <apr_time.h>
#include <stdatomic.h>

#include "core/store_url.h"
#include "store/resolver_lookup.h"

/** What came of it; of several sentinels, what tells an administrator most: the highest. */
typedef enum {
    ETV_SENTINEL_CONFIRMS,   /**< a primary was named, and may be trusted */
    ETV_SENTINEL_SILENT,     /**< none could be reached or answered in time */
    ETV_SENTINEL_ODD,        /**< what answers is no sentinel */
    ETV_SENTINEL_NAMELESS,   /**< the name of the primary's host cannot be resolved */
    ETV_SENTINEL_ALONE,      /**< it is cut off from the others: they may have chosen another */
    ETV_SENTINEL_DOUBTS,     /**< it takes the primary that it names for down */
    ETV_SENTINEL_REFUSES,    /**< it refuses the login, or the commands */
    ETV_SENTINEL_NOT_WATCHED /**< it watches no primary of this name */
} etv_sentinel_e;

typedef struct {
    char host[256]; /**< a name or an address, as the sentinel says it */
    apr_port_t port;
    apr_time_t asked_us; /**< etv_boottime_us before the question was sent */
} etv_sentinel_primary_t;

typedef struct etv_sentinels_t etv_sentinels_t;

/**
 * @param url       kind SENTINEL; everything is copied
 * @param password  goes before url->password; may be NULL. Sent to sentinels that ask for a login.
 * @param lookup    of the names of sentinels; not for addresses in numbers
 * @return NULL when memory ran out
 */
etv_sentinels_t *etv_sentinels_make(const etv_store_url_t *url, const char *password,
                                    etv_resolver_lookup_fn *lookup);

/** NULL is nothing. */
void etv_sentinels_free(etv_sentinels_t *s);

/**
 * Ask one after the other, the one that answered last first, until one confirms a primary: it
 * names it, reaches it, and reaches as many of the other sentinels as a failover would need, so
 * that these cannot have replaced the primary without it. Connecting and answering may take
 * 200 ms each.
 * @param stopping  once it is not 0, no further sentinel is asked
 * @param primary   out: with ETV_SENTINEL_CONFIRMS
 */
etv_sentinel_e etv_sentinels_ask(etv_sentinels_t *s, atomic_int *stopping,
                                 etv_sentinel_primary_t *primary);

/** What to tell an administrator. */
const char *etv_sentinel_sentence(etv_sentinel_e what);

#endif
