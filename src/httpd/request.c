/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/request.h"

#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <apr_strings.h>

#include "core/vary.h"
#include "httpd/coverage.h"
#include "httpd/conditions.h"
#include "httpd/declared.h"
#include "httpd/expand.h"
#include "httpd/graphql.h"
#include "httpd/headers.h"
#include "httpd/lost_update.h"
#include "httpd/policy.h"
#include "httpd/versions.h"

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
    if ((headers->content_length || headers->transfer_encoding) && etv_request_is_get(r) &&
        ap_request_has_body(r))
        return "request-body";
    return NULL;
}

/* The names of the models as they were written, if there are no others. */
static const char *joined(const etv_dir_t *dir)
{
    return etv_config_is_graphql(dir) ? NULL : dir->models.joined;
}

/*
 * Decide about the version tag. Returns NULL when there is one, else the reason why not. The
 * versions are read here, before any content handler runs: an old version on new data costs one
 * download, a new version on old data would be stale for good.
 */
static const char *decide(request_rec *r, etv_request_t *request, const etv_headers_t *headers,
                          const etv_item_t *items, int n, etv_model_t *models)
{
    const etv_item_t *salt = request->dir->salt;
    etv_expand_t expand = {r, NULL, NULL};
    etv_snapshot_t snapshot;
    const char *reason = etv_versions_expand(request, &expand, items, n, models);
    int declares = etv_config_models_header(request->dir) != NULL;

    if (!items && etv_config_is_graphql(request->dir))
        return "operation";
    if (declares && !n) /* the response may say more */
        reason = NULL;
    request->models = models;
    request->n_models = n;
    if (!reason && salt && salt->text) {
        request->salt = etv_expand(&expand, salt, SALT_MOST, &request->salt_len);
        if (!request->salt)
            reason = "expression";
    }
    /* Also without a tag: what was read decides what the response varies on. */
    if (expand.vary)
        request->vary = etv_vary_union(r->pool, request->vary, expand.vary);
    if (reason)
        return reason;
    if (n)
        etv_versions_note(r, joined(request->dir), models, n);
    reason = check_request(r, request, headers);
    if (reason)
        return reason;
    if (declares)
        return etv_declared_read(r, request);
    reason = etv_versions_read(r, request->dir, models, n, &snapshot);
    if (reason)
        return reason;
    memcpy(request->instance, snapshot.instance, sizeof(request->instance));
    etv_versions_tag(&request->tag, r, request, models, n, &snapshot, NULL);
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
        if (request->declared) /* what the response declares decides */
            reason = NULL;
    } else if (etv_config_uses_headers(dir)) {
        reason = check_request(r, request, headers);
        request->header_ready = !reason;
    }
    request->noted = reason != NULL;
    if (reason)
        etv_request_note(r, reason);
    /* what is posted is judged by its backend otherwise, which may know more about it */
    request->evaluates =
        request->tagged || request->declared || (dir->mode != ETV_MODE_VERSION && !request->asks);
}

/* What tags are made of, other than versions. */
static void describe(request_rec *r, etv_request_t *request, const etv_headers_t *headers)
{
    const etv_dir_t *dir = request->dir;

    if (dir->identity.items)
        request->identity = etv_identity_of(r->pool, &dir->identity);
    if (dir->vary.items)
        request->vary = configured_vary(r->pool, &dir->vary);
    request->own_vary = find_own_vary(r);
    request->host = headers->host;
}

/* ETagVersionPreconditions: what GET's tag would be, if the client asks about tags. */
static void prepare_unsafe(request_rec *r, etv_request_t *request, const etv_item_t *items, int n,
                           etv_model_t *models)
{
    etv_headers_t headers;

    etv_request_note(r, etv_graphql_is_query(r, request->dir) ? "operation" : "unsafe");
    request->guarded = etv_lost_update_guards(r, request->dir, n);
    if (!request->guarded)
        return;
    etv_headers_scan(r->headers_in, &headers);
    if (!headers.if_match && !headers.if_none_match)
        return;
    describe(r, request, &headers);
    request->if_none_match = headers.if_match ? headers.if_match : headers.if_none_match;
    request->unknown = decide(r, request, &headers, items, n, models);
}

static inline const etv_item_t *find_models(request_rec *r, const etv_dir_t *dir, int reads, int *n)
{
    const etv_item_t *items = etv_list_resolve(r->pool, &dir->models, n);

    return reads && etv_config_is_graphql(dir) && etv_config_uses_versions(dir)
               ? etv_graphql_models(r, dir, items, n)
               : items;
}

static etv_request_t *make(request_rec *r, const etv_dir_t *dir)
{
    int n, is_get = etv_request_is_get(r), asks = !is_get && etv_graphql_asks(r, dir);
    const etv_item_t *items = find_models(r, dir, is_get || asks, &n);
    struct {
        etv_request_t request;
        etv_model_t models[];
    } *both = apr_pcalloc(r->pool, sizeof(*both) + sizeof(etv_model_t) * (apr_size_t)n);
    etv_request_t *request = &both->request;
    etv_headers_t headers;

    request->dir = dir;
    request->asks = asks;
    request->filename = r->filename;
    request->per_dir = r->per_dir_config;
    ap_set_module_config(r->request_config, &etag_version_module, request);
    if (!is_get && !asks) {
        prepare_unsafe(r, request, items, n, both->models);
        return request;
    }
    etv_headers_scan(r->headers_in, &headers);
    describe(r, request, &headers);
    etv_conditions_take(r, request, &headers);
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
    return etv_request_is_own(r) ? NULL : make(r, dir);
}

int etv_request_fixup(request_rec *r)
{
    if (r->method_number == M_GET || !etv_graphql_is_awaited(r, etv_config_dir(r)))
        etv_request_get(r);
    return DECLINED;
}

int etv_request_other_handler(request_rec *r)
{
    int status;

    if (r->method_number == M_GET)
        return DECLINED;
    status = etv_graphql_handler(r);
    return status == DECLINED ? etv_lost_update_handler(r) : status;
}
