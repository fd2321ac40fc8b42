/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/headers.h"

#include <string.h>

/* Field names are case-insensitive (RFC 9110 §5.1); `-` and digits have the bit that is set here.
 */
static inline int is_name(const char *key, const char *lower, size_t len)
{
    apr_uint64_t a, b, differs = 0;
    apr_uint32_t c, d;

    if (len < 8) {
        memcpy(&c, key, 4);
        memcpy(&d, lower, 4);
        differs = (c | 0x20202020U) ^ d;
        memcpy(&c, key + len - 4, 4);
        memcpy(&d, lower + len - 4, 4);
        return !(differs | ((c | 0x20202020U) ^ d));
    }
    for (size_t i = 0; i < len; i += 8) {
        size_t at = i + 8 <= len ? i : len - 8;

        memcpy(&a, key + at, 8);
        memcpy(&b, lower + at, 8);
        differs |= (a | 0x2020202020202020ULL) ^ b;
    }
    return !differs;
}

/* The first of several lines counts, as for apr_table_get. */
static inline void take(const apr_table_entry_t *entry, const char *lower, size_t len,
                        const char **field)
{
    if (!*field && is_name(entry->key, lower, len))
        *field = entry->val;
}

#define TAKE(lower, field)                                                                         \
    case sizeof(lower) - 1:                                                                        \
        take(entry, lower, sizeof(lower) - 1, &headers->field);                                    \
        break

void etv_headers_scan(const apr_table_t *table, etv_headers_t *headers)
{
    const apr_array_header_t *all = apr_table_elts(table);
    const apr_table_entry_t *entry = (const apr_table_entry_t *)(const void *)all->elts;

    memset(headers, 0, sizeof(*headers));
    for (int i = 0; i < all->nelts; i++, entry++) {
        switch (strlen(entry->key)) {
            TAKE("host", host);
            TAKE("cookie", cookie);
        case sizeof("if-match") - 1:
            if ((entry->key[3] | 0x20) == 'm')
                take(entry, "if-match", 8, &headers->if_match);
            else
                take(entry, "if-range", 8, &headers->if_range);
            break;
            TAKE("range", range);
            TAKE("content-length", content_length);
        case sizeof("transfer-encoding") - 1:
            if ((entry->key[0] | 0x20) == 'i')
                take(entry, "if-modified-since", 17, &headers->if_modified_since);
            else
                take(entry, "transfer-encoding", 17, &headers->transfer_encoding);
            break;
            TAKE("if-unmodified-since", if_unmodified_since);
        case sizeof("if-none-match") - 1:
            if ((entry->key[0] | 0x20) == 'i')
                take(entry, "if-none-match", 13, &headers->if_none_match);
            else
                take(entry, "authorization", 13, &headers->authorization);
            break;
        default:
            break;
        }
    }
}

static int add_line(void *fields, const char *key, const char *value)
{
    (void)key;
    etv_tag_fields_add_string(fields, value);
    return 1;
}

void etv_headers_add_lines(etv_tag_fields_t *fields, const request_rec *r, const char *name)
{
    static const char forwarded[] = "X-Forwarded-";

    apr_table_do(add_line, fields, r->headers_in, name, NULL);
    if (ap_cstr_casecmpn(name, forwarded, sizeof(forwarded) - 1) == 0) {
        etv_tag_fields_add_string(fields, r->useragent_ip);
        etv_tag_fields_add_string(fields, r->connection->client_ip);
    }
    etv_tag_fields_add(fields, NULL, 0);
}
