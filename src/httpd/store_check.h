/* SPDX-License-Identifier: Apache-2.0 */
/** What can be found out about the configured stores before anything is served. */
#ifndef ETV_HTTPD_STORE_CHECK_H
#define ETV_HTTPD_STORE_CHECK_H

#include <httpd.h>

/**
 * Read the files of `rediss://` addresses, as the user who started httpd, for all children; and ask
 * the servers whether they are nodes of a Redis Cluster where the configuration would not do for
 * one. Does nothing in the first of two readings at start. A server that does not answer now is
 * nothing to complain of; at a restart, neither is one that is a node.
 * @return OK, at a restart always; else a line was logged that says what to write
 */
int etv_store_check(apr_pool_t *p, apr_pool_t *ptemp, server_rec *s);

#endif
