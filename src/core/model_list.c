/* SPDX-License-Identifier: Apache-2.0 */
#include "core/model_list.h"

#include <string.h>

#include <apr_strings.h>

#include "core/http_text.h"

static int compare(const char *a, apr_size_t a_len, const char *b, apr_size_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

    return order ? order : (a_len > b_len) - (a_len < b_len);
}

/* Put a name where it belongs; one that is there already is not put twice. */
static etv_model_list_e insert(etv_model_list_t *list, const char *name, apr_size_t len)
{
    int at = list->n;

    while (at > 0) {
        int order = compare(list->names[at - 1].name, list->names[at - 1].len, name, len);

        if (!order)
            return ETV_MODEL_LIST_OK;
        if (order < 0)
            break;
        at--;
    }
    if (list->n == ETV_MODEL_LIST_MOST)
        return ETV_MODEL_LIST_TOO_MANY;
    memmove(list->names + at + 1, list->names + at,
            sizeof(list->names[0]) * (apr_size_t)(list->n - at));
    list->names[at].name = name;
    list->names[at].len = len;
    list->n++;
    return ETV_MODEL_LIST_OK;
}

/* One member, in text that is ours to change. */
static etv_model_list_e take(etv_model_list_t *list, char *from, char *to)
{
    while (from < to && etv_http_text_is_ows(*from))
        from++;
    while (from < to && etv_http_text_is_ows(to[-1]))
        to--;
    if (from == to)
        return ETV_MODEL_LIST_OK;
    *to = '\0'; /* a comma, white space, or the end */
    if (!etv_model_name_is_right(from, (apr_size_t)(to - from)))
        return ETV_MODEL_LIST_NO_NAME;
    return insert(list, from, (apr_size_t)(to - from));
}

etv_model_list_e etv_model_list_parse(etv_model_list_t *list, apr_pool_t *p, const char *value,
                                      apr_size_t len)
{
    char *at, *end;

    list->n = 0;
    if (len > ETV_MODEL_LIST_VALUE_MOST)
        return ETV_MODEL_LIST_TOO_MANY;
    if (memchr(value, '\0', len))
        return ETV_MODEL_LIST_NO_NAME;
    at = apr_pstrmemdup(p, value, len);
    for (end = at + len; at <= end;) {
        char *comma = memchr(at, ',', (apr_size_t)(end - at));
        char *to = comma ? comma : end;
        etv_model_list_e result = take(list, at, to);

        if (result != ETV_MODEL_LIST_OK)
            return result;
        at = to + 1;
    }
    return ETV_MODEL_LIST_OK;
}

apr_size_t etv_model_list_write(const etv_model_list_t *list, char *text)
{
    char *to = text;

    for (int i = 0; i < list->n; i++) {
        if (i)
            *to++ = ',';
        memcpy(to, list->names[i].name, list->names[i].len);
        to += list->names[i].len;
    }
    return (apr_size_t)(to - text);
}
