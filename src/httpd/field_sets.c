/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/field_sets.h"

#include <apr_date.h>

#include "core/tag.h"
#include "httpd/named.h"
#include "httpd/tag_header.h"

/* httpd sends the backend's Date where there is one, and otherwise that of the request. */
static apr_time_t date_of(request_rec *r)
{
    const char *field = etv_policy_field(r, "Date");
    apr_time_t date = field ? apr_date_parse_http(field) : APR_DATE_BAD;

    return date == APR_DATE_BAD ? r->request_time : date;
}

int etv_field_sets_name(request_rec *r, etv_request_t *request, const etv_freshness_t *final,
                        unsigned char id[ETV_TEXT_ID_BYTES])
{
    etv_field_set_field_t fields[3 + ETV_TAG_HEADER_KINDS] = {
        {"Cache-Control", final->cache_control},
        {"Expires", final->expires},
        {"Vary", final->vary},
    };
    const char *text;
    apr_size_t len;
    int n = 3;

    for (int kind = 1; kind <= ETV_TAG_HEADER_KINDS; kind++, n++) {
        fields[n].name = etv_tag_header_field((etv_tag_header_e)kind);
        fields[n].value = final->tags[kind - 1];
    }
    len = etv_field_set_write(r->pool, fields, n, date_of(r), &text);
    if (!len)
        return 0;
    etv_text_id_make(id, ETV_TEXT_ID_FIELDS, text, len, request->tag.key);
    if (etv_named_is_due(r, request, id))
        etv_named_publish(r, request, ETV_TEXT_ID_FIELDS, id, text, len);
    else
        etv_named_keep(ETV_TEXT_ID_FIELDS, id, text, len);
    return 1;
}

const etv_field_sets_found_t *etv_field_sets_find(request_rec *r, etv_request_t *request,
                                                  const char *name, const unsigned char *key)
{
    etv_field_sets_found_t *found;
    unsigned char id[ETV_TEXT_ID_BYTES];
    const char *text;
    apr_size_t len;

    if (!etv_tag_from_base64url(id, name))
        return NULL;
    text = etv_named_find(r, request, ETV_TEXT_ID_FIELDS, id, key, &len);
    if (!text)
        return NULL;
    found = apr_palloc(r->pool, sizeof(*found));
    found->n = etv_field_set_read(r->pool, text, len, r->request_time, found->fields);
    return found->n ? found : NULL;
}

void etv_field_sets_put(request_rec *r, const etv_field_sets_found_t *found)
{
    etv_policy_set_field(r, "Cache-Control", NULL);
    etv_policy_set_field(r, "Expires", NULL);
    etv_policy_set_field(r, "Vary", NULL);
    etv_tag_header_set(r, (const char *const[ETV_TAG_HEADER_KINDS]){NULL});
    for (int i = 0; found && i < found->n; i++)
        etv_policy_set_field(r, found->fields[i].name, found->fields[i].value);
}
