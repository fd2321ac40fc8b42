/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_fuzz.h"

#include <apr_strings.h>

#include "core/media_type.h"

/* The other case of every ASCII letter. */
static char *swapped(apr_pool_t *p, const char *text)
{
    char *copy = apr_pstrdup(p, text);

    for (char *at = copy; *at; at++) {
        if ((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z')) {
            *at ^= 0x20;
        }
    }
    return copy;
}

static void check_pattern(apr_pool_t *p, const char *pattern)
{
    int is = etv_media_type_is_pattern(pattern);
    const char *slash = strchr(pattern, '/');

    ETV_MUST(is == 0 || is == 1);
    ETV_MUST(etv_media_type_is_pattern(swapped(p, pattern)) == is);
    ETV_MUST(!etv_media_type_is_pattern(apr_pstrcat(p, pattern, ";", NULL)));
    ETV_MUST(!etv_media_type_is_pattern(apr_pstrcat(p, " ", pattern, NULL)));
    if (!is) {
        return;
    }
    ETV_MUST(etv_media_type_matches(NULL, pattern) == (strcmp(pattern, "*") == 0));
    if (!slash) {
        ETV_MUST(strcmp(pattern, "*") == 0);
        return;
    }
    /* what it means, put into words */
    if (slash[1] != '*') {
        ETV_MUST(etv_media_type_matches(pattern, pattern));
        ETV_MUST(!etv_media_type_matches(apr_pstrcat(p, pattern, "x", NULL), pattern));
    } else {
        char *start = apr_pstrmemdup(p, pattern, (apr_size_t)(slash + 1 - pattern));

        ETV_MUST(etv_media_type_matches(apr_pstrcat(p, start, "x", slash + 2, NULL), pattern));
        ETV_MUST(!etv_media_type_matches(apr_pstrcat(p, start, slash + 2, NULL), pattern));
        ETV_MUST(!etv_media_type_matches(apr_pstrcat(p, "x", start, "x", NULL), pattern));
    }
}

static void check_match(apr_pool_t *p, const char *type, const char *pattern)
{
    int yes = etv_media_type_matches(type, pattern);
    const char *longer = apr_pstrcat(p, "\t", type, " ;", pattern, NULL);

    ETV_MUST(yes == 0 || yes == 1);
    ETV_MUST(etv_media_type_matches(type, "*"));
    ETV_MUST(!yes || etv_media_type_is_pattern(pattern));
    ETV_MUST(etv_media_type_matches(swapped(p, type), pattern) == yes);
    ETV_MUST(etv_media_type_matches(type, swapped(p, pattern)) == yes);
    ETV_MUST(strchr(type, ';') || etv_media_type_matches(longer, pattern) == yes);
    ETV_MUST(!yes || etv_media_type_matches(longer, pattern));
    if (yes && strcmp(pattern, "*") != 0) {
        char *any = apr_pstrcat(p, pattern, NULL);

        strcpy(strchr(any, '/') + 1, "*");
        ETV_MUST(etv_media_type_matches(type, any));
    }
}

static void check_stream(apr_pool_t *p, const char *type)
{
    int is = etv_media_type_is_stream(type);

    ETV_MUST(is == 0 || is == 1);
    ETV_MUST(etv_media_type_is_stream(swapped(p, type)) == is);
    ETV_MUST(etv_media_type_is_stream(apr_pstrcat(p, " ", type, ", x", NULL)) == is);
    /* every value that begins with one is a stream, however it goes on */
    ETV_MUST(etv_media_type_is_stream(apr_pstrcat(p, "text/event-stream;", type, NULL)));
    ETV_MUST(etv_media_type_is_stream(apr_pstrcat(p, "application/grpc", type, NULL)));
    if (etv_media_type_matches(type, "text/event-stream") ||
        etv_media_type_matches(type, "multipart/x-mixed-replace") ||
        etv_media_type_matches(type, "application/grpc")) {
        ETV_MUST(is);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = etv_fuzz_pool();
    char *type = etv_fuzz_line(&data, &size);
    char *pattern = etv_fuzz_line(&data, &size);

    if (type) {
        check_stream(p, type);
        check_pattern(p, type);
    }
    if (pattern) {
        check_pattern(p, pattern);
        check_match(p, type, pattern);
    }
    free(type);
    free(pattern);
    return 0;
}
