/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Which stores there are: what shares a URL and a prefix shares versions, and so changes. For bumps
 * that waited for a store when a restart has taken it out of the configuration, or given it another
 * address. All but etv_scopes_of in the parent.
 */
#ifndef ETV_HTTPD_SCOPES_H
#define ETV_HTTPD_SCOPES_H

#include <httpd.h>

#include "httpd/config.h"

/** What a server's versions are kept under, in `p`. */
const char *etv_scopes_name(apr_pool_t *p, const etv_server_t *server);

/** The same, as changes have it. */
etv_hash128_t etv_scopes_of(apr_pool_t *p, const etv_server_t *server);

/** The configuration was read; the memory that is shared is there. @param p  lives as long */
void etv_scopes_configure(apr_pool_t *p, apr_pool_t *ptemp, server_rec *s);

/** A monitor hook. */
int etv_scopes_monitor(apr_pool_t *p, server_rec *s);

#endif
