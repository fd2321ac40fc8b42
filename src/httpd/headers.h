/* SPDX-License-Identifier: Apache-2.0 */
/** The request header fields that decide, found in one pass over all of them. */
#ifndef ETV_HTTPD_HEADERS_H
#define ETV_HTTPD_HEADERS_H

#include <string.h>

#include <httpd.h>
#include <apr_tables.h>

#include "core/tag.h"

/**
 * Whether a field name of `len` (at least 4) characters is `lower`, as long and in lower case.
 * Names are case-insensitive (RFC 9110 §5.1); `-` and digits have the bit that is set here.
 */
static inline int etv_headers_is_name(const char *key, const char *lower, size_t len)
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

/** memset to 0 of less than 128 bytes, in two parts: compilers write short ones without a loop. */
#define ETV_HEADERS_CLEAR(to)                                                                      \
    (memset((to), 0, sizeof(*(to)) / 2),                                                           \
     memset((char *)(to) + sizeof(*(to)) / 2, 0, sizeof(*(to)) - sizeof(*(to)) / 2))

/** Values that live as long as the table; NULL for absent fields. */
typedef struct {
    const char *host;
    const char *cookie;
    const char *authorization;
    const char *if_none_match;
    const char *if_match;
    const char *if_modified_since;
    const char *if_unmodified_since;
    const char *range;
    const char *if_range;
    const char *content_length;
    const char *transfer_encoding;
} etv_headers_t;

/** Fill in all fields; what apr_table_get would find for each. */
void etv_headers_scan(const apr_table_t *table, etv_headers_t *headers);

/**
 * Fold every line of a request header into a tag, and an end; no line differs from an empty one.
 * With a header that mod_proxy appends the client's address to, the address too.
 */
void etv_headers_add_lines(etv_tag_fields_t *fields, const request_rec *r, const char *name);

#endif
