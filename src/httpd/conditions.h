/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The client's conditions: kept where the module evaluates them itself, taken away from whatever
 * answers the request, and put back for httpd's own filters and logs.
 */
#ifndef ETV_HTTPD_CONDITIONS_H
#define ETV_HTTPD_CONDITIONS_H

#include <httpd.h>

#include "httpd/headers.h"
#include "httpd/life.h"
#include "httpd/request.h"

/**
 * post_read_request hook, where mod_cache is loaded: its quick handler may replace the client's
 * conditions by its own before any other hook sees them.
 */
int etv_conditions_remember(request_rec *r);

/** Whether a condition's value is the client's own text rather than mod_cache's copy of a stored
 * tag. The address tells, even when both are equal. */
int etv_conditions_is_clients(request_rec *r, const char *if_none_match);

/** fixups hook, first: what was withheld before an internal redirect is put back, wherever the
 * redirect leads. */
int etv_conditions_fixup(request_rec *r);

/** Fill in request->client: from the request's fields, or what mod_cache put its own in place of.
 */
void etv_conditions_take(request_rec *r, etv_request_t *request, const etv_headers_t *headers);

/** As etv_conditions_withhold, where there may be any. */
void etv_conditions_withhold_all(request_rec *r, etv_request_t *request);

/**
 * Take the conditions away from the content handler: the client's always, mod_cache's own
 * (kept in request->cache) unless another server answers, which may know better. Range and If-Range
 * go together, where the client has a condition as well or its If-Range names a content tag.
 */
static inline void etv_conditions_withhold(request_rec *r, etv_request_t *request)
{
    if (etv_conditions_any(&request->client) || request->client.range || etv_life_has_cache())
        etv_conditions_withhold_all(r, request);
}

/** Put back what was withheld, for httpd's filters and the log. @param range  0: but no Range */
void etv_conditions_restore(request_rec *r, const etv_request_t *request, int range);

#endif
