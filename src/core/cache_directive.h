/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The single directives of a Cache-Control value: reading, judging, writing. For cache_control.h,
 * whose head says how malformed values are read. Pure, safe in any thread.
 */
#ifndef ETV_CORE_CACHE_DIRECTIVE_H
#define ETV_CORE_CACHE_DIRECTIVE_H

#include <apr.h>
#include <apr_pools.h>

/** RFC 9111 §1.2.2: a delta-seconds too large to hold counts as this. */
#define ETV_CACHE_SECONDS_MOST APR_INT64_C(2147483648)
/** In place of a lifetime: none. */
#define ETV_CACHE_ABSENT APR_INT64_C(-1)

typedef enum {
    ETV_CACHE_ARG_NONE,
    ETV_CACHE_ARG_TOKEN,
    ETV_CACHE_ARG_QUOTED,
    ETV_CACHE_ARG_MALFORMED
} etv_cache_directive_arg_e;

/** The directives that we know; the lifetimes first, then those with lists of fields. */
typedef enum {
    ETV_CACHE_MAX_AGE,
    ETV_CACHE_S_MAXAGE,
    ETV_CACHE_STALE_WHILE_REVALIDATE,
    ETV_CACHE_STALE_IF_ERROR,
    ETV_CACHE_LIFETIMES,
    ETV_CACHE_NO_CACHE = ETV_CACHE_LIFETIMES,
    ETV_CACHE_PRIVATE,
    ETV_CACHE_LISTS_END,
    ETV_CACHE_NO_STORE = ETV_CACHE_LISTS_END,
    ETV_CACHE_PUBLIC,
    ETV_CACHE_IMMUTABLE,
    ETV_CACHE_MUST_REVALIDATE,
    ETV_CACHE_PROXY_REVALIDATE,
    ETV_CACHE_MUST_UNDERSTAND,
    ETV_CACHE_NO_TRANSFORM,
    ETV_CACHE_KNOWN, /**< how many there are */
    ETV_CACHE_UNKNOWN = ETV_CACHE_KNOWN
} etv_cache_directive_kind_e;

/** One directive. The texts point into the value and are not terminated. */
typedef struct {
    const char *name;
    apr_size_t name_len;
    etv_cache_directive_arg_e arg_kind;
    const char *arg; /**< NULL without one; raw: without its quotes, with its escapes */
    apr_size_t arg_len;
} etv_cache_directive_t;

/** @return 1 and the next directive, the cursor behind it; 0 at the end */
int etv_cache_directive_next(const char **cursor, etv_cache_directive_t *d);

/** Which directive of ours it is, by its whole name, case-insensitively. */
etv_cache_directive_kind_e etv_cache_directive_kind(const etv_cache_directive_t *d);

/** The lower-case name of a known kind. */
const char *etv_cache_directive_name(etv_cache_directive_kind_e kind);

/** The argument as whole seconds, at most ETV_CACHE_SECONDS_MOST; ETV_CACHE_ABSENT when it is none.
 */
apr_int64_t etv_cache_directive_seconds(const etv_cache_directive_t *d);

/**
 * Whether the argument of private or no-cache is a list of field names, which limits the directive
 * to these fields (RFC 9111 §5.2.2.4, §5.2.2.7). With anything else the directive counts as bare,
 * which is stricter.
 */
int etv_cache_directive_has_field_list(const etv_cache_directive_t *d);

/** Make a malformed argument a quoted-string of the same characters, controls turned to spaces. */
void etv_cache_directive_repair(etv_cache_directive_t *d, apr_pool_t *p);

/** The most characters that etv_cache_directive_write needs, repair included, without a NUL. */
apr_size_t etv_cache_directive_written_most(const etv_cache_directive_t *d);

/**
 * Write a directive whose argument is not malformed, its name in lower case.
 * @param first  0: a comma and a space go before it
 * @return behind the last character; no NUL is written
 */
char *etv_cache_directive_write(char *at, const etv_cache_directive_t *d, int first);

#endif
