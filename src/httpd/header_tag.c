/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/header_tag.h"

#include <apr_strings.h>

#include "core/tag.h"
#include "httpd/fields.h"
#include "httpd/key.h"
#include "httpd/policy.h"

/* What a handler has put aside for the header that it will be. */
static const char *value_of(request_rec *r, const char *name)
{
    const char *value = etv_policy_field(r, name);

    if (!value && ap_cstr_casecmp(name, "Content-Type") == 0)
        value = r->content_type;
    if (!value && ap_cstr_casecmp(name, "Content-Encoding") == 0)
        value = r->content_encoding;
    return value;
}

/* Length and type stay the same while a representation changes. */
static int tells_versions_apart(const char *name)
{
    return ap_cstr_casecmp(name, "Content-Length") != 0 &&
           ap_cstr_casecmp(name, "Content-Type") != 0;
}

static int add_values(request_rec *r, const etv_request_t *request, etv_tag_fields_t *fields)
{
    int n, tells = 0;
    const etv_item_t *items = etv_config_headers(r->pool, request->dir, &n);

    for (int i = 0; i < n; i++) {
        const char *value = value_of(r, items[i].text);

        if (!value)
            return 0;
        tells |= tells_versions_apart(items[i].text);
        etv_tag_fields_add_lower(fields, items[i].text);
        etv_tag_fields_add_string(fields, value);
    }
    return tells;
}

const char *etv_header_tag_digest(request_rec *r, const etv_request_t *request, const char **reason)
{
    const unsigned char *key = etv_key_of(r);
    etv_tag_fields_t fields;
    etv_tag_t tag;

    if (!key) {
        *reason = "store-down";
        return NULL;
    }
    etv_tag_fields_init(&fields, r->pool);
    etv_tag_fields_add_string(&fields, "headers");
    etv_fields_add_request(&fields, r, request->host, etv_config_server(r->server), 0);
    if (!add_values(r, request, &fields)) {
        *reason = "header";
        return NULL;
    }
    etv_tag_fields_add(&fields, NULL, 0);
    etv_identity_add(&request->identity, r, &fields);
    etv_fields_add_varied(&fields, r, request->vary);
    etv_tag_make(&tag, &fields, key);
    return apr_pstrmemdup(r->pool, tag.v_text, ETV_ENTITY_TAG_DIGEST_CHARS);
}
