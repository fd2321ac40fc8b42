/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/response.h"

#include <apr_strings.h>

#include "httpd/headers.h"

/* @return 1 when it was that field */
static inline int take(const apr_table_entry_t *entry, const char *lower, size_t len,
                       const char **field, etv_response_t *response)
{
    if (!etv_headers_is_name(entry->key, lower, len))
        return 0;
    if (*field)
        response->repeated = 1;
    else
        *field = entry->val;
    return 1;
}

#define TAKE(lower, field) take(entry, lower, sizeof(lower) - 1, &response->field, response)

#define INITIAL(letter) (1U << ((letter) & 31U))

/* Whether one of the names below begins so, in upper or lower case. */
static inline int may_matter(char initial)
{
    const apr_uint32_t initials =
        INITIAL('a') | INITIAL('c') | INITIAL('e') | INITIAL('s') | INITIAL('v') | INITIAL('x');

    return (initials & INITIAL((unsigned char)initial)) != 0;
}

static void scan_table(const apr_table_t *table, etv_response_t *response)
{
    const apr_array_header_t *all = apr_table_elts(table);
    const apr_table_entry_t *entry = (const apr_table_entry_t *)(const void *)all->elts;

    for (int i = 0; i < all->nelts; i++, entry++) {
        if (!may_matter(entry->key[0]))
            continue;
        switch (strlen(entry->key)) {
        case 3:
            if (ap_cstr_casecmp(entry->key, "Age") != 0)
                break;
            response->repeated |= response->age != NULL;
            response->age = entry->val;
            break;
        case 4:
            if (!TAKE("etag", etag))
                response->vary_lines += TAKE("vary", vary);
            break;
        case 10:
            if (etv_headers_is_name(entry->key, "set-cookie", 10))
                response->set_cookie = entry->val;
            break;
        case 12:
            TAKE("content-type", content_type);
            break;
        case 13:
            if (TAKE("cache-control", cache_control))
                response->cache_control_lines++;
            else
                TAKE("content-range", content_range);
            break;
        case 14:
            TAKE("content-length", content_length);
            break;
        case 16:
            if (!TAKE("content-encoding", content_encoding))
                TAKE("content-language", content_language);
            break;
        case 17:
            TAKE("x-accel-buffering", accel_buffering);
            break;
        default:
            break;
        }
    }
}

/* All lines of a field, in one pass over each table however many there are. */
static void join(request_rec *r, const char *name, const char **field)
{
    const char *values[2];
    int n = 0;

    if (!*field)
        return;
    values[n] = apr_table_getm(r->pool, r->err_headers_out, name);
    n += values[n] != NULL;
    values[n] = apr_table_getm(r->pool, r->headers_out, name);
    n += values[n] != NULL;
    if (n)
        *field = n == 1 ? values[0] : apr_pstrcat(r->pool, values[0], ", ", values[1], NULL);
}

static void join_all(request_rec *r, etv_response_t *response)
{
    join(r, "Age", &response->age);
    join(r, "ETag", &response->etag);
    join(r, "Vary", &response->vary);
    join(r, "Content-Type", &response->content_type);
    join(r, "Cache-Control", &response->cache_control);
    join(r, "Content-Range", &response->content_range);
    join(r, "Content-Length", &response->content_length);
    join(r, "Content-Encoding", &response->content_encoding);
    join(r, "Content-Language", &response->content_language);
    join(r, "X-Accel-Buffering", &response->accel_buffering);
}

void etv_response_scan(request_rec *r, etv_response_t *response)
{
    ETV_HEADERS_CLEAR(response);
    if (!apr_is_empty_table(r->err_headers_out))
        scan_table(r->err_headers_out, response);
    scan_table(r->headers_out, response);
    if (response->repeated)
        join_all(r, response);
    if (r->content_type)
        response->content_type = r->content_type;
    if (r->content_encoding)
        response->content_encoding = r->content_encoding;
    if (r->content_languages && r->content_languages->nelts)
        response->content_language = apr_array_pstrcat(r->pool, r->content_languages, ',');
}
