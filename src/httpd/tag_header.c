/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/tag_header.h"

#include <apr_strings.h>

#include "httpd/log.h"
#include "httpd/policy.h"

/* The lines of one field as one value. */
typedef struct {
    apr_pool_t *p;
    const char *separator;
    const char *value;
} lines_t;

static int add_line(void *baton, const char *key, const char *value)
{
    lines_t *lines = baton;

    (void)key;
    lines->value =
        lines->value ? apr_pstrcat(lines->p, lines->value, lines->separator, value, NULL) : value;
    return 1;
}

/* A comma between two lines, as for other fields, would be part of a key where spaces separate. */
static const char *value_of(request_rec *r, etv_tag_header_e kind)
{
    lines_t lines = {r->pool, etv_tag_header_separator(kind), NULL};
    const char *field = etv_tag_header_field(kind);

    apr_table_do(add_line, &lines, r->err_headers_out, field, NULL);
    apr_table_do(add_line, &lines, r->headers_out, field, NULL);
    return lines.value;
}

/* @return 0 when they are not all known */
static int take_names(etv_tag_header_name_t *names, const etv_model_t *models, int n)
{
    for (int i = 0; i < n; i++) {
        if (!models[i].name || *models[i].name == '%') /* an expression gave no name */
            return 0;
        names[i].name = models[i].name;
        names[i].len = models[i].name_len;
    }
    return 1;
}

static void log_too_long(request_rec *r, const char *field)
{
    static apr_uint32_t next;
    int level = etv_log_is_due(&next) ? APLOG_WARNING : APLOG_DEBUG;

    ap_log_rerror(APLOG_MARK, level, 0, r,
                  "ETV0385: no model in %s: the list would be longer than caches read, and a purge "
                  "by one that is cut off would miss this response",
                  field);
}

static void add_to(request_rec *r, etv_tag_header_e kind, const etv_tag_header_name_t *names, int n)
{
    const char *present = value_of(r, kind), *field = etv_tag_header_field(kind);
    const char *value = etv_tag_header_value(r->pool, kind, present, names, n);

    if (value)
        etv_policy_set_field(r, field, value);
    else
        log_too_long(r, field);
}

void etv_tag_header_add(request_rec *r, const etv_request_t *request)
{
    int n_headers, n = request->n_models;
    const etv_item_t *headers = etv_list_resolve(r->pool, &request->dir->tag_header, &n_headers);
    etv_tag_header_name_t *names;

    if (!n_headers || !n)
        return;
    names = apr_palloc(r->pool, sizeof(*names) * (apr_size_t)n);
    if (!take_names(names, request->models, n))
        return;
    for (int i = 0; i < n_headers; i++)
        add_to(r, (etv_tag_header_e)headers[i].kind, names, n);
}

void etv_tag_header_get(request_rec *r, const char *values[ETV_TAG_HEADER_KINDS])
{
    int n;
    const etv_item_t *headers = etv_list_resolve(r->pool, &etv_config_dir(r)->tag_header, &n);

    for (int i = 0; i < ETV_TAG_HEADER_KINDS; i++)
        values[i] = NULL;
    for (int i = 0; i < n; i++)
        values[headers[i].kind - 1] = value_of(r, (etv_tag_header_e)headers[i].kind);
}

void etv_tag_header_set(request_rec *r, const char *const values[ETV_TAG_HEADER_KINDS])
{
    int n;
    const etv_item_t *headers = etv_list_resolve(r->pool, &etv_config_dir(r)->tag_header, &n);

    for (int i = 0; i < n; i++)
        etv_policy_set_field(r, etv_tag_header_field((etv_tag_header_e)headers[i].kind),
                             values[headers[i].kind - 1]);
}

int etv_tag_header_same(const char *const a[ETV_TAG_HEADER_KINDS],
                        const char *const b[ETV_TAG_HEADER_KINDS])
{
    for (int i = 0; i < ETV_TAG_HEADER_KINDS; i++) {
        if (!etv_policy_same(a[i], b[i]))
            return 0;
    }
    return 1;
}
