/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/response.h"

#include <apr_strings.h>

static void take(apr_pool_t *p, const apr_table_entry_t *entry, const char *name,
                 const char **field, int *lines)
{
    if (ap_cstr_casecmp(entry->key, name) != 0)
        return;
    if (lines)
        (*lines)++;
    *field = *field ? apr_pstrcat(p, *field, ", ", entry->val, NULL) : entry->val;
}

#define TAKE(name, field, lines)                                                                   \
    case sizeof(name) - 1:                                                                         \
        take(p, entry, name, &response->field, lines);                                             \
        break

static void scan_table(apr_pool_t *p, const apr_table_t *table, etv_response_t *response)
{
    const apr_array_header_t *all = apr_table_elts(table);
    const apr_table_entry_t *entry = (const apr_table_entry_t *)(const void *)all->elts;

    for (int i = 0; i < all->nelts; i++, entry++) {
        switch (strlen(entry->key)) {
            TAKE("Age", age, NULL);
            TAKE("Set-Cookie", set_cookie, NULL);
            TAKE("Content-Type", content_type, NULL);
            TAKE("Content-Length", content_length, NULL);
            TAKE("Content-Encoding", content_encoding, NULL);
            TAKE("X-Accel-Buffering", accel_buffering, NULL);
        case sizeof("ETag") - 1: /* and Vary */
            take(p, entry, "ETag", &response->etag, NULL);
            take(p, entry, "Vary", &response->vary, &response->vary_lines);
            break;
        case sizeof("Cache-Control") - 1: /* and Content-Range */
            take(p, entry, "Cache-Control", &response->cache_control,
                 &response->cache_control_lines);
            take(p, entry, "Content-Range", &response->content_range, NULL);
            break;
        default:
            break;
        }
    }
}

void etv_response_scan(request_rec *r, etv_response_t *response)
{
    memset(response, 0, sizeof(*response));
    scan_table(r->pool, r->err_headers_out, response);
    scan_table(r->pool, r->headers_out, response);
    if (r->content_type)
        response->content_type = r->content_type;
    if (r->content_encoding)
        response->content_encoding = r->content_encoding;
}
