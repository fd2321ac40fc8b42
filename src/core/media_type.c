/* SPDX-License-Identifier: Apache-2.0 */
#include "core/media_type.h"

#include <string.h>

#include "core/http_text.h"

/* A media type's two tokens, not terminated. */
typedef struct {
    const char *type;
    apr_size_t type_len;
    const char *subtype;
    apr_size_t subtype_len;
} media_type_t;

/* The characters of a token at `at`; 0 when none begins there. */
static apr_size_t token_len(const char *at)
{
    const char *end = at;

    while (etv_http_text_is_tchar(*end)) {
        end++;
    }
    return (apr_size_t)(end - at);
}

/**
 * Read `type/subtype` at the beginning of a text.
 * @return what follows it, NULL when it is not there
 */
static const char *read_media_type(const char *text, media_type_t *media)
{
    media->type = text;
    media->type_len = token_len(text);
    if (media->type_len == 0 || text[media->type_len] != '/') {
        return NULL;
    }
    media->subtype = text + media->type_len + 1;
    media->subtype_len = token_len(media->subtype);
    return media->subtype_len ? media->subtype + media->subtype_len : NULL;
}

/* Content-Type's value: OWS around the media type, then the end or parameters. */
static int read_content_type(const char *value, media_type_t *media)
{
    const char *rest;

    if (!value) {
        return 0;
    }
    rest = read_media_type(etv_http_text_skip_ows(value), media);
    if (!rest) {
        return 0;
    }
    rest = etv_http_text_skip_ows(rest);
    return *rest == '\0' || *rest == ';';
}

static int is_any(const char *pattern)
{
    return strcmp(pattern, "*") == 0;
}

/* An asterisk is a token's character, too (§5.6.2): in a pattern it stands only where it means
 * something, so that nobody waits for a pattern to match that never can. */
static int read_pattern(const char *pattern, media_type_t *media)
{
    const char *rest = read_media_type(pattern, media);
    const char *subtype;

    if (!rest || *rest != '\0' || memchr(media->type, '*', media->type_len)) {
        return 0;
    }
    subtype = media->subtype;
    if (*subtype == '*') {
        if (subtype[1] == '\0') {
            return 1;
        }
        if (subtype[1] != '+' || subtype[2] == '\0') {
            return 0;
        }
        subtype++;
    }
    return !strchr(subtype, '*');
}

int etv_media_type_is_pattern(const char *pattern)
{
    media_type_t media;

    return is_any(pattern) || read_pattern(pattern, &media);
}

int etv_media_type_matches(const char *content_type, const char *pattern)
{
    media_type_t media, wanted;
    apr_size_t suffix_len;

    if (is_any(pattern)) {
        return 1;
    }
    if (!read_pattern(pattern, &wanted) || !read_content_type(content_type, &media) ||
        !etv_http_text_same_name(media.type, media.type_len, wanted.type, wanted.type_len)) {
        return 0;
    }
    if (*wanted.subtype != '*') {
        return etv_http_text_same_name(media.subtype, media.subtype_len, wanted.subtype,
                                       wanted.subtype_len);
    }
    /* the suffix with its `+`, which something stands before; or nothing */
    suffix_len = wanted.subtype_len - 1;
    return media.subtype_len > suffix_len &&
           strncasecmp(media.subtype + media.subtype_len - suffix_len, wanted.subtype + 1,
                       suffix_len) == 0;
}

static int is(const media_type_t *media, const char *type, const char *subtype)
{
    return etv_http_text_same_name(media->type, media->type_len, type, strlen(type)) &&
           etv_http_text_same_name(media->subtype, media->subtype_len, subtype, strlen(subtype));
}

int etv_media_type_is_stream(const char *content_type)
{
    media_type_t media;

    if (!content_type || !read_media_type(etv_http_text_skip_ows(content_type), &media)) {
        return 0;
    }
    return is(&media, "text", "event-stream") || is(&media, "multipart", "x-mixed-replace") ||
           (etv_http_text_same_name(media.type, media.type_len, "application", 11) &&
            strncasecmp(media.subtype, "grpc", 4) == 0);
}
