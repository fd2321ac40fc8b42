/* SPDX-License-Identifier: Apache-2.0 */
#include "core/cache_directive.h"

#include <string.h>

#include "core/http_text.h"
#include "core/vary.h"

typedef etv_cache_directive_t directive_t;

static const struct {
    const char *name;
    apr_size_t len;
} known[ETV_CACHE_KNOWN] = {
    {"max-age", 7},
    {"s-maxage", 8},
    {"stale-while-revalidate", 22},
    {"stale-if-error", 14},
    {"no-cache", 8},
    {"private", 7},
    {"no-store", 8},
    {"public", 6},
    {"immutable", 9},
    {"must-revalidate", 15},
    {"proxy-revalidate", 16},
    {"must-understand", 15},
    {"no-transform", 12},
};

static int ends_member(char c)
{
    return c == ',' || c == '\0' || etv_http_text_is_ows(c);
}

/**
 * The end of a quoted-string (RFC 9110 §5.6.4) that begins at `at`, behind its closing quote.
 * @return NULL when it is none: not closed, or followed by something that does not end a member
 */
static const char *quoted_end(const char *at)
{
    for (at++; *at != '"'; at++) {
        if (*at == '\\') {
            at++;
        }
        if (*at == '\0' || etv_http_text_is_control(*at)) {
            return NULL;
        }
    }
    return ends_member(at[1]) ? at + 1 : NULL;
}

/* Read the argument at `at`. A kind that is malformed already stays so. */
static const char *read_arg(const char *at, directive_t *d)
{
    const char *end;
    etv_cache_directive_arg_e kind;

    if (*at == '"' && (end = quoted_end(at))) {
        kind = ETV_CACHE_ARG_QUOTED;
        d->arg = at + 1;
        d->arg_len = (apr_size_t)(end - at) - 2;
    } else {
        kind = ends_member(*at) ? ETV_CACHE_ARG_MALFORMED : ETV_CACHE_ARG_TOKEN;
        for (end = at; !ends_member(*end); end++) {
            if (!etv_http_text_is_tchar(*end)) {
                kind = ETV_CACHE_ARG_MALFORMED;
            }
        }
        d->arg = at;
        d->arg_len = (apr_size_t)(end - at);
    }
    if (d->arg_kind != ETV_CACHE_ARG_MALFORMED) {
        d->arg_kind = kind;
    }
    return end;
}

/* Go to where a directive's name begins, or to the end of the text. */
static const char *skip_to_name(const char *at)
{
    for (;;) {
        const char *end = NULL;

        while (*at == ',' || etv_http_text_is_ows(*at)) {
            at++;
        }
        if (*at == '\0' || etv_http_text_is_tchar(*at)) {
            return at;
        }
        if (*at == '"') {
            end = quoted_end(at);
        }
        if (!end) {
            for (end = at; !ends_member(*end); end++) {
            }
        }
        at = end;
    }
}

/* Linear although quoted_end may look ahead in vain: a quote that opens a string stands behind "=",
 * a comma or white space, so it is not escaped for an earlier search and ends that one. */
int etv_cache_directive_next(const char **cursor, directive_t *d)
{
    const char *at = skip_to_name(*cursor);
    const char *equals;

    *cursor = at;
    if (*at == '\0') {
        return 0;
    }
    d->name = at;
    while (etv_http_text_is_tchar(*at)) {
        at++;
    }
    d->name_len = (apr_size_t)(at - d->name);
    d->arg_kind = ETV_CACHE_ARG_NONE;
    d->arg = NULL;
    d->arg_len = 0;
    equals = etv_http_text_skip_ows(at);
    if (*equals == '=') {
        /* RFC 9111 §5.2 has no white space around "=": before it, the argument proves nothing;
         * behind it, it may as well be the next directive. */
        if (equals != at) {
            d->arg_kind = ETV_CACHE_ARG_MALFORMED;
        }
        at = read_arg(equals + 1, d);
    } else {
        while (!ends_member(*at)) {
            at++;
        }
    }
    *cursor = at;
    return 1;
}

