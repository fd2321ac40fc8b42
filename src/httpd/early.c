/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/early.h"

#include <http_core.h>
#include <http_protocol.h>
#include <util_filter.h>

#include "core/accept_encoding.h"
#include "httpd/conditions.h"
#include "httpd/declared.h"
#include "httpd/field_sets.h"
#include "httpd/head.h"
#include "httpd/life.h"
#include "httpd/log.h"
#include "httpd/request.h"
#include "httpd/stamp.h"
#include "httpd/strip.h"

#define CODED_MOST 4
/* As many tags with a set of header fields are looked at: each costs a keyed digest. */
#define NAMED_MOST 8

/*
 * mod_cache_socache loses the stored body when it is revalidated. mod_cache puts its own copy of
 * the stored tag into the request, so the address of the text tells whose condition it is, even
 * when both are equal.
 */
static int is_clients_own(request_rec *r, const char *condition)
{
    return !etv_life_has_socache() || etv_conditions_is_clients(r, condition);
}

static int serves_file(const char *handler)
{
    if (!handler || strcmp(handler, "default-handler") == 0 || strcmp(handler, "cgi-script") == 0)
        return 1;
    return strchr(handler, '/') && strncmp(handler, "proxy:", 6) != 0; /* a media type */
}

/* What must run its own course although a tag might match. */
static int must_run(const request_rec *r)
{
    if (etv_request_is_redirect(r))
        return 1;
    return r->finfo.filetype == APR_NOFILE && serves_file(r->handler);
}

static int take(request_rec *r, etv_request_t *request, etv_tag_t *right, const char *text)
{
    request->early = text;
    if (request->declared)
        etv_declared_choose(r, request, right);
    return 1;
}

/*
 * RFC 9110 §13.1.2 with weak comparison, as far as it concerns tags of ours; If-Modified-Since is
 * not looked at when If-None-Match is present (§13.1.3). A tag with a coding matches only a request
 * that accepts it: a shared cache must not serve gzip to a client that cannot read it.
 */
static int find_match(request_rec *r, etv_request_t *request, const char *list)
{
    const char *cursor = list;
    int coded = 0, named = 0;
    etv_entity_tag_t tag;
    etv_entity_tag_own_t own;
    etv_tag_t *right;

    right = etv_declared_first(request);
    request->early_letter = right ? etv_tag_is_whole_list(right, list) : 0;
    if (request->early_letter && etv_config_weak(request->dir))
        return take(r, request, right, list);
    while (etv_entity_tag_next(list, &cursor, &tag) == ETV_ENTITY_TAG_ONE) {
        if (!etv_entity_tag_own(&tag, &own))
            continue;
        right = etv_declared_tag(request, &own);
        if (!right || (own.fields && named++ == NAMED_MOST) || !etv_tag_is(right, &own))
            continue;
        /* An honest list has one of each coding; more would only cost time. */
        if (own.coding && coded++ == CODED_MOST)
            return 0;
        if (own.coding &&
            !etv_accept_encoding_allows(apr_table_get(r->headers_in, "Accept-Encoding"), own.coding,
                                        own.coding_len))
            continue;
        /* What its 200 said is not known any more: the backend says it again. */
        if (own.fields &&
            !(request->early_fields = etv_field_sets_find(r, request, own.fields, right->key)))
            continue;
        request->early_letter = own.letter;
        request->early_coded = own.coding != NULL;
        return take(r, request, right,
                    etv_tag_write_own(r->pool, &own, etv_config_weak(request->dir)));
    }
    return 0;
}

/*
 * The answer goes down the normal filter chain, not through httpd's error path: the headers that
 * configuration gives stay, and mod_cache revalidates what it stored.
 */
static int answer(request_rec *r, etv_request_t *request)
{
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);

    if (etv_life_has_brotli())
        apr_table_setn(r->subprocess_env, "no-brotli", "1"); /* it would change ETag and Vary */
    r->status = HTTP_NOT_MODIFIED;
    r->status_line = NULL;
    etv_stamp_early(r, request);
    apr_table_addn(r->notes, ETV_NOTE, "early-304"); /* a request with a tag has no note yet */
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, "ETV0320: not modified, the backend is not asked");
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(bb->bucket_alloc));
    ap_pass_brigade(r->output_filters, bb);
    return OK;
}

static int has_filter(const request_rec *r, const char *name)
{
    for (const ap_filter_t *f = r->output_filters; f && f->r == r; f = f->next) {
        if (ap_cstr_casecmp(f->frec->name, name) == 0)
            return 1;
    }
    return 0;
}

static void remember_before(request_rec *r, etv_request_t *request)
{
    request->headers_before = apr_table_copy(r->pool, r->headers_out);
    request->err_headers_before = apr_table_copy(r->pool, r->err_headers_out);
    request->content_type_before = r->content_type;
    request->expires_before = has_filter(r, "MOD_EXPIRES");
    request->headers_filter = has_filter(r, "FIXUP_HEADERS_OUT");
}

static int try_early(request_rec *r, etv_request_t *request, const char *list)
{
    if (must_run(r) || !is_clients_own(r, list))
        return DECLINED;
    if (find_match(r, request, list))
        return answer(r, request);
    request->conditional = 1;
    return DECLINED;
}

int etv_early_handler(request_rec *r)
{
    etv_request_t *request = etv_request_get(r);

    if (!request) {
        etv_stamp_error_document(r);
        etv_strip_insert(r);
        return DECLINED;
    }
    if (etv_declared_any(request)) {
        /* RFC 9110 §13.2.2 evaluates If-Match and If-Unmodified-Since first */
        if (request->if_none_match && !request->preconditions &&
            try_early(r, request, request->if_none_match) == OK)
            return OK;
    }
    if (request->tagged || request->declared)
        remember_before(r, request);
    if (request->declared)
        etv_declared_begin(r, request);
    etv_stamp_response(r, request);
    etv_strip_insert(r);
    return DECLINED;
}

/* Answer mod_cache's own condition, if it asks for the tag that this request has. */
static int answer_cache(request_rec *r, etv_request_t *request)
{
    const char *list = apr_table_get(r->headers_in, "If-None-Match");

    if (!list || list == request->if_none_match) /* not mod_cache's */
        return DECLINED;
    if (apr_table_get(r->headers_in, "If-Match") ||
        apr_table_get(r->headers_in, "If-Unmodified-Since")) /* mod_cache leaves neither */
        return DECLINED;
    etv_declared_read_more(r, request, list);
    return etv_declared_any(request) ? try_early(r, request, list) : DECLINED;
}

int etv_early_handler_behind_cache(request_rec *r)
{
    etv_request_t *request = r->main ? NULL : etv_request_peek(r);

    if (!request || r->status != HTTP_OK)
        return DECLINED;
    if ((request->tagged || request->declared) && answer_cache(r, request) == OK)
        return OK;
    if (request->evaluates) {
        etv_conditions_withhold(r, request);
        etv_head_run_as_get(r, request);
    }
    return DECLINED;
}
