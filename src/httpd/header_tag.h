/* SPDX-License-Identifier: Apache-2.0 */
/** Header tags (ETagVersion Headers): made of response headers that tell versions apart. */
#ifndef ETV_HTTPD_HEADER_TAG_H
#define ETV_HTTPD_HEADER_TAG_H

#include <httpd.h>

#include "httpd/request.h"

/**
 * The digest of the headers that ETagVersionHeaders names, as the handler gave them, within the
 * request they answer: Last-Modified and Content-Length are the same for many a URL.
 * @param reason  out, on NULL: why there is none, a constant
 * @return ETV_ENTITY_TAG_DIGEST_CHARS characters in the request's pool, or NULL
 */
const char *etv_header_tag_digest(request_rec *r, const etv_request_t *request,
                                  const char **reason);

#endif
