/* SPDX-License-Identifier: Apache-2.0 */
/** The request header fields that decide, found in one pass over all of them. */
#ifndef ETV_HTTPD_HEADERS_H
#define ETV_HTTPD_HEADERS_H

#include <httpd.h>
#include <apr_tables.h>

#include "core/tag.h"

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
