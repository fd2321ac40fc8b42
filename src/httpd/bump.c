/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/bump.h"

#include <apr_strings.h>

#include "core/http_text.h"
#include "httpd/bump_state.h"
#include "httpd/expand.h"
#include "httpd/graphql.h"
#include "httpd/life.h"
#include "httpd/log.h"
#include "httpd/lost_update.h"
#include "httpd/request.h"
#include "httpd/said.h"

#define KEY         "mod_etag_version:bump"
#define RETRY_AFTER "1"

/* --- state --- */

/* Most requests cannot have any: what asks for the pool's data costs more than this. */
static int may_bump(const request_rec *r)
{
    return etv_config_changes() && (r->prev || r->next || !etv_request_is_get(r) ||
                                    etv_config_invalidate_header(etv_config_dir(r)));
}

/* All requests of a chain of internal redirects have one pool, a subrequest has its own. */
etv_bump_t *etv_bump_peek(const request_rec *r)
{
    void *found = NULL;

    if (!may_bump(r))
        return NULL;
    apr_pool_userdata_get(&found, KEY, r->pool);
    return found;
}

etv_bump_t *etv_bump_make(request_rec *r)
{
    etv_bump_t *bump = etv_bump_peek(r);

    if (bump)
        return bump;
    bump = apr_pcalloc(r->pool, sizeof(*bump));
    bump->changes = apr_array_make(r->pool, 1, sizeof(etv_change_t *));
    bump->models = apr_array_make(r->pool, 4, sizeof(etv_model_t));
    bump->said = apr_array_make(r->pool, 4, sizeof(etv_model_t));
    apr_pool_userdata_setn(bump, KEY, NULL, r->pool);
    return bump;
}

int etv_bump_knows(const apr_array_header_t *models, etv_hash128_t hash)
{
    for (int i = 0; i < models->nelts; i++) {
        const etv_model_t *m = &APR_ARRAY_IDX(models, i, etv_model_t);

        if (m->hash.lo == hash.lo && m->hash.hi == hash.hi)
            return 1;
    }
    return 0;
}

static void add_model(apr_array_header_t *models, const char *name, apr_size_t len,
                      etv_hash128_t hash, int learned)
{
    etv_model_t *m;

    if (etv_bump_knows(models, hash))
        return;
    m = apr_array_push(models);
    memset(m, 0, sizeof(*m));
    m->name = name;
    m->name_len = len;
    m->hash = hash;
    m->learned = (unsigned char)learned;
}

/* --- which requests --- */

/* RFC 9110 §9.2.1, RFC 10008 (QUERY), RFC 4918 (PROPFIND), RFC 3253 (REPORT), RFC 5323 (SEARCH);
 * CONNECT opens a tunnel to somewhere else. All others may change something, unknown ones too. */
static int is_safe_name(const char *method, apr_size_t len)
{
    static const char *const safe[] = {"GET",      "HEAD",   "OPTIONS", "TRACE",  "QUERY",
                                       "PROPFIND", "REPORT", "SEARCH",  "CONNECT"};

    for (apr_size_t i = 0; i < sizeof(safe) / sizeof(safe[0]); i++) {
        if (strlen(safe[i]) == len && memcmp(method, safe[i], len) == 0)
            return 1;
    }
    return 0;
}

static int has_unsafe_method(const request_rec *r)
{
    return !is_safe_name(r->method, strlen(r->method));
}

/* Local redirects and ErrorDocuments are GETs; the request line still tells. */
int etv_bump_is_unsafe(const request_rec *r)
{
    const char *line = r->the_request;
    apr_size_t len;

    if (etv_request_is_get(r)) /* the usual case, and cheaper */
        return 0;
    if (has_unsafe_method(r))
        return 1;
    if (!line)
        return 0;
    line += strspn(line, " \t");
    len = strcspn(line, " \t");
    return len && !is_safe_name(line, len);
}

/* --- what the backend says --- */

static void log_said(request_rec *r, int wrong, int too_many)
{
    static apr_uint32_t next;
    int level = too_many && etv_log_is_due(&next) ? APLOG_WARNING : APLOG_DEBUG;

    if (wrong)
        ap_log_rerror(
            APLOG_MARK, APLOG_INFO, 0, r,
            "ETV0352: ETagVersionInvalidateHeader: %d of the names in the response cannot "
            "be models; the others are bumped",
            wrong);
    if (too_many)
        ap_log_rerror(APLOG_MARK, level, 0, r,
                      "ETV0354: ETagVersionInvalidateHeader: the response names more than %d "
                      "models; only the first ones are bumped",
                      ETV_MODELS_MOST);
}

/* Names separated by commas, white space around them aside. A wrong one does not spoil the others:
 * what is not bumped would be stale for good. */
