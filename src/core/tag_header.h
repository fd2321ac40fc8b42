/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The response headers by which shared caches find what to purge: names, each percent-encoded so
 * that no cache reads it as several or as none, in the syntax and within the limits that each of
 * these caches documents. Pure; results live in the given pool.
 */
#ifndef ETV_CORE_TAG_HEADER_H
#define ETV_CORE_TAG_HEADER_H

#include <apr.h>
#include <apr_pools.h>

typedef enum {
    ETV_TAG_HEADER_SURROGATE_KEY = 1, /**< Fastly; one space between two names */
    ETV_TAG_HEADER_XKEY,              /**< Varnish; one space between two names */
    ETV_TAG_HEADER_CACHE_TAG          /**< Cloudflare and others; a comma between two names */
} etv_tag_header_e;

#define ETV_TAG_HEADER_KINDS 3

/** Longest encoded name: more is cut off or ignored (Fastly, Cloudflare). */
#define ETV_TAG_HEADER_NAME_MOST 1024

/** One name; any bytes. */
typedef struct {
    const char *name;
    apr_size_t len;
} etv_tag_header_name_t;

/** The field name, a constant. */
const char *etv_tag_header_field(etv_tag_header_e kind);

/** Longest value of the field, in bytes. */
apr_size_t etv_tag_header_most(etv_tag_header_e kind);

/** What joins two values of the field to one: a constant. */
const char *etv_tag_header_separator(etv_tag_header_e kind);

/**
 * Encode one name: every byte that is no printable ASCII character, and space, comma and `%`, as
 * `%` and two hexadecimal digits in upper case. Whoever purges does the same.
 */
const char *etv_tag_header_encode(apr_pool_t *p, const char *name, apr_size_t len);

/**
 * The value of a header: what is there already, as it is, and behind it those names that it does
 * not have yet, each once.
 * @param present  the value so far; NULL or empty for none
 * @return NULL when a name or the whole would be longer than is read: a list that is cut off would
 *         let a purge miss the response and nobody would know. `present` itself when there is
 *         nothing to add
 */
const char *etv_tag_header_value(apr_pool_t *p, etv_tag_header_e kind, const char *present,
                                 const etv_tag_header_name_t *names, int n);

#endif
