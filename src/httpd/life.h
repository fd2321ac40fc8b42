/* SPDX-License-Identifier: Apache-2.0 */
/** What lives longer than a request: the shared table, the stores, start and end of children. */
#ifndef ETV_HTTPD_LIFE_H
#define ETV_HTTPD_LIFE_H

#include <httpd.h>

#include "store/keeper.h"

/** Offer the functions of include/mod_etag_version.h. */
void etv_life_register(void);

/**
 * Hooks: defaults before the configuration is read; contradictions in it (httpd -t, too); the
 * shared table and the names of virtual hosts; the stores of a child and their keeper.
 */
int etv_life_pre_config(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp);
int etv_life_check_config(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s);
int etv_life_post_config(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s);
void etv_life_child_init(apr_pool_t *p, server_rec *s);
/** This child takes no new connections any more: another one shall listen to the stores. */
void etv_life_child_stopping(apr_pool_t *p, int graceful);

/** What cares for this child's changes; NULL when there is none, which was logged. */
etv_keeper_t *etv_life_keeper(void);

/** Whether a loaded module makes answers to mod_cache's own revalidation dangerous. */
int etv_life_has_socache(void);

/** Set while the configuration is read; for the functions below. */
extern int etv_life_cache_is_loaded, etv_life_validator_is_needed;

/** Whether mod_cache is loaded. */
static inline int etv_life_has_cache(void)
{
    return etv_life_cache_is_loaded;
}

/** Whether it is loaded, and not told for all places to store responses that have no validator. */
static inline int etv_life_cache_needs_validator(void)
{
    return etv_life_validator_is_needed;
}

/** Whether mod_brotli is loaded, which changes the ETag and Vary of a 304. */
int etv_life_has_brotli(void);

#endif