static void parse_said(request_rec *r, apr_array_header_t *said, char *at)
{
    int wrong = 0, too_many = 0;

    for (char *next; at && !too_many; at = next) {
        char *end;
        apr_size_t len;

        next = strchr(at, ',');
        end = next ? next++ : at + strlen(at);
        at += strspn(at, " \t");
        while (end > at && etv_http_text_is_ows(end[-1]))
            end--;
        *end = '\0';
        len = strlen(at);
        if (len && !etv_model_name_is_right(at, len))
            wrong++;
        else if (len && said->nelts == ETV_MODELS_MOST)
            too_many = !etv_bump_knows(said, etv_hash_name(at, len));
        else if (len)
            add_model(said, at, len, etv_hash_name(at, len), 1);
    }
    log_said(r, wrong, too_many);
}

void etv_bump_collect(request_rec *r)
{
    const char *name = etv_config_invalidate_header(etv_config_dir(r));
    const char *value = name ? etv_said_take(r, name, r->pool) : NULL;

    if (value)
        parse_said(r, etv_bump_make(r)->said, apr_pstrdup(r->pool, value));
}

/* --- what is configured --- */

static void log_nothing(request_rec *r, const etv_item_t *item)
{
    static apr_uint32_t next;
    int level = etv_log_is_due(&next) ? APLOG_WARNING : APLOG_DEBUG;

    ap_log_rerror(APLOG_MARK, level, 0, r,
                  "ETV0350: \"%s\" is no model's name for this request: what it stands for is not "
                  "bumped",
                  item->text);
}

static void add_item(etv_expand_t *expand, const etv_item_t *item, apr_array_header_t *models)
{
    apr_size_t len = 0;
    const char *name = etv_expand(expand, item, ETV_MODEL_NAME_MOST, &len);

    if (name && *name != '%')
        add_model(models, name, len, item->expr ? etv_hash_name(name, len) : item->hash,
                  item->expr || !item->trusted);
    else
        log_nothing(expand->r, item);
}

/* The models of ETagVersionInvalidate here; the captures and the environment are the request's
 * before its handler. */
static void add_configured(request_rec *r, apr_array_header_t *models)
{
    const etv_dir_t *dir = etv_config_dir(r);
    etv_expand_t expand = {r, NULL, NULL};
    int n, n_models;
    const etv_item_t *items = etv_list_resolve(r->pool, &dir->invalidate, &n);
    const etv_item_t *all = etv_list_resolve(r->pool, &dir->models, &n_models);

    if (etv_graphql_only_reads(r, dir))
        return;
    if (etv_config_is_graphql(dir))
        all = etv_graphql_changed(r, dir, all, &n_models);
    for (int i = 0; i < n; i++) {
        if (items[i].kind == ETV_INVALIDATE_MODELS) {
            for (int j = 0; j < n_models; j++)
                add_item(&expand, all + j, models);
        } else {
            add_item(&expand, items + i, models);
        }
    }
}

/* --- the beginning --- */

static etv_change_e begin_some(request_rec *r, etv_bump_t *bump, const etv_model_t *models, int n,
                               int as_read, etv_change_t **change)
{
    const etv_server_t *server = etv_config_server(r->server);
    etv_change_e result = etv_change_begin(r->pool, etv_life_keeper(), server->store, server->scope,
                                           models, n, r->server->timeout, as_read, change);

    if (*change) {
        APR_ARRAY_PUSH(bump->changes, etv_change_t *) = *change;
        for (int i = 0; i < n; i++)
            APR_ARRAY_PUSH(bump->models, etv_model_t) = models[i];
        etv_bump_watch(r, bump);
    }
    return result;
}

/* Those whose change has not begun yet. */
static int fresh_ones(const etv_bump_t *bump, const etv_model_t *models, int n, etv_model_t *fresh)
{
    int kept = 0;

    for (int i = 0; i < n; i++) {
        if (!etv_bump_knows(bump->models, models[i].hash))
            fresh[kept++] = models[i];
    }
    return kept;
}

etv_change_e etv_bump_begin(request_rec *r, const etv_model_t *models, int n, int as_read)
{
    etv_bump_t *bump;
    etv_model_t *fresh;
    etv_change_t *change;
    etv_change_e result = ETV_CHANGE_ANNOUNCED;

    if (!etv_config_server(r->server)->store || !etv_life_keeper())
        return ETV_CHANGE_LOCAL;
    bump = etv_bump_make(r);
    fresh = apr_palloc(r->pool, sizeof(*fresh) * (apr_size_t)n);
    n = fresh_ones(bump, models, n, fresh);
    for (int i = 0; i < n && result != ETV_CHANGE_EXISTS; i += ETV_MODELS_MOST) {
        int some = n - i < ETV_MODELS_MOST ? n - i : ETV_MODELS_MOST;
        etv_change_e one = begin_some(r, bump, fresh + i, some, as_read, &change);

        if (one != ETV_CHANGE_ANNOUNCED)
            result = one;
    }
    return result;
}

