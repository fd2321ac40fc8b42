/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Cache-Control of responses (RFC 9111 §5.2.2, RFC 8246 immutable, RFC 5861): parsing and the
 * strictest-wins merge. Pure; results live in the given pool, are constants or the arguments.
 *
 * How malformed values are read: so that nothing hides a directive that forbids. A quoted-string
 * that is not closed, or has something behind its closing quote, is none: it ends at the first
 * comma or white space. White space between directives separates like a comma. A directive counts
 * even when something odd follows its name (`no-store;`); words without a name are passed over. An
 * argument of private or no-cache that is not a list of field names counts as no argument, which is
 * stricter. What is written out is always well-formed.
 */
#ifndef ETV_CORE_CACHE_CONTROL_H
#define ETV_CORE_CACHE_CONTROL_H

#include <apr.h>
#include <apr_pools.h>

/** The most directives that are unknown or have a list of fields which a merge handles. */
#define ETV_CACHE_CONTROL_MOST 128

/**
 * The strictest union of two field values; several lines are one value joined with a comma.
 * Smallest lifetimes win (max-age, s-maxage, stale-while-revalidate, stale-if-error); `private`
 * beats `public`; no-store, no-cache, must-revalidate, proxy-revalidate and no-transform stay;
 * immutable stays unless max-age becomes 0; an argument list (`private="a"`, `no-cache="b"`) yields
 * to the bare, stricter form and is united with another list; unknown directives of both are kept;
 * nothing is dropped but what a stricter one replaces. A lifetime that is not a number counts as 0
 * (RFC 9111 §4.2.1: stale), one beyond 2147483648 as that (§1.2.2). Duplicates within one value are
 * merged the same way. Order: that of `a`, then what `b` adds. Names are written in lower case.
 *
 * Two directives change the meaning of others, so the plain union would be laxer than one side:
 * - one side's s-maxage is at most the other's max-age, if that has no s-maxage of its own;
 * - must-understand makes caches ignore a no-store beside it (RFC 9111 §5.2.2.3), so it goes when a
 *   side has no-store without it.
 * And stale-while-revalidate and stale-if-error (RFC 5861), which let caches serve what is stale,
 * need the word of each side that says max-age, s-maxage, no-cache, no-store or must-revalidate.
 *
 * A value with more than ETV_CACHE_CONTROL_MOST directives that are unknown or have lists (with
 * repetitions), or a union with more (without), gives "no-store": a backend writes these values.
 * @param a, b  NULL and "" mean no directives
 * @return one normalised value in `p`, NULL when there are no directives at all
 */
const char *etv_cache_control_merge(apr_pool_t *p, const char *a, const char *b);

/**
 * Whether a directive is present, by its whole name, case-insensitively, with or without an
 * argument; never inside quoted strings. NULL field: no.
 */
int etv_cache_control_has(const char *field, const char *name);

/**
 * As etv_cache_control_has, but only in its bare form, without an argument; private and no-cache
 * also with one that is no list of field names.
 */
int etv_cache_control_has_bare(const char *field, const char *name);

/**
 * The value without the named directives, written as etv_cache_control_merge does, duplicates kept.
 * @param names  NULL-terminated array of lower-case names
 * @return NULL when nothing is left; `field` itself when nothing was removed
 */
const char *etv_cache_control_without(apr_pool_t *p, const char *field, const char *const *names);

/**
 * Check a value that an administrator wrote: token or token=token or token="quoted", separated by
 * commas; known lifetimes must be whole seconds; public with private is a contradiction; a known
 * directive may stand once and has an argument only where its RFC gives it one.
 * @param normal  out: the value with single ", " separators and lower-case names, in `p`
 * @return NULL when it is right; else a sentence for the administrator, in `p`
 */
const char *etv_cache_control_check(apr_pool_t *p, const char *text, const char **normal);

#endif
