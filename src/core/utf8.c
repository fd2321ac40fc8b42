/* SPDX-License-Identifier: Apache-2.0 */
#include "core/utf8.h"

/* RFC 3629 §4: the second byte decides about over-long forms, surrogates, and what is above
 * U+10FFFF. */
static int is_second(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xe0:
        return second >= 0xa0 && second <= 0xbf;
    case 0xed:
        return second >= 0x80 && second <= 0x9f;
    case 0xf0:
        return second >= 0x90 && second <= 0xbf;
    case 0xf4:
        return second >= 0x80 && second <= 0x8f;
    default:
        return second >= 0x80 && second <= 0xbf;
    }
}

apr_size_t etv_utf8_character(const char *bytes, apr_size_t left)
{
    const unsigned char *text = (const unsigned char *)bytes;
    apr_size_t n = 1;

    if (*text < 0x80)
        return 1;
    if (*text >= 0xc2 && *text <= 0xdf)
        n = 2;
    else if (*text >= 0xe0 && *text <= 0xef)
        n = 3;
    else if (*text >= 0xf0 && *text <= 0xf4)
        n = 4;
    if (n == 1 || n > left || !is_second(text[0], text[1]))
        return 0;
    for (apr_size_t i = 2; i < n; i++) {
        if (text[i] < 0x80 || text[i] > 0xbf)
            return 0;
    }
    return n;
}

apr_size_t etv_utf8_step(const char *text, apr_size_t left, int *shows)
{
    apr_size_t n = etv_utf8_character(text, left);
    unsigned char c = (unsigned char)*text;

    *shows = n == 1 ? c >= 0x20 && c != 0x7f : n > 0;
    if (n == 2 && c == 0xc2 && (unsigned char)text[1] < 0xa0)
        *shows = 0;
    return n ? n : 1;
}
