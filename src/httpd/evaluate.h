/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Preconditions (RFC 9110 §13) against the response that is about to be sent: the client's behind
 * mod_cache, which has stored the response by then, and mod_cache's own in front of it.
 */
#ifndef ETV_HTTPD_EVALUATE_H
#define ETV_HTTPD_EVALUATE_H

#include <httpd.h>
#include <util_filter.h>
#include <apr_buckets.h>

#include "httpd/request.h"

/** Register the filter; once, with the hooks. */
void etv_evaluate_register(void);

/** Put it into the chain, if there is anything to evaluate or to put back. */
void etv_evaluate_insert(request_rec *r, const etv_request_t *request);

/**
 * Whether mod_cache's revalidation (request->cache, which has a condition) is answered with 304, by
 * the response as it is now. If so, the response was made one: nothing but the end of the stream
 * must be passed on.
 */
int etv_evaluate_for_cache(request_rec *r, etv_request_t *request);

/** Whether mod_cache is about to store the response. */
int etv_evaluate_is_stored(const request_rec *r);

/**
 * A filter that drops what comes behind an answer, for some seconds and some MB: then the handler
 * is told that nobody listens. Its context is its own, NULL at first.
 */
apr_status_t etv_evaluate_swallow(ap_filter_t *f, apr_bucket_brigade *bb);

/** Make a response a 304 (§15.4.5): status, and what describes the representation goes. */
void etv_evaluate_make_304(request_rec *r, const char *etag);

#endif
