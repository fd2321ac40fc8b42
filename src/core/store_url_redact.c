/* SPDX-License-Identifier: Apache-2.0 */
/* What of an address may be shown; when in doubt it hides too much. */
#include <string.h>
#include <strings.h>

#include <apr_strings.h>

#include "core/store_url.h"

/* Whether a port stands behind the colon; of a single host, perhaps a database behind it. */
static int is_port(const char *colon, const char *end, int many)
{
    const char *tail = colon + 1 + strspn(colon + 1, "0123456789");

    if (many) {
        return tail > colon + 1 && tail >= end;
    }
    if (tail > colon + 1 && *tail == '/') {
        tail += 1 + strspn(tail + 1, "0123456789");
    }
    return tail > colon + 1 && (*tail == '\0' || *tail == '?');
}

/*
 * The colon in front of what stands where a port stands, but is none: the "@host" behind a password
 * may have been forgotten. NULL when all hosts look like such.
 */
static const char *find_no_port(const char *begin, int many)
{
    const char *hosts_end = begin + strcspn(begin, "/?#");

    for (;;) {
        const char *comma = many ? memchr(begin, ',', (apr_size_t)(hosts_end - begin)) : NULL;
        const char *end = comma ? comma : hosts_end;
        const char *close = memchr(begin, ']', (apr_size_t)(end - begin));
        const char *colon = begin;

        if (*begin != '[' || close) {
            const char *from = *begin == '[' ? close : begin;

            colon = memchr(from, ':', (apr_size_t)(end - from));
        } else if (begin + 1 + strspn(begin + 1, "0123456789abcdefABCDEF:.") >= end) {
            colon = NULL; /* an IPv6 address whose ] was forgotten */
        }
        if (colon && (colon == begin || !is_port(colon, end, many))) {
            return colon;
        }
        if (!comma) {
            return NULL;
        }
        begin = comma + 1;
    }
}

/* Where what has to be hidden begins and ends; 0 when nothing has to. */
static int find_secret(const char *text, const char **from, const char **to)
{
    const char *scheme = strstr(text, "://");
    const char *begin = scheme ? scheme + 3 : text;
    const char *end = strrchr(begin, '@');
    const char *colon;

    if (*begin == '/') {
        /* No authority, so no password; an "@" belongs to the path. */
        return 0;
    }
    if (end) {
        colon = memchr(begin, ':', (apr_size_t)(end - begin));
        *from = colon ? colon + 1 : begin;
        *to = end;
        return *from < *to;
    }
    colon = scheme ? find_no_port(begin, strncasecmp(text, "redis+sentinel:", 15) == 0) : NULL;
    if (!colon) {
        return 0;
    }
    *from = colon + 1;
    *to = colon + strlen(colon);
    return *from < *to;
}

/* The values of all parameters but those that are known to hold no secret. */
static const char *without_parameters(apr_pool_t *p, const char *text)
{
    static const char *const harmless[] = {"db=", "ca=", "cert=", "key="};
    const char *query = strchr(text, '?');
    const char *out;

    if (!query) {
        return text;
    }
    out = apr_pstrmemdup(p, text, (apr_size_t)(query - text));
    while (*query) {
        apr_size_t len = 1 + strcspn(query + 1, "&");
        apr_size_t shown = len;
        const char *equals = memchr(query, '=', len);

        if (equals) {
            shown = (apr_size_t)(equals + 1 - query);
            for (int i = 0; i < 4; i++) {
                if (strncmp(query + 1, harmless[i], strlen(harmless[i])) == 0) {
                    shown = len;
                }
            }
        }
        out = apr_psprintf(p, "%s%.*s%s", out, (int)shown, query, shown < len ? "***" : "");
        query += len;
    }
    return out;
}

const char *etv_store_url_redact(apr_pool_t *p, const char *text)
{
    const char *from, *to;

    if (find_secret(text, &from, &to)) {
        text = apr_pstrcat(p, apr_pstrmemdup(p, text, (apr_size_t)(from - text)), "***", to, NULL);
    }
    return without_parameters(p, text);
}
