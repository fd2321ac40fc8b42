/* SPDX-License-Identifier: Apache-2.0 */
#include "core/field_set.h"

#include <string.h>

#include <apr_date.h>
#include <apr_lib.h>
#include <apr_strings.h>

#include "core/cache_directive.h"
#include "core/http_date.h"
#include "core/http_text.h"
#include "core/tag_header.h"

/* A backend that computes both from the clock may see it tick in between. */
#define JITTER_SECONDS 2
#define SECONDS_DIGITS 10

#define EXPIRES "Expires"
/* Dates that mean "expired" are earlier: of 1970, 1981, 1997. */
#define CONSTANT_BEFORE "Mon, 01 Jan 2001 00:00:00 GMT"
/* Those that are no date, which means the same: 0, -1. */
#define NO_DATE_MOST 2

static int is_value(const char *value, apr_size_t len)
{
    for (apr_size_t i = 0; i < len; i++) {
        if (etv_http_text_is_control(value[i]))
            return 0;
    }
    return 1;
}

/* The only ones that are written here, and so the only ones that are read: who can write to the
 * store cannot make up others. */
static int is_known(const char *name)
{
    static const char *const names[] = {"Cache-Control", EXPIRES, "Vary"};

    for (apr_size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0)
            return 1;
    }
    for (int kind = 1; kind <= ETV_TAG_HEADER_KINDS; kind++) {
        if (strcmp(name, etv_tag_header_field((etv_tag_header_e)kind)) == 0)
            return 1;
    }
    return 0;
}

/* @return max-age: ETV_CACHE_ABSENT when there is none, or several that may contradict each other
 */
static apr_int64_t max_age_of(const char *cache_control, int *has_s_maxage)
{
    apr_int64_t found = ETV_CACHE_ABSENT;
    etv_cache_directive_t d;
    int count = 0;

    *has_s_maxage = 0;
    while (cache_control && etv_cache_directive_next(&cache_control, &d)) {
        etv_cache_directive_kind_e kind = etv_cache_directive_kind(&d);

        if (kind == ETV_CACHE_MAX_AGE) {
            found = etv_cache_directive_seconds(&d);
            count++;
        }
        *has_s_maxage |= kind == ETV_CACHE_S_MAXAGE;
    }
    return count == 1 ? found : ETV_CACHE_ABSENT;
}

static const char *value_of(const etv_field_set_field_t *fields, int n, const char *name)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(fields[i].name, name) == 0)
            return fields[i].value;
    }
    return NULL;
}

/* What says "expired" and is the same in all responses. */
static int is_constant(const char *expires)
{
    etv_http_date_t until, limit;

    if (!etv_http_date_parse(expires, &until))
        return strlen(expires) <= NO_DATE_MOST;
    return etv_http_date_parse(CONSTANT_BEFORE, &limit) && until < limit;
}

/*
 * Expires as it is written. Most are made of the clock, and each second would make another text,
 * another tag, and another entry of the registry: only what repeats max-age can be said so that it
 * does not change, and dates that were over before this was written do not move.
 */
static const char *write_expires(apr_pool_t *p, const char *expires, const char *cache_control,
                                 apr_time_t date)
{
    apr_time_t until = apr_date_parse_http(expires);
    int has_s_maxage;
    apr_int64_t max_age = max_age_of(cache_control, &has_s_maxage), seconds;

    if (*expires == '+')
        return NULL; /* would be read as what it is not */
    if (until != APR_DATE_BAD && max_age >= 0) {
        seconds = apr_time_sec(until) - apr_time_sec(date);
        if (seconds == max_age || (!has_s_maxage && seconds >= max_age - JITTER_SECONDS &&
                                   seconds <= max_age + JITTER_SECONDS))
            return apr_psprintf(p, "+%" APR_INT64_T_FMT, max_age);
    }
    return is_constant(expires) ? expires : NULL;
}

apr_size_t etv_field_set_write(apr_pool_t *p, const etv_field_set_field_t *fields, int n,
                               apr_time_t date, const char **text)
{
    char *to, *out;
    apr_size_t len = 0;
    const char *values[ETV_FIELD_SET_FIELDS_MOST];

    if (n > ETV_FIELD_SET_FIELDS_MOST)
        return 0;
    for (int i = 0; i < n; i++) {
        const char *value = fields[i].value;

        values[i] = NULL;
        if (!value)
            continue;
        if (strcmp(fields[i].name, EXPIRES) == 0)
            value = write_expires(p, value, value_of(fields, n, "Cache-Control"), date);
        if (!value || !is_value(value, strlen(value)) || !is_known(fields[i].name))
            return 0;
        values[i] = value;
        len += strlen(fields[i].name) + 2 + strlen(value) + 1;
        if (len > ETV_FIELD_SET_MOST)
            return 0;
    }
    to = out = apr_palloc(p, len + 1);
    *out = '\0';
    for (int i = 0; i < n; i++) {
        if (values[i]) {
            to = stpcpy(to, fields[i].name);
            to = stpcpy(to, ": ");
            to = stpcpy(to, values[i]);
            to = stpcpy(to, "\n");
        }
    }
    *text = out;
    return len;
}

/* @return NULL when these are no seconds that were written here, or no date that can be */
static const char *read_expires(apr_pool_t *p, const char *value, apr_time_t date)
{
    char *text, *end;
    apr_int64_t seconds;

    if (*value != '+')
        return value;
    if (!apr_isdigit(value[1]) || (value[1] == '0' && value[2]) ||
        strlen(value) > 1 + SECONDS_DIGITS)
        return NULL;
    seconds = apr_strtoi64(value + 1, &end, 10);
    if (*end || seconds > ETV_CACHE_SECONDS_MOST)
        return NULL;
    text = apr_palloc(p, APR_RFC822_DATE_LEN);
    return apr_rfc822_date(text, date + apr_time_from_sec(seconds)) == APR_SUCCESS ? text : NULL;
}

/* One line, without its end. */
static int read_line(apr_pool_t *p, const char *line, apr_size_t len, apr_time_t date,
                     etv_field_set_field_t *field)
{
    const char *colon = memchr(line, ':', len);

    if (!colon || colon + 1 >= line + len || colon[1] != ' ' || memchr(line, '\0', len) ||
        !is_value(line, len))
        return 0;
    field->name = apr_pstrmemdup(p, line, (apr_size_t)(colon - line));
    field->value = apr_pstrmemdup(p, colon + 2, len - (apr_size_t)(colon + 2 - line));
    if (!is_known(field->name))
        return 0;
    if (strcmp(field->name, EXPIRES) == 0)
        field->value = read_expires(p, field->value, date);
    return field->value != NULL;
}

int etv_field_set_read(apr_pool_t *p, const char *text, apr_size_t len, apr_time_t date,
                       etv_field_set_field_t *fields)
{
    const char *end = text + len;
    int n = 0;

    if (len > ETV_FIELD_SET_MOST)
        return 0;
    while (text < end) {
        const char *stop = memchr(text, '\n', (apr_size_t)(end - text));

        if (!stop || n == ETV_FIELD_SET_FIELDS_MOST ||
            !read_line(p, text, (apr_size_t)(stop - text), date, fields + n))
            return 0;
        n++;
        text = stop + 1;
    }
    return n;
}
