/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/head.h"

#include "httpd/config.h"

void etv_head_run_as_get(request_rec *r, etv_request_t *request)
{
    if (!r->header_only || strcmp(r->method, "HEAD") != 0 || request->tagged ||
        !etv_config_uses_content(request->dir) || !etv_config_head_as_get(request->dir))
        return;
    request->as_get = 1;
    r->header_only = 0;
    r->method = "GET";
    /* RFC 9110 §14.2: ranges are defined for GET, and this is none. */
    apr_table_unset(r->headers_in, "Range");
    apr_table_unset(r->headers_in, "If-Range");
    request->withheld = 1;
}

void etv_head_restore(request_rec *r)
{
    for (const request_rec *each = r; each; each = each->prev) {
        const etv_request_t *request = etv_request_peek(each);

        if (request && request->as_get) {
            r->header_only = 1;
            r->method = "HEAD";
            return;
        }
    }
}

int etv_head_fixup(request_rec *r)
{
    if (r->prev && !r->main)
        etv_head_restore(r);
    return DECLINED;
}

void etv_head_insert_error(request_rec *r)
{
    etv_head_restore(r);
}
