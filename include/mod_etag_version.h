/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What other httpd modules may call. Retrieve the functions in post_config or later with
 * APR_RETRIEVE_OPTIONAL_FN; they are NULL when mod_etag_version is not loaded.
 */
#ifndef MOD_ETAG_VERSION_H
#define MOD_ETAG_VERSION_H

#include <apr_optional.h>
#include <apr_pools.h>
#include <httpd.h>

/**
 * Bump a model: every version tag that depends on it stops matching.
 * Call it in a child process, after the change is committed; safe in any thread.
 * @param s      the server whose store and key prefix hold the version
 * @param p      for temporary data
 * @param model  at most 256 bytes, no control characters, not beginning with `%`
 * @return APR_SUCCESS once the store has acknowledged it; APR_EINVAL for a bad name; else why the
 *         store could not take it (nothing was bumped, or it is unknown whether it was): it is
 *         remembered, and tried again until the store has taken it; meanwhile nothing that depends
 *         on the model is answered 304 on this host
 */
APR_DECLARE_OPTIONAL_FN(apr_status_t, etag_version_bump,
                        (server_rec * s, apr_pool_t *p, const char *model));

#endif
