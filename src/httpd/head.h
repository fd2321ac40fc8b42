/* SPDX-License-Identifier: Apache-2.0 */
/**
 * ETagVersionHead AsGet: the handler is asked for GET, so that there are bytes to hash; the
 * response is HEAD's again before httpd writes its header, on every path that leads there.
 */
#ifndef ETV_HTTPD_HEAD_H
#define ETV_HTTPD_HEAD_H

#include <httpd.h>

#include "httpd/request.h"

/** Turn a HEAD into a GET for the handler, where a content tag could be had. */
void etv_head_run_as_get(request_rec *r, etv_request_t *request);

/** Make it a HEAD again; also one that an internal redirect inherited. */
void etv_head_restore(request_rec *r);

/** fixups and insert_error_filter: redirects and error responses do without the filters. */
int etv_head_fixup(request_rec *r);
void etv_head_insert_error(request_rec *r);

#endif
