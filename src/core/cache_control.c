/* SPDX-License-Identifier: Apache-2.0 */
#include "core/cache_control.h"

#include <string.h>

#include <apr_strings.h>

#include "core/cache_directive.h"
#include "core/http_text.h"

static int has(const char *field, const char *name, int only_bare)
{
    apr_size_t len = strlen(name);
    etv_cache_directive_t d;

    while (field && etv_cache_directive_next(&field, &d)) {
        if (etv_http_text_same_name(d.name, d.name_len, name, len)) {
            etv_cache_directive_kind_e kind = etv_cache_directive_kind(&d);

            if (!only_bare || d.arg_kind == ETV_CACHE_ARG_NONE ||
                ((kind == ETV_CACHE_PRIVATE || kind == ETV_CACHE_NO_CACHE) &&
                 !etv_cache_directive_has_field_list(&d))) {
                return 1;
            }
        }
    }
    return 0;
}

int etv_cache_control_has(const char *field, const char *name)
{
    return has(field, name, 0);
}

int etv_cache_control_has_bare(const char *field, const char *name)
{
    return has(field, name, 1);
}

static int is_among(const etv_cache_directive_t *d, const char *const *names)
{
    for (; *names; names++) {
        if (etv_http_text_same_name(d->name, d->name_len, *names, strlen(*names))) {
            return 1;
        }
    }
    return 0;
}

const char *etv_cache_control_without(apr_pool_t *p, const char *field, const char *const *names)
{
    const char *cursor = field;
    etv_cache_directive_t d;
    apr_size_t size = 1;
    int removed = 0, kept = 0;
    char *text, *at;

    while (cursor && etv_cache_directive_next(&cursor, &d)) {
        if (is_among(&d, names)) {
            removed++;
        } else {
            kept++;
            size += etv_cache_directive_written_most(&d);
        }
    }
    if (!removed) {
        return field;
    }
    if (!kept) {
        return NULL;
    }
    at = text = apr_palloc(p, size);
    for (cursor = field; etv_cache_directive_next(&cursor, &d);) {
        if (!is_among(&d, names)) {
            etv_cache_directive_repair(&d, p);
            at = etv_cache_directive_write(at, &d, at == text);
        }
    }
    *at = '\0';
    return text;
}

/* What is wrong with a well-formed directive, NULL when nothing is. */
static const char *check_directive(apr_pool_t *p, const etv_cache_directive_t *d)
{
    etv_cache_directive_kind_e kind = etv_cache_directive_kind(d);
    int name_len = (int)d->name_len;

    if (kind < ETV_CACHE_LIFETIMES) {
        apr_int64_t n = etv_cache_directive_seconds(d);

        if (n == ETV_CACHE_ABSENT) {
            return apr_psprintf(p, "%.*s takes whole seconds, as in %.*s=60", name_len, d->name,
                                name_len, d->name);
        }
        if (n >= ETV_CACHE_SECONDS_MOST) {
            return apr_psprintf(p, "%.*s takes at most 2147483647 seconds", name_len, d->name);
        }
    } else if (kind < ETV_CACHE_LISTS_END) {
        if (d->arg_kind != ETV_CACHE_ARG_NONE && !etv_cache_directive_has_field_list(d)) {
            return apr_psprintf(p,
                                "%.*s takes no argument or a list of field names, as in "
                                "%.*s=\"Set-Cookie\"",
                                name_len, d->name, name_len, d->name);
        }
    } else if (kind != ETV_CACHE_UNKNOWN && d->arg_kind != ETV_CACHE_ARG_NONE) {
        return apr_psprintf(p, "%.*s takes no argument", name_len, d->name);
    }
    return NULL;
}

static const char *check_member(apr_pool_t *p, const char **cursor, etv_cache_directive_t *d)
{
    const char *start = etv_http_text_skip_ows(*cursor);

    if (!etv_cache_directive_next(cursor, d) || d->name != start) {
        return *start == '\0' || *start == ','
                   ? "a directive is missing at a comma or at the end"
                   : apr_psprintf(p, "\"%s\" does not begin with a directive's name", start);
    }
    if (d->arg_kind == ETV_CACHE_ARG_MALFORMED ||
        (d->arg_kind == ETV_CACHE_ARG_NONE && *cursor != d->name + d->name_len)) {
        return apr_psprintf(p,
                            "\"%.*s\" must be written as name, name=token or name=\"text\", "
                            "without white space around \"=\"",
                            (int)(*cursor - d->name), d->name);
    }
    *cursor = etv_http_text_skip_ows(*cursor);
    if (**cursor != '\0' && **cursor != ',') {
        return apr_psprintf(p, "a comma is missing before \"%s\"", *cursor);
    }
    return check_directive(p, d);
}

const char *etv_cache_control_check(apr_pool_t *p, const char *text, const char **normal)
{
    etv_cache_directive_t d;
    const char *wrong;
    const char *cursor = text;
    int seen[ETV_CACHE_KNOWN] = {0};
    char *out, *at;

    if (*etv_http_text_skip_ows(text) == '\0') {
        return "at least one Cache-Control directive is expected, as in max-age=60";
    }
    at = out = apr_palloc(p, 3 * strlen(text) + 8);
    for (int count = 0;; cursor++) {
        etv_cache_directive_kind_e kind;

        if ((wrong = check_member(p, &cursor, &d))) {
            return wrong;
        }
        kind = etv_cache_directive_kind(&d);
        if (kind != ETV_CACHE_UNKNOWN && seen[kind]++) {
            return apr_psprintf(p, "%s is written twice", etv_cache_directive_name(kind));
        }
        if (++count > ETV_CACHE_CONTROL_MOST) {
            return apr_psprintf(p, "there are more than %d directives", ETV_CACHE_CONTROL_MOST);
        }
        at = etv_cache_directive_write(at, &d, at == out);
        if (*cursor == '\0') {
            break;
        }
    }
    if (seen[ETV_CACHE_PUBLIC] && seen[ETV_CACHE_PRIVATE]) {
        return "public and private contradict each other";
    }
    *at = '\0';
    *normal = out;
    return NULL;
}
