/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Memory that the parent shares with all children of all generations: made once, and found again
 * after a graceful restart.
 */
#ifndef ETV_HTTPD_SHARED_H
#define ETV_HTTPD_SHARED_H

#include <httpd.h>

#include "store/feed.h"
#include "store/mirror.h"
#include "store/pending.h"
#include "store/registry.h"
#include "store/seats.h"
#include "store/table.h"

/**
 * The key of the hashes of names (core/hash.h), made at the first call of the process and the same
 * at all later ones. Before any directive is read.
 */
apr_status_t etv_shared_use_key(apr_pool_t *process);

/**
 * In the parent, at each reading of the configuration.
 * @param mirrored  1: some store keeps a mirror
 * @return APR_SUCCESS, or why there is no memory (not logged)
 */
apr_status_t etv_shared_open(server_rec *s, int mirrored);

/** Whether etv_shared_open was called before, in this process: it is a restart. */
int etv_shared_is_restart(const server_rec *s);

/** The table of the embedded store, and of when versions were first seen. */
etv_table_t *etv_shared_table(void);

/** The mirror of versions that servers push; NULL while no store needed one. */
etv_mirror_t *etv_shared_mirror(void);

/** Changes under way, and bumps that are still to be delivered. */
etv_pending_t *etv_shared_pending(void);

/** Lists of models, and sets of header fields, that tags name. */
etv_registry_t *etv_shared_registry(void);

/** The newest bumps. */
etv_feed_t *etv_shared_feed(void);

/** For streams of events, where they are counted over all processes. */
etv_seats_t *etv_shared_seats(void);

/** What the last response of a URL declared (httpd/declared.h): only saves work. */
etv_table_t *etv_shared_hints(void);

#endif
