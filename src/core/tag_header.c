/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tag_header.h"

#include <string.h>

#include "core/http_text.h"

typedef struct {
    const char *field;
    apr_size_t most;
    const char *separator;
    const char *separators; /* what its readers split at */
} syntax_t;

/*
 * Fastly reads keys that lie within the first 16,384 bytes, Cloudflare 16 KB of tags. Varnish takes
 * header lines of 8,192 bytes by default (http_resp_hdr_len), name and colon included.
 */
static const syntax_t syntaxes[] = {
    {"Surrogate-Key", 16384, " ", " \t"},
    {"xkey", 8192 - sizeof("xkey: \r\n"), " ", " \t,"},
    {"Cache-Tag", 16384, ",", ","},
};

static const syntax_t *syntax_of(etv_tag_header_e kind)
{
    return &syntaxes[kind - 1];
}

const char *etv_tag_header_field(etv_tag_header_e kind)
{
    return syntax_of(kind)->field;
}

apr_size_t etv_tag_header_most(etv_tag_header_e kind)
{
    return syntax_of(kind)->most;
}

const char *etv_tag_header_separator(etv_tag_header_e kind)
{
    return syntax_of(kind)->separator;
}

static int stands_for_itself(char c)
{
    return c > 0x20 && c < 0x7f && c != ',' && c != '%';
}

static apr_size_t encode(char *to, const char *name, apr_size_t len)
{
    static const char digits[] = "0123456789ABCDEF";
    char *at = to;

    for (apr_size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)name[i];

        if (stands_for_itself(name[i])) {
            *at++ = name[i];
            continue;
        }
        *at++ = '%';
        *at++ = digits[c >> 4];
        *at++ = digits[c & 15];
    }
    *at = '\0';
    return (apr_size_t)(at - to);
}

const char *etv_tag_header_encode(apr_pool_t *p, const char *name, apr_size_t len)
{
    char *text = apr_palloc(p, 3 * len + 1);

    encode(text, name, len);
    return text;
}

/* Whether a list has a member. Caches disagree on case, so it must be the same bytes. */
static int has(const char *list, const char *separators, const char *member, apr_size_t len)
{
    while (*list) {
        const char *end;

        list += strspn(list, separators);
        list = etv_http_text_skip_ows(list);
        end = list + strcspn(list, separators);
        if ((apr_size_t)(end - list) >= len && memcmp(list, member, len) == 0 &&
            etv_http_text_skip_ows(list + len) >= end)
            return 1;
        list = end;
    }
    return 0;
}

static apr_size_t longest(const char *present, const etv_tag_header_name_t *names, int n)
{
    apr_size_t size = strlen(present) + 1;

    for (int i = 0; i < n; i++)
        size += 3 * names[i].len + 1;
    return size;
}

const char *etv_tag_header_value(apr_pool_t *p, etv_tag_header_e kind, const char *present,
                                 const etv_tag_header_name_t *names, int n)
{
    const syntax_t *syntax = syntax_of(kind);
    apr_size_t len, from;
    char *value;

    present = present ? present : "";
    from = len = strlen(present);
    value = apr_palloc(p, longest(present, names, n) + 1);
    memcpy(value, present, len + 1);
    for (int i = 0; i < n; i++) {
        /* behind the end of the list so far, with room for what goes between */
        char *member = value + len + 1;
        apr_size_t member_len;

        if (!names[i].len)
            continue;
        member_len = encode(member, names[i].name, names[i].len);
        if (member_len > ETV_TAG_HEADER_NAME_MOST)
            return NULL;
        if (has(value, syntax->separators, member, member_len))
            continue;
        if (len)
            value[len++] = *syntax->separator;
        memmove(value + len, member, member_len + 1);
        len += member_len;
    }
    if (len == from)
        return present;
    return len <= syntax->most ? value : NULL;
}
