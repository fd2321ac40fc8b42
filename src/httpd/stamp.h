/* SPDX-License-Identifier: Apache-2.0 */
/** The output filters: policy before the encoders, entity-tag and 304 headers behind them. */
#ifndef ETV_HTTPD_STAMP_H
#define ETV_HTTPD_STAMP_H

#include <httpd.h>
#include <util_filter.h>

#include "httpd/request.h"
#include "httpd/response.h"

/** Register the filters; once, with the hooks. */
void etv_stamp_register(void);

/** Put the filters into the chain; from the handler hook, when all others are in. */
void etv_stamp_response(request_rec *r, const etv_request_t *request);

/**
 * What comes first when a response appears: policy, and what the handler said.
 * @param now  out: what the response says afterwards
 */
void etv_stamp_begin(request_rec *r, etv_response_t *now);

/**
 * Pass a response on, from a filter that comes before the encoders and is done with it: the tag is
 * settled behind them, at once if there are none.
 * @param known  what the response says, as it was found in this request
 */
apr_status_t etv_stamp_pass(ap_filter_t *f, apr_bucket_brigade *bb, const etv_response_t *known);

/** Only those that give headers to a response that has no representation of its own. */
void etv_stamp_headers(request_rec *r);

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
