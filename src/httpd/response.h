/* SPDX-License-Identifier: Apache-2.0 */
/** The response header fields that decide, found in one pass over both tables. */
#ifndef ETV_HTTPD_RESPONSE_H
#define ETV_HTTPD_RESPONSE_H

#include <httpd.h>

/** Values of several lines are joined with a comma; NULL for absent fields. Of Set-Cookie only the
 *  presence counts. */
typedef struct {
    const char *age;
    const char *etag;
    const char *vary;
    const char *set_cookie;
    const char *content_type; /**< what the handler put aside for it, else the line */
    const char *cache_control;
    const char *content_range;
    const char *content_length;
    const char *content_encoding; /**< as the type */
    const char *content_language;
    const char *accel_buffering; /**< X-Accel-Buffering */
    int vary_lines;
    int cache_control_lines;
    int repeated; /**< some field has several lines */
} etv_response_t;

/** Fill in all fields from what the response says now. */
void etv_response_scan(request_rec *r, etv_response_t *response);

#endif
