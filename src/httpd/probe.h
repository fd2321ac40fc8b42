/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What a response was before an encoder that stands among the content filters. mod_filter's
 * FilterDeclare without a type puts mod_deflate there, far in front of where content tags are made;
 * which provider a harness will choose is nobody else's knowledge, so its effect is looked at: what
 * came in without a coding and went out with one was encoded.
 */
#ifndef ETV_HTTPD_PROBE_H
#define ETV_HTTPD_PROBE_H

#include <httpd.h>

#include "httpd/request.h"
#include "httpd/response.h"

/** Register the filter; once, with the hooks. */
void etv_probe_register(void);

/** Put a probe in front of every harness of that kind; from the handler hook. */
void etv_probe_insert(request_rec *r);

/** Whether a response has a coding. */
int etv_probe_is_coded(const etv_response_t *now);

/** What the last probe saw, if httpd has encoded the response since; NULL when there is none. */
static inline const etv_probe_t *etv_probe_of(const etv_request_t *request,
                                              const etv_response_t *now)
{
    return request->probe && etv_probe_is_coded(now) ? request->probe : NULL;
}

#endif
