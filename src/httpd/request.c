/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/request.h"

#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <apr_strings.h>

#include "core/vary.h"
#include "httpd/coverage.h"
#include "httpd/conditions.h"
#include "httpd/expand.h"
#include "httpd/fields.h"
#include "httpd/headers.h"
#include "httpd/shared.h"
#include "httpd/log.h"
#include "httpd/policy.h"
#include "store/boottime.h"
#include "store/settle.h"

#define SALT_MOST 1024
#define SWITCH    "no-etag-version"

void etv_request_note(request_rec *r, const char *reason)
{
    apr_table_setn(r->notes, ETV_NOTE, reason);
}

/* An internal redirect renames what was set for the request before it. */
int etv_request_is_switched_off(const request_rec *r)
{
    for (; r; r = r->prev) {
        if (!apr_is_empty_table(r->subprocess_env) && apr_table_get(r->subprocess_env, SWITCH))
            return 1;
    }
    return 0;
}

const char *etv_request_vary(const etv_request_t *request, apr_pool_t *p)
{
    return etv_identity_vary(&request->identity, p, request->vary);
}

static const char *configured_vary(apr_pool_t *p, const etv_list_t *list)
{
    const char *vary = NULL;
    int n;
    const etv_item_t *items = etv_list_resolve(p, list, &n);

    for (int i = 0; i < n; i++)
        vary = etv_vary_union(p, vary, items[i].text);
    return vary;
}

static void note_models(request_rec *r, const char *joined, const etv_model_t *models, int n)
{
    char *text, *to;
    apr_size_t len = 0;

    if (joined) {
        apr_table_addn(r->notes, ETV_NOTE_MODELS, joined);
        return;
    }
    for (int i = 0; i < n; i++)
        len += models[i].name_len + 1;
    text = to = apr_palloc(r->pool, len);
    for (int i = 0; i < n; i++) {
        memcpy(to, models[i].name, models[i].name_len);
        to += models[i].name_len;
        *to++ = ' ';
    }
    to[-1] = '\0';
    apr_table_setn(r->notes, ETV_NOTE_MODELS, text);
}

/* The models of this request. Returns NULL, or the reason why there is no version tag. */
static const char *expand_models(etv_request_t *request, etv_expand_t *expand,
                                 const etv_item_t *items, int n, etv_model_t *models)
{
    int initialize = etv_config_initializes(request->dir);

    if (!n)
        return "no-models";
    if (n > ETV_MODELS_MOST)
        return "too-many-models";
    for (int i = 0; i < n; i++) {
        etv_model_t *m = models + i;

        m->name = etv_expand(expand, items + i, ETV_MODEL_NAME_MOST, &m->name_len);
        if (!m->name || *m->name == '%')
            return "expression";
        m->hash = items[i].expr ? etv_hash_name(m->name, m->name_len) : items[i].hash;
        m->learned = (unsigned char)(items[i].expr || !items[i].trusted);
        m->may_create = (unsigned char)(initialize & !m->learned);
    }
    return NULL;
}

static const char *check_versions(request_rec *r, const etv_request_t *request,
                                  const etv_server_t *server, const etv_model_t *models, int n)
{
    apr_interval_time_t settle_us = etv_config_settle_us(request->dir);
    apr_time_t now_us;
    const char *reason = NULL;

    for (int i = 0; i < n; i++) {
        if (models[i].state != ETV_MODEL_FOUND) {
            reason = models[i].state == ETV_MODEL_ABSENT ? "missing" : "unusable";
            ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, "ETV0310: model %s: %s", models[i].name,
                          models[i].state == ETV_MODEL_ABSENT
                              ? "the store has no version"
                              : "what the store has is no version token");
            return reason;
        }
    }
    if (settle_us <= 0)
        return NULL;
    now_us = etv_boottime_us();
    for (int i = 0; i < n; i++) {
        if (etv_settle_age(etv_shared_table(), server->scope, models + i, now_us) < settle_us)
            reason = "settling"; /* go on: each of them begins to age now */
    }
    return reason;
}

static void compute(request_rec *r, etv_request_t *request, const etv_server_t *server,
                    const etv_model_t *models, int n, const etv_snapshot_t *snapshot,
                    const char *salt, apr_size_t salt_len)
{
    static _Thread_local etv_tag_memo_t memo;
    etv_tag_fields_t fields;

    etv_tag_fields_init(&fields, r->pool);
    etv_fields_add_request(&fields, r, request->host, server, (unsigned char)n);
    etv_tag_fields_add(&fields, snapshot->instance, ETV_INSTANCE_BYTES);
    for (int i = 0; i < n; i++) {
        etv_tag_fields_add(&fields, models[i].name, models[i].name_len);
        etv_tag_fields_add_short(&fields, models[i].token, models[i].token_len);
    }
    if (salt || request->identity.n || request->vary) {
        etv_tag_fields_add(&fields, salt, salt_len);
        etv_identity_add(&request->identity, r, &fields);
        etv_fields_add_varied(&fields, r, request->vary);
    }
    etv_tag_make_memo(&request->tag, &fields, server->secret ? server->secret : snapshot->secret,
                      &memo);
}

/* What httpd itself has varied on: mod_rewrite and <If> say so in Vary, where a condition held. */
static const char *find_own_vary(request_rec *r)
{
    if (apr_is_empty_table(r->headers_out) && apr_is_empty_table(r->err_headers_out))
        return NULL;
    return etv_policy_field(r, "Vary");
}

