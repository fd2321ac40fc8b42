/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/stamp.h"

#include <http_connection.h>
#include <http_protocol.h>
#include <util_filter.h>
#include <apr_lib.h>
#include <apr_strings.h>

#include "core/accept_encoding.h"
#include "core/cache_control.h"
#include "core/vary.h"
#include "httpd/configured.h"
#include "httpd/coverage.h"
#include "httpd/log.h"
#include "httpd/policy.h"
#include "httpd/request.h"

static ap_filter_rec_t *policy_handle;
static ap_filter_rec_t *final_handle;

/* --- before the encoders --- */

static apr_status_t policy_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    const etv_request_t *request = etv_request_peek(f->r);
    const etv_dir_t *dir = etv_config_dir(f->r);

    etv_policy_apply(f->r, dir, request);
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, bb);
}

/* --- behind the encoders: the early 304 --- */

static void forget_media(request_rec *r)
{
    r->content_type = NULL;
    r->content_encoding = NULL;
    r->content_languages = NULL;
}

/* RFC 9110 §15.4.5: what describes the representation, other than what §15.4.5 names, stays out. */
static void drop_representation(request_rec *r)
{
    static const char *const fields[] = {"Content-Type",     "Content-Length", "Content-Encoding",
                                         "Content-Language", "Content-Range",  "Content-MD5",
                                         "Last-Modified",    "Accept-Ranges",  NULL};

    for (int i = 0; fields[i] && !apr_is_empty_table(r->headers_out); i++)
        apr_table_unset(r->headers_out, fields[i]);
    for (int i = 0; fields[i] && !apr_is_empty_table(r->err_headers_out); i++)
        apr_table_unset(r->err_headers_out, fields[i]);
    forget_media(r);
}

static void finish_early(request_rec *r, const etv_request_t *request)
{
    if (request->early_letter == 'u') {
        /* The 200 carried what only the backend knows: say nothing, caches keep what they have. */
        etv_policy_set_field(r, "Cache-Control", NULL);
        etv_policy_set_field(r, "Expires", NULL);
        etv_policy_set_field(r, "Vary", NULL);
    } else {
        etv_policy_unify(r);
        if (request->early_coded)
            etv_policy_set_field(
                r, "Vary", etv_vary_union(r->pool, etv_policy_field(r, "Vary"), "Accept-Encoding"));
    }
    drop_representation(r);
    etv_policy_set_field(r, "ETag", request->early);
}

/* --- behind the encoders: the 200 --- */

/*
 * The codings of the response, joined with `+`, in `coding`; empty for none.
 * @return 0 when they cannot stand in a tag
 */
static int codings(request_rec *r, char coding[ETV_ENTITY_TAG_CODING_MOST + 1])
{
    const char *from = etv_policy_field(r, "Content-Encoding"), *name;
    apr_size_t len, at = 0;
    int count = 0;

    if (!from)
        from = r->content_encoding;
    while (etv_vary_next(&from, &name, &len)) {
        if (len == 8 && ap_cstr_casecmpn(name, "identity", 8) == 0)
            continue;
        if (at + 1 + len > ETV_ENTITY_TAG_CODING_MOST || count++ == ETV_CODINGS_MOST)
            return 0;
        if (at)
            coding[at++] = '+';
        for (apr_size_t i = 0; i < len; i++) {
            if (!apr_isalnum(name[i]) && !strchr("_.-", name[i]))
                return 0;
            coding[at++] = (char)apr_tolower(name[i]);
        }
    }
    coding[at] = '\0';
    return 1;
}

/* mod_cache's marker, and the header of every other cache that follows RFC 9111 §5.1. */
static int comes_from_cache(request_rec *r)
{
    return apr_table_get(r->subprocess_env, "cache-hit") != NULL ||
           etv_policy_field(r, "Age") != NULL;
}

/* Whether this response may have the version tag: NULL, or the reason why not. */
static const char *judge(request_rec *r, const etv_request_t *request, const etv_freshness_t *final)
{
    const etv_identity_t *identity = &request->identity;

    if (r->status != HTTP_OK)
        return "status";
    if (apr_table_get(r->notes, "no-etag")) /* httpd will send none (FileETag None, mod_include) */
        return "no-etag";
    if (comes_from_cache(r))
        return "cached";
    /* A version tag must not stand on a 206, nor satisfy If-Range (RFC 9110 §13.1.5). */
    if (apr_table_get(r->headers_in, "Range"))
        return "range";
    if (!etv_config_replaces_upstream(request->dir) && etv_policy_field(r, "ETag"))
        return "kept";
    if (etv_cache_control_has(final->cache_control, "no-store"))
        return "no-store";
    if (etv_vary_has_any(final->vary))
        return "vary";
    if (!identity->none && etv_policy_field(r, "Set-Cookie"))
        return "set-cookie";
    if (!identity->n && etv_cache_control_has(final->cache_control, "private"))
        return "private";
    return etv_coverage_of_vary(r, request, final->vary) ? NULL : "vary";
}

/*
 * `v` when a 304 that never saw the backend would carry the same Cache-Control, Expires and Vary;
 * a coded response has Accept-Encoding in its Vary, and its 304 knows that from the tag.
 */