/* What was begun since there were so many; nothing has changed. */
static void withdraw_from(etv_bump_t *bump, int changes, int models)
{
    while (bump->changes->nelts > changes)
        etv_change_withdraw(*(etv_change_t **)apr_array_pop(bump->changes));
    bump->models->nelts = models;
}

/* ETagVersionInvalidateRequire: rather no change than one that other hosts cannot know of. */
static int refuse(request_rec *r)
{
    static apr_uint32_t next;
    int level = etv_log_is_due(&next) ? APLOG_WARNING : APLOG_DEBUG;

    ap_log_rerror(APLOG_MARK, level, 0, r,
                  "ETV0351: the store cannot take a bump: unsafe requests are refused "
                  "(ETagVersionInvalidateRequire)");
    etv_request_note(r, "store-down");
    apr_table_setn(r->err_headers_out, "Retry-After", RETRY_AFTER);
    return HTTP_SERVICE_UNAVAILABLE;
}

/* Those that the request relies on, if they are still as it read them when all others learn that
 * they are about to change. */
static etv_change_e begin_as_read(request_rec *r, const apr_array_header_t *models)
{
    int n, kept = 0;
    const etv_model_t *read = etv_lost_update_read(r, &n);
    etv_model_t *both = apr_palloc(r->pool, sizeof(*both) * (apr_size_t)n);

    for (int i = 0; i < n; i++) {
        if (etv_bump_knows(models, read[i].hash))
            both[kept++] = read[i];
    }
    return kept ? etv_bump_begin(r, both, kept, 1) : ETV_CHANGE_ANNOUNCED;
}

static int begin_configured(request_rec *r)
{
    apr_array_header_t *models = apr_array_make(r->pool, 4, sizeof(etv_model_t));
    etv_bump_t *bump = etv_bump_make(r);
    int n_changes = bump->changes->nelts, n_models = bump->models->nelts, required = 0;
    etv_change_e result;

    for (request_rec *each = r; each; each = etv_request_came_through(each)) {
        add_configured(each, models);
        required |= etv_config_requires_bump(etv_config_dir(each));
    }
    result = begin_as_read(r, models);
    if (result != ETV_CHANGE_ANNOUNCED) {
        withdraw_from(bump, n_changes, n_models);
        return etv_lost_update_refuse(r, result);
    }
    if (models->nelts)
        result =
            etv_bump_begin(r, (const etv_model_t *)(const void *)models->elts, models->nelts, 0);
    if (result != ETV_CHANGE_ANNOUNCED && required) {
        withdraw_from(bump, n_changes, n_models);
        return refuse(r);
    }
    return DECLINED;
}

/* --- hooks --- */

/*
 * Each place that a chain of internal redirects comes through may have models of its own. The
 * status that counts is that of the last one that ran with the client's own method (what a script
 * redirects to after its work, or the page about its error, says nothing about what has changed);
 * but where one ran before it and redirected, with the same method, work was done.
 */
static int begin(request_rec *r)
{
    etv_bump_t *bump;
    int result = DECLINED, names = 0;

    if (etv_request_is_redirect(r))
        return DECLINED;
    for (const request_rec *each = r; each; each = etv_request_came_through(each))
        names |= etv_config_dir(each)->invalidate.items != NULL;
    if (names)
        result = begin_configured(r);
    bump = etv_bump_peek(r);
    if (bump && result == DECLINED && has_unsafe_method(r))
        etv_bump_witness(r, bump);
    return result;
}

/* What requests of the chain have left, from this one back: one that was refused on its way to a
 * handler has never looked at what led to it. */
static void collect_from(request_rec *r, request_rec *newest)
{
    etv_bump_t *bump;

    for (request_rec *each = newest; each; each = each->prev)
        etv_bump_collect(each);
    bump = etv_bump_peek(r);
    if (bump)
        etv_bump_watch(r, bump);
}

static void follow(request_rec *r)
{
    if (r->prev && !r->main)
        collect_from(r, r->prev);
}

int etv_bump_quick_handler(request_rec *r, int lookup)
{
    if (!lookup)
        follow(r);
    return DECLINED;
}

int etv_bump_handler(request_rec *r)
{
    const char *name;

    if (!etv_config_changes())
        return DECLINED;
    name = etv_config_invalidate_header(etv_config_dir(r));
    follow(r);
    if (name) {
        etv_said_take(r, name, r->pool); /* what is there already is not this backend's word */
        etv_bump_listen(r);
    }
    if (r->main || r->status != HTTP_OK || !etv_bump_is_unsafe(r) || etv_request_is_own(r))
        return DECLINED;
    return begin(r);
}

void etv_bump_insert_error(request_rec *r)
{
    if (etv_config_changes()) /* httpd is about to forget the headers of the handler */
        collect_from(r, r);
}
