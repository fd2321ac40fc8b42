/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Vary (RFC 9110 §12.5.5): lists of field names. Pure; results live in the given pool.
 *
 * A backend writes these values: one with more than ETV_VARY_MOST members counts as `*`, which is
 * the safe reading and keeps the work linear. NULL is an empty list everywhere.
 */
#ifndef ETV_CORE_VARY_H
#define ETV_CORE_VARY_H

#include <apr.h>
#include <apr_pools.h>

/** The most members that a value may have before it counts as `*`. */
#define ETV_VARY_MOST 128

/**
 * The next member of a comma separated list of names, white space and empty members passed over.
 * @param cursor  in: where to go on; out: behind the member. `*cursor == NULL` is an empty list.
 * @return 1 and `*name`, `*len` (into the text), or 0 at the end
 */
int etv_vary_next(const char **cursor, const char **name, apr_size_t *len);

/** Whether `field` names `name` (case-insensitive). `*` in the field does not count. */
int etv_vary_has(const char *field, const char *name);

/** Whether `field` has the member `*`. */
int etv_vary_has_any(const char *field);

/**
 * The union of two values: each name once, in the spelling and order of its first appearance; `*`
 * absorbs everything (the result is then "*").
 * @return NULL when both are empty; one of the arguments itself when it already is the union,
 *         normalised; "*", a constant; else a string in `p`
 */
const char *etv_vary_union(apr_pool_t *p, const char *a, const char *b);

/**
 * Whether two values name the same set (case-insensitive, order and duplicates aside). All values
 * with the member `*` mean the same.
 */
int etv_vary_same(const char *a, const char *b);

/** Whether `name` is a field name (token, RFC 9110 §5.6.2) of at least one character. */
int etv_vary_is_field_name(const char *name);

#endif
