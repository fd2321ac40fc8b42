/* SPDX-License-Identifier: Apache-2.0 */
/** Response headers in which a backend tells this module something, and nobody else. */
#ifndef ETV_HTTPD_SAID_H
#define ETV_HTTPD_SAID_H

#include <httpd.h>

/**
 * Take a header out of the response, of both tables: handlers differ in which they use.
 * @return all its lines, joined with commas, in `p` or the response's tables; NULL when there was
 *         none
 */
const char *etv_said_take(request_rec *r, const char *name, apr_pool_t *p);

#endif
