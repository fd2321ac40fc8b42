/* SPDX-License-Identifier: Apache-2.0 */
/** The output filters: policy before the encoders, entity-tag and 304 headers behind them. */
#ifndef ETV_HTTPD_STAMP_H
#define ETV_HTTPD_STAMP_H

#include <httpd.h>

#include "httpd/request.h"

/** Register the filters; once, with the hooks. */
void etv_stamp_register(void);

/** Put the filters into the chain; from the handler hook, when all others are in. */
void etv_stamp_response(request_rec *r);

/**
 * Give an early 304 its headers: at once when no other module has a filter that could change them,
 * else by way of the filters.
 */
void etv_stamp_early(request_rec *r, const etv_request_t *request);

/** The policy for unsafe methods also covers the ErrorDocument that answers one. */
void etv_stamp_error_document(request_rec *r);

/** insert_error_filter hook: the policy for unsafe methods covers httpd's own errors, too. */
void etv_stamp_insert_error(request_rec *r);

#endif
