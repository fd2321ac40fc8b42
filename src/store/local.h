/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The embedded store: versions in the shared table of one host. Tokens are 64-bit numbers that
 * never repeat within the life of the table; the table's instance goes into every tag, so that no
 * tag of an earlier table matches.
 */
#ifndef ETV_STORE_LOCAL_H
#define ETV_STORE_LOCAL_H

#include "store/feed.h"
#include "store/pending.h"
#include "store/store.h"
#include "store/table.h"

/**
 * Make a store over a table. Thread-safe; may be made before or after the fork.
 * @param scope  tells stores that share a table apart: address and key prefix
 */
etv_store_t *etv_local_create(apr_pool_t *p, etv_table_t *table, const char *scope, etv_log_t log);

/**
 * What else the host's processes share; before the store is used.
 * @param pending  where changes of this store are recorded, under the hash of its scope: it knows
 *                 no other record of them; NULL: none is ever under way
 * @param feed     to write bumps to; NULL for none
 */
void etv_local_share(etv_store_t *store, etv_pending_t *pending, etv_feed_t *feed);

#endif
