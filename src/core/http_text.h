/* SPDX-License-Identifier: Apache-2.0 */
/** Characters and names of HTTP field values (RFC 9110 §5.6), for the parsers of this folder. */
#ifndef ETV_CORE_HTTP_TEXT_H
#define ETV_CORE_HTTP_TEXT_H

#include <apr.h>
#include <strings.h>

/** OWS, RFC 9110 §5.6.3. */
static inline int etv_http_text_is_ows(char c)
{
    return c == ' ' || c == '\t';
}

/** The first character that is not OWS. */
static inline const char *etv_http_text_skip_ows(const char *at)
{
    while (etv_http_text_is_ows(*at)) {
        at++;
    }
    return at;
}

/** tchar, RFC 9110 §5.6.2. */
static inline int etv_http_text_is_tchar(char c)
{
    /* One bit for each of the 128 characters of ASCII. */
    static const apr_uint64_t map[2] = {APR_UINT64_C(0x3ff6cfa00000000),
                                        APR_UINT64_C(0x57ffffffc7fffffe)};
    unsigned char u = (unsigned char)c;

    return u < 128 && ((map[u >> 6] >> (u & 63)) & 1);
}

/** Controls and DEL: never part of a field value, HTAB aside (RFC 9110 §5.5). */
static inline int etv_http_text_is_control(char c)
{
    unsigned char u = (unsigned char)c;

    return (u < 0x20 && u != '\t') || u == 0x7f;
}

/** The value of a hexadecimal digit (RFC 3986 §2.1); -1 when it is none. */
static inline int etv_http_text_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/** Whether two names of known length are the same, case-insensitively. */
static inline int etv_http_text_same_name(const char *a, apr_size_t a_len, const char *b,
                                          apr_size_t b_len)
{
    return a_len == b_len && strncasecmp(a, b, a_len) == 0;
}

#endif
