/* SPDX-License-Identifier: Apache-2.0 */
/**
 * ETagVersionGraphQL: patterns of operations' names, each with the models that such an operation
 * depends on. A section adds patterns to those that it inherits; one that it names again is edited
 * as lists are (httpd/list.h).
 */
#ifndef ETV_HTTPD_PATTERNS_H
#define ETV_HTTPD_PATTERNS_H

#include "httpd/list.h"

/** Most patterns in one section, and in all that are merged: what is read may come from a customer.
 */
#define ETV_PATTERNS_MOST 64
/** Longest pattern, in bytes. */
#define ETV_PATTERN_LENGTH_MOST 128

typedef struct {
    const char *text;
    etv_list_t models;
} etv_pattern_t;

/** Patterns as far as one section, or several merged ones, say. */
typedef struct {
    apr_array_header_t *items; /**< of etv_pattern_t, each text once; NULL: nothing was said */
    int replaces;              /**< 1: the inherited ones are of no interest */
    int trusted;               /**< 1: some were written outside .htaccess */
    int too_many;              /**< 1: some have found no room; nothing is known of operations */
} etv_patterns_t;

/**
 * Add one directive's words: a pattern and names, or `none`.
 * @param trusted  whether they stand outside .htaccess
 * @return NULL, or a sentence for the administrator
 */
const char *etv_patterns_add(cmd_parms *cmd, etv_patterns_t *patterns, const char *words,
                             int trusted, etv_list_item_fn *make_model);

/** `add` on top of `base`. Associative. */
etv_patterns_t etv_patterns_merge(apr_pool_t *p, etv_patterns_t base, etv_patterns_t add);

/** Whether there are any. */
static inline int etv_patterns_any(const etv_patterns_t *patterns)
{
    return patterns->items && patterns->items->nelts;
}

static inline const etv_pattern_t *etv_patterns_at(const etv_patterns_t *patterns, int i)
{
    return &APR_ARRAY_IDX(patterns->items, i, const etv_pattern_t);
}

#endif
