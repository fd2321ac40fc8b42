/* SPDX-License-Identifier: Apache-2.0 */
#include "core/version_json.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <apr_base64.h>

/* What counts as plausible: 2015 to 2100, in seconds of 1970. */
#define SECONDS_LEAST APR_UINT64_C(1420070400)
#define SECONDS_MOST  APR_UINT64_C(4102444800)
#define PER_SECOND    APR_UINT64_C(1000000000)

/* As many digits as all plausible times have. */
#define DIGITS 19

int etv_version_time(char text[ETV_VERSION_TIME_ROOM], const void *token, apr_size_t len)
{
    const char *digits = token;
    apr_uint64_t number = 0;
    time_t seconds;
    struct tm tm;
    apr_size_t written;

    if (len != DIGITS)
        return 0;
    for (apr_size_t i = 0; i < len; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return 0;
        number = number * 10 + (apr_uint64_t)(digits[i] - '0');
    }
    if (number / PER_SECOND < SECONDS_LEAST || number / PER_SECOND >= SECONDS_MOST)
        return 0;
    seconds = (time_t)(number / PER_SECOND);
    if (!gmtime_r(&seconds, &tm))
        return 0;
    written = strftime(text, ETV_VERSION_TIME_ROOM, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + written, ETV_VERSION_TIME_ROOM - written, ".%06uZ",
             (unsigned)(number % PER_SECOND / 1000));
    return 1;
}

static int is_visible(const unsigned char *token, apr_size_t len)
{
    for (apr_size_t i = 0; i < len; i++) {
        if (token[i] <= ' ' || token[i] > '~')
            return 0;
    }
    return len > 0;
}

void etv_version_json_add(json_t *object, const void *token, apr_size_t len)
{
    char time[ETV_VERSION_TIME_ROOM];
    char base64[ETV_TOKEN_SHORT_MOST * 2];

    if (len >= ETV_TOKEN_SHORT_MOST) {
        json_object_set_new(object, "version", json_null());
        json_object_set_new(object, "opaque", json_true());
        return;
    }
    if (!is_visible(token, len)) {
        apr_base64_encode_binary(base64, token, (int)len);
        json_object_set_new(object, "version", json_null());
        json_object_set_new(object, "version_base64", json_string(base64));
        return;
    }
    json_object_set_new(object, "version", json_stringn(token, len));
    if (etv_version_time(time, token, len))
        json_object_set_new(object, "token_time", json_string(time));
}