etv_cache_directive_kind_e etv_cache_directive_kind(const directive_t *d)
{
    for (int i = 0; i < ETV_CACHE_KNOWN; i++) {
        if (etv_http_text_same_name(d->name, d->name_len, known[i].name, known[i].len)) {
            return (etv_cache_directive_kind_e)i;
        }
    }
    return ETV_CACHE_UNKNOWN;
}

const char *etv_cache_directive_name(etv_cache_directive_kind_e kind)
{
    return known[kind].name;
}

apr_int64_t etv_cache_directive_seconds(const directive_t *d)
{
    apr_int64_t n = 0;

    /* RFC 9111 §5.2: the token and the quoted-string form mean the same. */
    if (d->arg_len == 0 || d->arg_kind == ETV_CACHE_ARG_MALFORMED) {
        return ETV_CACHE_ABSENT;
    }
    for (apr_size_t i = 0; i < d->arg_len; i++) {
        if (d->arg[i] < '0' || d->arg[i] > '9') {
            return ETV_CACHE_ABSENT;
        }
        n = n * 10 + (d->arg[i] - '0');
        if (n > ETV_CACHE_SECONDS_MOST) {
            n = ETV_CACHE_SECONDS_MOST;
        }
    }
    return n;
}

int etv_cache_directive_has_field_list(const directive_t *d)
{
    const char *at = d->arg;
    const char *end;
    int names = 0;

    if (d->arg_kind != ETV_CACHE_ARG_TOKEN && d->arg_kind != ETV_CACHE_ARG_QUOTED) {
        return 0;
    }
    for (end = at + d->arg_len;;) {
        while (at < end && (*at == ',' || etv_http_text_is_ows(*at))) {
            at++;
        }
        if (at == end) {
            return names > 0 && names <= ETV_VARY_MOST;
        }
        names++;
        while (at < end && etv_http_text_is_tchar(*at) && *at != '*') {
            at++;
        }
        while (at < end && etv_http_text_is_ows(*at)) {
            at++;
        }
        /* Two words, an escape, or `*`: all fields, as the bare form says. */
        if (at < end && *at != ',') {
            return 0;
        }
    }
}

void etv_cache_directive_repair(directive_t *d, apr_pool_t *p)
{
    char *text, *at;

    if (d->arg_kind != ETV_CACHE_ARG_MALFORMED) {
        return;
    }
    at = text = apr_palloc(p, 2 * d->arg_len + 1);
    for (apr_size_t i = 0; i < d->arg_len; i++) {
        char c = d->arg[i];

        if (c == '"' || c == '\\') {
            *at++ = '\\';
        }
        *at++ = etv_http_text_is_control(c) ? ' ' : c;
    }
    *at = '\0';
    d->arg = text;
    d->arg_len = (apr_size_t)(at - text);
    d->arg_kind = ETV_CACHE_ARG_QUOTED;
}

apr_size_t etv_cache_directive_written_most(const directive_t *d)
{
    return 2 + d->name_len + 3 + 2 * d->arg_len;
}

char *etv_cache_directive_write(char *at, const directive_t *d, int first)
{
    if (!first) {
        *at++ = ',';
        *at++ = ' ';
    }
    for (apr_size_t i = 0; i < d->name_len; i++) {
        char c = d->name[i];

        *at++ = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    if (d->arg_kind == ETV_CACHE_ARG_NONE) {
        return at;
    }
    *at++ = '=';
    if (d->arg_kind == ETV_CACHE_ARG_QUOTED) {
        *at++ = '"';
    }
    if (d->arg_len) {
        memcpy(at, d->arg, d->arg_len);
        at += d->arg_len;
    }
    if (d->arg_kind == ETV_CACHE_ARG_QUOTED) {
        *at++ = '"';
    }
    return at;
}