/* What was chosen by a header that tags do not know has no tag, and no early 304. */
static int covers_own_vary(request_rec *r, const etv_request_t *request)
{
    return !request->own_vary || (!etv_vary_has_any(request->own_vary) &&
                                  etv_coverage_of_vary(r, request, request->own_vary));
}

/* What the request itself says against tags that are not made of the response's bytes. */
static const char *check_request(request_rec *r, const etv_request_t *request,
                                 const etv_headers_t *headers)
{
    if (!covers_own_vary(r, request))
        return "vary";
    if (!etv_identity_covers_request(&request->identity, r, headers->cookie != NULL,
                                     headers->authorization != NULL))
        return "identity";
    if ((headers->content_length || headers->transfer_encoding) && ap_request_has_body(r))
        return "request-body";
    return NULL;
}

static const char *look_up(request_rec *r, etv_store_t *store, etv_model_t *models, int n,
                           etv_snapshot_t *snapshot)
{
    switch (store ? store->ops->lookup(store, r->pool, models, n, snapshot)
                  : ETV_LOOKUP_UNAVAILABLE) {
    case ETV_LOOKUP_OK:
        return NULL;
    case ETV_LOOKUP_BUSY:
        return "busy";
    case ETV_LOOKUP_UNAVAILABLE:
        break;
    }
    return "store-down";
}

/*
 * Decide about the version tag. Returns NULL when there is one, else the reason why not. The
 * versions are read here, before any content handler runs: an old version on new data costs one
 * download, a new version on old data would be stale for good.
 */
static const char *decide(request_rec *r, etv_request_t *request, const etv_headers_t *headers,
                          const etv_item_t *items, int n, etv_model_t *models)
{
    const etv_server_t *server = etv_config_server(r->server);
    const etv_item_t *salt = request->dir->salt;
    const char *salt_text = NULL, *reason;
    apr_size_t salt_len = 0;
    etv_expand_t expand = {r, NULL, NULL};
    etv_snapshot_t snapshot;

    snapshot.now_us = r->request_time;
    reason = expand_models(request, &expand, items, n, models);
    if (!reason && salt && salt->text) {
        salt_text = etv_expand(&expand, salt, SALT_MOST, &salt_len);
        if (!salt_text)
            reason = "expression";
    }
    /* Also without a tag: what was read decides what the response varies on. */
    if (expand.vary)
        request->vary = etv_vary_union(r->pool, request->vary, expand.vary);
    if (reason)
        return reason;
    note_models(r, request->dir->models.joined, models, n);
    reason = check_request(r, request, headers);
    if (reason)
        return reason;
    reason = look_up(r, server->store, models, n, &snapshot);
    if (reason)
        return reason;
    reason = check_versions(r, request, server, models, n);
    if (reason)
        return reason;
    compute(r, request, server, models, n, &snapshot, salt_text, salt_len);
    return NULL;
}

/* What the mode asks for before the handler runs. */
static void prepare(request_rec *r, etv_request_t *request, const etv_headers_t *headers,
                    const etv_item_t *items, int n, etv_model_t *models)
{
    const etv_dir_t *dir = request->dir;
    const char *reason = NULL;

    if (etv_config_uses_versions(dir)) {
        reason = decide(r, request, headers, items, n, models);
        request->tagged = !reason;
    } else if (etv_config_uses_headers(dir)) {
        reason = check_request(r, request, headers);
        request->header_ready = !reason;
    }
    request->noted = reason != NULL;
    if (reason)
        etv_request_note(r, reason);
    request->evaluates = request->tagged || dir->mode != ETV_MODE_VERSION;
}

static etv_request_t *make(request_rec *r, const etv_dir_t *dir)
{
    int n;
    const etv_item_t *items = etv_list_resolve(r->pool, &dir->models, &n);
    struct {
        etv_request_t request;
        etv_model_t models[];
    } *both = apr_pcalloc(r->pool, sizeof(*both) + sizeof(etv_model_t) * (apr_size_t)n);
    etv_request_t *request = &both->request;
    etv_headers_t headers;

    request->dir = dir;
    request->filename = r->filename;
    request->per_dir = r->per_dir_config;
    ap_set_module_config(r->request_config, &etag_version_module, request);
    if (!etv_request_is_get(r)) {
        etv_request_note(r, "unsafe");
        return request;
    }
    if (dir->identity.items)
        request->identity = etv_identity_of(r->pool, &dir->identity);
    if (dir->vary.items)
        request->vary = configured_vary(r->pool, &dir->vary);
    request->own_vary = find_own_vary(r);
    etv_headers_scan(r->headers_in, &headers);
    etv_conditions_take(r, request, &headers);
    request->host = headers.host;
    request->if_none_match = headers.if_none_match;
    request->preconditions = headers.if_match || headers.if_unmodified_since;
    prepare(r, request, &headers, items, n, both->models);
    return request;
}

etv_request_t *etv_request_get(request_rec *r)
{
    const etv_dir_t *dir;
    etv_request_t *request;

    if (r->main)
        return NULL;
    dir = etv_config_dir(r);
    if (!etv_config_is_on(dir) || r->status != HTTP_OK)
        return NULL;
    request = etv_request_peek(r);
    if (request && request->filename == r->filename && request->per_dir == r->per_dir_config)
        return request;
    if (etv_request_is_switched_off(r)) {
        etv_request_note(r, "bypass");
        return NULL;
    }
    return make(r, dir);
}

int etv_request_fixup(request_rec *r)
{
    etv_request_get(r);
    return DECLINED;
}
