/* SPDX-License-Identifier: Apache-2.0 */
/** Values of names and salts that may be expressions. */
#ifndef ETV_HTTPD_EXPAND_H
#define ETV_HTTPD_EXPAND_H

#include <httpd.h>

#include "httpd/list.h"

/** What goes from one expansion of a request to the next. */
typedef struct {
    request_rec *r;
    const char *vary; /**< the request headers that were read so far; NULL for none */
    apr_table_t *env; /**< the environment with the first request's captures; lazily made */
} etv_expand_t;

/**
 * The text of an item for this request. LocationMatch captures of the first request in a chain of
 * internal redirects win over those of later ones.
 * @param most  longest text that is accepted
 * @param len   out: its length
 * @return NULL when it is empty, too long, has control characters, or failed (logged at debug)
 */
const char *etv_expand_expression(etv_expand_t *expand, const etv_item_t *item, apr_size_t most,
                                  apr_size_t *len);

/** The same, without a call for literal text, whose length was checked when it was written. */
static inline const char *etv_expand(etv_expand_t *expand, const etv_item_t *item, apr_size_t most,
                                     apr_size_t *len)
{
    if (item->expr)
        return etv_expand_expression(expand, item, most, len);
    *len = item->len;
    return item->text;
}

#endif
