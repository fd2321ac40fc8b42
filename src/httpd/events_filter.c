/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/events_filter.h"

#include <apr_strings.h>

static const char *add_name(etv_events_filter_t *filter, const char *text)
{
    etv_events_name_t name = {text, strlen(text), 0};

    if (filter->n == ETV_EVENTS_FILTERS_MOST)
        return "at most 32 models may be named; a name that ends in * stands for all that begin so";
    name.prefix = name.len && text[name.len - 1] == '*';
    /* The star may stand alone, and behind a name of the greatest length. */
    name.len -= name.prefix ? 1 : 0;
    if ((name.len || !name.prefix) &&
        (name.len > ETV_MODEL_NAME_MOST || !etv_model_name_is_right(text, name.len)))
        return "a model's name has 1 to 256 bytes, no control characters, and no % in front";
    filter->names[filter->n++] = name;
    return NULL;
}

static const char *take_pair(etv_events_filter_t *filter, char *pair)
{
    char *value = strchr(pair, '=');

    if (value)
        *value++ = '\0';
    else
        value = pair + strlen(pair);
    if (strcmp(pair, "model") != 0 && strcmp(pair, "lastEventId") != 0)
        return NULL;
    if (ap_unescape_urlencoded(value) != OK)
        return "a % must be followed by two hexadecimal digits, and not by 00";
    if (*pair == 'm')
        return add_name(filter, value);
    filter->last_id = value;
    return NULL;
}

const char *etv_events_filter_read(apr_pool_t *p, const char *args, etv_events_filter_t *filter)
{
    char *rest = apr_pstrdup(p, args ? args : "");
    char *state, *pair;

    filter->n = 0;
    filter->last_id = NULL;
    for (pair = apr_strtok(rest, "&", &state); pair; pair = apr_strtok(NULL, "&", &state)) {
        const char *wrong = take_pair(filter, pair);

        if (wrong)
            return wrong;
    }
    return NULL;
}

int etv_events_filter_wants(const etv_events_filter_t *filter, const char *name, apr_size_t len)
{
    for (int i = 0; i < filter->n; i++) {
        const etv_events_name_t *wanted = &filter->names[i];

        if ((wanted->prefix ? len >= wanted->len : len == wanted->len) &&
            memcmp(name, wanted->text, wanted->len) == 0)
            return 1;
    }
    return filter->n == 0;
}
