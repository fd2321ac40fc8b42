/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/headers.h"

/* The first of several lines counts, as for apr_table_get. */
static inline void take(const apr_table_entry_t *entry, const char *lower, size_t len,
                        const char **field)
{
    if (!*field && etv_headers_is_name(entry->key, lower, len))
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

    ETV_HEADERS_CLEAR(headers);
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
