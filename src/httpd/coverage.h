/* SPDX-License-Identifier: Apache-2.0 */
/** Whether tags tell apart what a response varies on. */
#ifndef ETV_HTTPD_COVERAGE_H
#define ETV_HTTPD_COVERAGE_H

#include <httpd.h>

#include "httpd/request.h"

/**
 * Whether every name in a Vary is covered: by ETagVersionVary or an expression, by the identity, or
 * by what every tag is made of. Logs what to add when one is not.
 * @param vary  NULL when there is none
 */
int etv_coverage_of_vary(request_rec *r, const etv_request_t *request, const char *vary);

#endif