static char letter_for(request_rec *r, const etv_request_t *request, const etv_freshness_t *final,
                       int coded)
{
    etv_freshness_t configured = etv_configured_freshness(r, request);

    if (coded)
        configured.vary = etv_vary_union(r->pool, configured.vary, "Accept-Encoding");
    return etv_policy_same(configured.cache_control, final->cache_control) &&
                   etv_policy_same(configured.expires, final->expires) &&
                   etv_vary_same(configured.vary, final->vary)
               ? 'v'
               : 'u';
}

/*
 * What httpd itself varied on before the handler (mod_rewrite and <If> say so in Vary) is lost when
 * a handler replaces the headers, as mod_proxy does. It still decided what this response is.
 */
static void restore_vary(request_rec *r, const etv_request_t *request)
{
    if (request->own_vary)
        etv_policy_set_field(
            r, "Vary", etv_vary_union(r->pool, etv_policy_field(r, "Vary"), request->own_vary));
}

static const char *stamp(request_rec *r, etv_request_t *request)
{
    etv_freshness_t final;
    char coding[ETV_ENTITY_TAG_CODING_MOST + 1];
    const char *reason;
    char letter;

    final = etv_policy_freshness(r);
    reason = judge(r, request, &final);
    if (reason)
        return reason;
    if (!codings(r, coding))
        return "coding";
    letter = letter_for(r, request, &final, *coding != '\0');
    etv_policy_set_field(r, "ETag",
                         etv_tag_text(r->pool, &request->tag, letter, etv_config_weak(request->dir),
                                      *coding ? coding : NULL, strlen(coding)));
    return request->conditional ? "changed" : "fresh";
}

/*
 * What the body itself says against a tag: NULL, or the reason. To HTTP/1.0 a body without length
 * ends where the connection does (RFC 9112 §6.3), so a truncated one looks whole, and only a body
 * that is all here is known to be.
 */
static const char *judge_body(request_rec *r, apr_bucket_brigade *bb)
{
    for (apr_bucket *b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb);
         b = APR_BUCKET_NEXT(b)) {
        if (AP_BUCKET_IS_ERROR(b) || AP_BUCKET_IS_EOC(b))
            return "error";
    }
    if (r->proto_num < HTTP_VERSION(1, 1) && !etv_policy_field(r, "Content-Length") &&
        (APR_BRIGADE_EMPTY(bb) || !APR_BUCKET_IS_EOS(APR_BRIGADE_LAST(bb))))
        return "stream";
    return NULL;
}

static apr_status_t final_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    request_rec *r = f->r;
    etv_request_t *request = etv_request_peek(r);

    if (request && request->early && r->status == HTTP_NOT_MODIFIED) {
        finish_early(r, request);
    } else {
        etv_policy_unify(r);
        if (request)
            restore_vary(r, request);
        if (request && request->tagged && !request->early) {
            const char *reason = judge_body(r, bb);

            if (!reason)
                reason = stamp(r, request);
            etv_request_note(r, reason);
            ap_log_rerror(APLOG_MARK, APLOG_TRACE1, 0, r, "version tag: %s", reason);
        }
    }
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, bb);
}

/* --- hooks --- */

void etv_stamp_register(void)
{
    policy_handle = ap_register_output_filter("ETAG_VERSION_POLICY", policy_filter, NULL,
                                              (ap_filter_type)(AP_FTYPE_CONTENT_SET - 1));
    final_handle =
        ap_register_output_filter("ETAG_VERSION_FINAL", final_filter, NULL, AP_FTYPE_CONTENT_SET);
}

void etv_stamp_response(request_rec *r)
{
    ap_add_output_filter_handle(policy_handle, NULL, r, r->connection);
    ap_add_output_filter_handle(final_handle, NULL, r, r->connection);
}

void etv_stamp_early(request_rec *r, const etv_request_t *request)
{
    const ap_filter_t *first = r->output_filters; /* the chain is sorted by type */

    if (first && first->frec->ftype <= AP_FTYPE_CONTENT_SET) {
        etv_stamp_response(r);
        return;
    }
    if (request->early_coded || request->dir->policy || request->identity.n || request->vary ||
        !apr_is_empty_table(r->headers_out) || !apr_is_empty_table(r->err_headers_out)) {
        etv_policy_apply(r, request->dir, request);
        finish_early(r, request);
        return;
    }
    forget_media(r);
    apr_table_addn(r->headers_out, "ETag", request->early);
}

static int wants_unsafe_policy(const request_rec *r)
{
    const etv_dir_t *dir = etv_config_dir(r);

    return etv_config_is_on(dir) && dir->policy_unsafe && !r->main && !etv_request_is_get(r) &&
           !etv_request_is_switched_off(r);
}

void etv_stamp_error_document(request_rec *r)
{
    if (r->status != HTTP_OK && wants_unsafe_policy(r))
        etv_stamp_response(r);
}

void etv_stamp_insert_error(request_rec *r)
{
    if (wants_unsafe_policy(r))
        ap_add_output_filter_handle(policy_handle, NULL, r, r->connection);
}
