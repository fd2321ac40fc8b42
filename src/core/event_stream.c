/* SPDX-License-Identifier: Apache-2.0 */
#include "core/event_stream.h"

#include <stdio.h>
#include <string.h>

#include "core/utf8.h"

#define NONCE_DIGITS 16
/* Every number of so many digits fits. */
#define NUMBER_DIGITS 18

/* --- ids --- */

void etv_event_id_write(char id[ETV_EVENT_ID_ROOM], apr_uint64_t nonce, apr_uint64_t number)
{
    snprintf(id, ETV_EVENT_ID_ROOM, "%016" APR_UINT64_T_HEX_FMT "-%" APR_UINT64_T_FMT, nonce,
             number);
}

int etv_event_id_read(const char *id, apr_uint64_t *nonce, apr_uint64_t *number)
{
    const char *digits = id + NONCE_DIGITS + 1;
    apr_size_t n;

    *nonce = *number = 0;
    if (strspn(id, "0123456789abcdef") != NONCE_DIGITS || id[NONCE_DIGITS] != '-')
        return 0;
    for (; *id != '-'; id++)
        *nonce = *nonce << 4 | (apr_uint64_t)(*id <= '9' ? *id - '0' : *id - 'a' + 10);
    n = strspn(digits, "0123456789");
    if (!n || n > NUMBER_DIGITS || digits[n])
        return 0;
    for (; *digits; digits++)
        *number = *number * 10 + (apr_uint64_t)(*digits - '0');
    return 1;
}

/* --- names --- */

apr_size_t etv_event_quote(char *out, const char *name, apr_size_t len)
{
    char *to = out;

    *to++ = '"';
    for (apr_size_t i = 0, n; i < len; i += n ? n : 1) {
        unsigned char c = (unsigned char)name[i];

        n = etv_utf8_character(name + i, len - i);
        if (!n) {
            to += sprintf(to, "\\ufffd");
        } else if (c < 0x20 || c == 0x7f) {
            to += sprintf(to, "\\u%04x", c);
        } else {
            if (c == '"' || c == '\\')
                *to++ = '\\';
            memcpy(to, name + i, n);
            to += n;
        }
    }
    *to++ = '"';
    *to = '\0';
    return (apr_size_t)(to - out);
}
