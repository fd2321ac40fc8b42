/* SPDX-License-Identifier: Apache-2.0 */
#include "core/token.h"

#include <string.h>

#include "core/hash.h"

apr_uint64_t etv_token_make(apr_time_t now_us, apr_uint32_t random)
{
    apr_uint64_t us = now_us > 0 ? (apr_uint64_t)now_us : 0;

    return us * 1000u + random % 1000u;
}

apr_uint64_t etv_token_after(apr_uint64_t last, apr_time_t now_us, apr_uint32_t random)
{
    apr_uint64_t token = etv_token_make(now_us, random);

    return token > last ? token : last + 1;
}

apr_size_t etv_token_format(char text[ETV_TOKEN_TEXT_ROOM], apr_uint64_t token)
{
    char digits[ETV_TOKEN_TEXT_ROOM];
    char *start = digits + sizeof(digits);
    apr_size_t len;

    do {
        *--start = (char)('0' + token % 10);
        token /= 10;
    } while (token);
    len = (apr_size_t)(digits + sizeof(digits) - start);
    memcpy(text, start, len);
    text[len] = '\0';
    return len;
}

apr_size_t etv_token_shorten(unsigned char out[ETV_TOKEN_SHORT_MOST], const void *token,
                             apr_size_t len)
{
    if (len < ETV_TOKEN_SHORT_MOST) {
        memcpy(out, token, len);
        return len;
    }
    etv_hash_digest(out, ETV_TOKEN_SHORT_MOST, token, len);
    return ETV_TOKEN_SHORT_MOST;
}
