/* SPDX-License-Identifier: Apache-2.0 */
/** What a request to the admin handler says, and whether it may be listened to. */
#ifndef ETV_HTTPD_ADMIN_BODY_H
#define ETV_HTTPD_ADMIN_BODY_H

#include <httpd.h>

#include "core/admin_request.h"

/**
 * Whether another site's page made a browser send this (Fetch Metadata, RFC 6454). What is no
 * browser sends neither header, and is told apart from one by httpd's access control alone.
 */
int etv_admin_is_foreign(const request_rec *r);

/**
 * Read query and body of a POST.
 * @param request  out
 * @param reason   out, with a status: a sentence
 * @return OK; an HTTP status; AP_FILTER_ERROR when the answer is already under way
 */
int etv_admin_body_read(request_rec *r, etv_admin_request_t *request, const char **reason);

/** Read a short body that nobody wants, before the request is refused: over HTTP/2 an answer that
 *  overtakes its request is an error to some clients. */
void etv_admin_body_drop(request_rec *r);

#endif
