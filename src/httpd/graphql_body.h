/* SPDX-License-Identifier: Apache-2.0 */
/** A request's body that is read before its handler runs, and given back byte for byte. */
#ifndef ETV_HTTPD_GRAPHQL_BODY_H
#define ETV_HTTPD_GRAPHQL_BODY_H

#include <httpd.h>

/** Register the filter; once, with the hooks. */
void etv_graphql_body_register(void);

/**
 * Read the body, whole or not: what was read is given to whoever reads next, and then the rest.
 * @param most  a longer one is not read, or only as far as it takes to find out
 * @param body  out: all of it, not terminated, as long as the request; NULL when it is longer
 * @return OK, or the status for a body that cannot be read to its end
 */
int etv_graphql_body_read(request_rec *r, apr_size_t most, const char **body, apr_size_t *len);

#endif
