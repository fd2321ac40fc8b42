/* SPDX-License-Identifier: Apache-2.0 */
/** What configuration alone gives: the headers of a response that no backend had a part in. */
#ifndef ETV_HTTPD_CONFIGURED_H
#define ETV_HTTPD_CONFIGURED_H

#include <httpd.h>

#include "httpd/policy.h"
#include "httpd/request.h"

/**
 * Cache-Control, Expires and Vary as an early 304 to this request would carry them: mod_expires,
 * the policy and mod_headers, run over the headers that stood before the backend ran. The request
 * itself is not touched.
 */
etv_freshness_t etv_configured_freshness(request_rec *r, const etv_request_t *request);

#endif
