/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Directives that take lists: plain names replace what is inherited, `+name` and `-name` edit it,
 * `none` empties it. Several lines in one section are one line.
 */
#ifndef ETV_HTTPD_LIST_H
#define ETV_HTTPD_LIST_H

#include <httpd.h>
#include <http_config.h>
#include <ap_expr.h>
#include <apr_tables.h>

#include "core/hash.h"

/** Most names in the lines of one section: what is read may come from a customer. */
#define ETV_LIST_MOST 128

/** One member. What the fields mean beyond `text` is the directive's business. */
typedef struct {
    const char *text;           /**< as written, without the sign */
    apr_size_t len;             /**< of `text` */
    etv_hash128_t hash;         /**< of `text`, for literal model names */
    const ap_expr_info_t *expr; /**< NULL when `text` is literal */
    int kind;                   /**< of an identity: etv_identity_kind_e */
    int trusted;                /**< written outside .htaccess */
    int fold;                   /**< 1: upper and lower case are the same */
    char sign;                  /**< 0: plain, '+' or '-' */
} etv_item_t;

/** A list as far as one section, or several merged ones, say. */
typedef struct {
    apr_array_header_t *items; /**< of etv_item_t; NULL: nothing was said */
    int replaces;              /**< 1: the inherited list is of no interest */
    int edits;                 /**< 1: some items have a sign */
    const char *joined;        /**< the texts, separated by spaces; NULL when that is not what
                                    the list comes to: there are edits or expressions */
} etv_list_t;

/**
 * Make an item from one word.
 * @return NULL, or a sentence about what is wrong with the word
 */
typedef const char *etv_list_item_fn(cmd_parms *cmd, const char *word, etv_item_t *item);

/**
 * Add one directive's words.
 * @param none_is_item  `none` is a member of its own rather than the empty list
 * @return NULL, or a sentence for the administrator
 */
const char *etv_list_add(cmd_parms *cmd, etv_list_t *list, const char *words,
                         etv_list_item_fn *make, int none_is_item);

/** `add` on top of `base`. Associative, as httpd's order of merging needs it. */
etv_list_t etv_list_merge(apr_pool_t *p, etv_list_t base, etv_list_t add);

/** As etv_list_resolve, for a list that has edits. */
const etv_item_t *etv_list_apply(apr_pool_t *p, const etv_list_t *list, int *n);

/**
 * The members that are left when all edits are done, each once.
 * @param n  out: how many
 * @return an array that lives as long as the list or the pool; NULL when nothing was ever said
 */
static inline const etv_item_t *etv_list_resolve(apr_pool_t *p, const etv_list_t *list, int *n)
{
    *n = 0;
    if (!list->items)
        return NULL;
    if (list->edits)
        return etv_list_apply(p, list, n);
    *n = list->items->nelts;
    return (const etv_item_t *)(const void *)list->items->elts;
}

#endif
