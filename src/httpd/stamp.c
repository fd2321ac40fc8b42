/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/stamp.h"

#include <http_connection.h>
#include <http_protocol.h>
#include <util_filter.h>
#include <apr_date.h>
#include <apr_strings.h>

#include "core/cache_control.h"
#include "core/digest.h"
#include "core/vary.h"
#include "httpd/configured.h"
#include "httpd/content.h"
#include "httpd/declared.h"
#include "httpd/evaluate.h"
#include "httpd/field_sets.h"
#include "httpd/graphql.h"
#include "httpd/header_tag.h"
#include "httpd/judge.h"
#include "httpd/life.h"
#include "httpd/policy.h"
#include "httpd/probe.h"
#include "httpd/request.h"
#include "httpd/strip.h"
#include "httpd/tag_header.h"

static ap_filter_rec_t *policy_handle;
static ap_filter_rec_t *final_handle;

/* --- behind the encoders: the early 304 --- */

static void finish_early(request_rec *r, const etv_request_t *request)
{
    etv_response_t now;

    if (request->early_letter == 'u') {
        /* The 200 carried what only the backend knows, and the tag names. Where it names nothing,
         * say nothing: caches keep what they have. */
        etv_field_sets_put(r, request->early_fields);
    } else {
        etv_response_scan(r, &now);
        etv_policy_unify(r, &now);
        if (request->early_coded)
            etv_policy_set_field(
                r, "Vary", etv_vary_union(r->pool, etv_policy_field(r, "Vary"), "Accept-Encoding"));
    }
    etv_policy_drop_representation(r);
    etv_policy_set_field(r, "Last-Modified", NULL); /* nobody asked the backend */
    etv_policy_set_field(r, "ETag", request->early);
}

/* --- behind the encoders: the 200 --- */

/*
 * `v` when a 304 that never saw the backend would carry the same Cache-Control, Expires and Vary,
 * and the same headers of ETagVersionTagHeader;
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
                   etv_vary_same(configured.vary, final->vary) &&
                   etv_tag_header_same(configured.tags, final->tags)
               ? 'v'
               : 'u';
}

/*
 * What httpd itself varied on before the handler (mod_rewrite and <If> say so in Vary) is lost when
 * a handler replaces the headers, as mod_proxy does. It still decided what this response is.
 */
static void restore_vary(request_rec *r, const etv_request_t *request)
{
    etv_policy_set_field(r, "Vary",
                         etv_vary_union(r->pool, etv_policy_field(r, "Vary"), request->own_vary));
}

/*
 * mod_cache stores a response without any lifetime for CacheDefaultExpire, once it has a validator.
 * A tag of ours must not make it more cacheable than it was (RFC 9111 §4.2.2): it may be stored,
 * and is asked about each time.
 */
static void guard_lifetime(request_rec *r, const etv_response_t *now)
{
    const char *modified = etv_policy_field(r, "Last-Modified"), *guard = NULL, *after;

    if (etv_policy_field(r, "Expires") ||
        (modified && apr_date_parse_http(modified) != APR_DATE_BAD) || !etv_evaluate_is_stored(r))
        return;
    if (!etv_cache_control_has(now->cache_control, "max-age") &&
        !etv_cache_control_has(now->cache_control, "s-maxage"))
        guard = apr_table_get(r->headers_in, "Authorization") ? "max-age=0"
                                                              : "max-age=0, must-revalidate";
    /* also written plainly: mod_cache knows no lifetime that is quoted, or none at all */
    after = etv_cache_control_merge(r->pool, now->cache_control, guard);
    if (!etv_policy_same(after, now->cache_control))
        etv_policy_set_field(r, "Cache-Control", after);
}

/* Give the response a tag of ours. @param plain  the same tag without coding */
static void put_tag(request_rec *r, etv_request_t *request, const etv_response_t *now,
                    const char *text, const char *plain)
{
    request->stamped = text;
    request->stamped_plain = plain;
    request->stamped_own = 1;
    if (now->etag)
        etv_policy_set_field(r, "ETag", text);
    else
        apr_table_addn(r->headers_out, "ETag", text);
    if (etv_life_cache_needs_validator())
        guard_lifetime(r, now);
}

static const char *said_of(const etv_request_t *request)
{
    return request->conditional || request->client.if_none_match ? "changed" : "fresh";
}

/* What an early 304 shall repeat is what is sent, with the tag's own consequences. */
static int name_fields(request_rec *r, etv_request_t *request, const etv_response_t *now,
                       unsigned char *id)
{
    etv_freshness_t final;

    if (etv_life_cache_needs_validator())
        guard_lifetime(r, now);
    final = etv_policy_freshness(r);
    /* A max-age that the policy has made of a date would make the lifetime longer when it is said
     * again later. */
    if (request->expires_alone && etv_cache_control_has(final.cache_control, "max-age"))
        return 0;
    return etv_field_sets_name(r, request, &final, id);
}

static const char *stamp_version(request_rec *r, etv_request_t *request, const etv_response_t *now,
                                 apr_bucket_brigade *bb)
{
    etv_freshness_t final;
    char coding[ETV_ENTITY_TAG_CODING_MOST + 1];
    int weak = etv_config_weak(request->dir);
    const char *reason = etv_judge_body(r, bb);
    unsigned char id[ETV_TEXT_ID_BYTES], *named = NULL;
    char letter;

    if (!reason)
        reason = etv_judge_version(r, request, now);
    if (reason)
        return reason;
    if (!etv_judge_codings(now->content_encoding, coding))
        return "coding";
    final = etv_policy_freshness(r);
    letter = letter_for(r, request, &final, *coding != '\0');
    if (letter == 'u' && name_fields(r, request, now, id))
        named = id;
    put_tag(r, request, now,
            etv_tag_text(r->pool, &request->tag, letter, named, weak, *coding ? coding : NULL,
                         strlen(coding)),
            etv_tag_text(r->pool, &request->tag, letter, named, weak, NULL, 0));
    if (request->declared)
        etv_declared_publish(r, request);
    return request->conditional ? "changed" : "fresh";
}

static const char *stamp_digest(request_rec *r, etv_request_t *request, const etv_response_t *now,
                                char letter, const char *digest, int weak)
{
    const char *text, *plain = text = etv_tag_write(r->pool, letter, digest, weak, NULL, 0);
    char *coding = NULL;

    if (now->content_encoding) {
        coding = apr_palloc(r->pool, ETV_ENTITY_TAG_CODING_MOST + 1);
        if (!etv_judge_codings(now->content_encoding, coding))
            return "coding";
    }
    if (coding && *coding) {
        text = etv_tag_write(r->pool, letter, digest, weak, coding, strlen(coding));
        /* which of its codings a client gets is told by its Accept-Encoding */
        etv_policy_set_field(
            r, "Vary", etv_vary_union(r->pool, etv_policy_field(r, "Vary"), "Accept-Encoding"));
    }
    put_tag(r, request, now, text, plain);
    return said_of(request);
}

/*
 * What a cache or a client would take for another representation is another one: as it will be
 * sent, but for what httpd's encoders have done to it.
 */
static void finish_content(request_rec *r, const etv_request_t *request, const etv_response_t *now,
                           char digest[ETV_ENTITY_TAG_DIGEST_CHARS])
{
    const char *const fields[] = {ap_make_content_type(r, r->content_type), now->content_language,
                                  request->content_encoding};
    unsigned char result[ETV_DIGEST_BYTES];

    for (int i = 0; i < 3; i++) {
        if (fields[i])
            etv_digest_update_field(request->content, fields[i]);
        else
            etv_digest_update_no_field(request->content);
    }
    etv_digest_result(request->content, result);
    etv_tag_base64url(digest, result);
}

/* @param judged  nothing has had its say since etv_judge_content */
static const char *stamp_content(request_rec *r, etv_request_t *request, const etv_response_t *now,
                                 int judged)
{
    const char *reason = judged ? NULL : etv_judge_content(r, request, now);
    char digest[ETV_ENTITY_TAG_DIGEST_CHARS];

    if (reason)
        return reason;
    finish_content(r, request, now, digest);
    return stamp_digest(r, request, now, 'c', digest, etv_config_weak_content(request->dir));
}

static const char *stamp_header(request_rec *r, etv_request_t *request, const etv_response_t *now,
                                apr_bucket_brigade *bb)
{
    const char *reason = etv_judge_body(r, bb);

    if (!reason)
        reason = etv_judge_version(r, request, now);
    return reason
               ? reason
               : stamp_digest(r, request, now, 'h', request->header, etv_config_weak(request->dir));
}

/*
 * A backend's tag that stays, where its conditions are judged here. If httpd has encoded the body,
 * the bytes are not reproducible and the tag is weak and names the coding, whatever the encoders
 * have made of it.
 */
static void settle_kept(request_rec *r, etv_request_t *request, const etv_response_t *now)
{
    char coding[ETV_ENTITY_TAG_CODING_MOST + 1];
    const char *cursor = request->upstream;
    etv_entity_tag_t tag;

    if (!request->upstream || request->upstream_coded || !request->evaluates ||
        r->status != HTTP_OK || !etv_judge_codings(now->content_encoding, coding) || !*coding ||
        etv_entity_tag_next(request->upstream, &cursor, &tag) != ETV_ENTITY_TAG_ONE)
        return;
    request->stamped_plain = request->upstream;
    request->stamped = apr_psprintf(r->pool, "W/\"%.*s-%s\"", (int)tag.len, tag.opaque, coding);
    etv_policy_set_field(r, "ETag", request->stamped);
}

/* GET's tag will not be the backend's: a HEAD that showed that one would make caches drop what they
 * have of GET (RFC 9111 §4.3.5). */
static void settle_head(request_rec *r, const etv_request_t *request)
{
    if (etv_config_replaces_upstream(request->dir) && r->status == HTTP_OK)
        etv_policy_set_field(r, "ETag", NULL);
}

static void settle_tag(request_rec *r, etv_request_t *request, const etv_response_t *now,
                       apr_bucket_brigade *bb, int judged)
{
    const char *reason = request->content_reason;

    if (request->content)
        reason = stamp_content(r, request, now, judged);
    else if (request->tagged)
        reason = stamp_version(r, request, now, bb);
    else if (request->header)
        reason = stamp_header(r, request, now, bb);
    else if (request->header_ready && !reason)
        reason = "status";
    if (!request->stamped)
        settle_kept(r, request, now);
    if (!request->stamped && reason && strcmp(reason, "head") == 0)
        settle_head(r, request);
    if (!reason)
        return;
    if (request->noted)
        etv_request_note(r, reason);
    else
        apr_table_addn(r->notes, ETV_NOTE, reason);
    request->noted = 1;
}

/*
 * Say what there is to say behind the encoders.
 * @param known  what the response says, where nothing could have changed it; NULL to look
 * @return 1 when mod_cache was told 304: nothing more of the response may be passed on
 */
static int settle(request_rec *r, etv_request_t *request, apr_bucket_brigade *bb,
                  const etv_response_t *known)
{
    etv_response_t now;

    if (request && request->early && r->status == HTTP_NOT_MODIFIED) {
        finish_early(r, request);
        return 0;
    }
    if (request && request->own_vary) {
        restore_vary(r, request);
        known = NULL;
    }
    if (!known)
        etv_response_scan(r, &now);
    etv_policy_unify(r, known ? known : &now);
    if (!request)
        return 0;
    settle_tag(r, request, known ? known : &now, bb, known != NULL);
    if (!request->withheld || !etv_conditions_any(&request->cache) ||
        !etv_evaluate_for_cache(r, request))
        return 0;
    etv_request_note(r, "revalidated");
    request->ended = 1;
    apr_brigade_cleanup(bb);
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(bb->bucket_alloc));
    return 1;
}

static apr_status_t final_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    etv_request_t *request = etv_request_peek(f->r);

    if (request && request->ended)
        return etv_evaluate_swallow(f, bb);
    if (!settle(f->r, request, bb, NULL))
        ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, bb);
}

/* --- before the encoders --- */

/* What the handler said, before encoders change it. */
static void note_upstream(request_rec *r, etv_request_t *request, const etv_response_t *now)
{
    const etv_probe_t *probe = etv_probe_of(request, now);
    char coding[ETV_ENTITY_TAG_CODING_MOST + 1];

    request->upstream = probe ? probe->etag : now->etag;
    request->upstream_coded = !probe && now->content_encoding &&
                              (!etv_judge_codings(now->content_encoding, coding) || *coding);
    if (request->header_ready)
        request->header = etv_header_tag_digest(r, request, &request->content_reason);
}

static void note_expires(request_rec *r, etv_request_t *request)
{
    request->expires_alone =
        etv_policy_field(r, "Expires") &&
        !etv_cache_control_has(etv_policy_field(r, "Cache-Control"), "max-age");
}

void etv_stamp_begin(request_rec *r, etv_response_t *now)
{
    etv_request_t *request = etv_request_peek(r);
    int declares = request && request->declared;

    if (declares)
        etv_declared_settle(r, request);
    if (request && request->tagged && request->dir->policy)
        note_expires(r, request);
    etv_policy_apply(r, etv_config_dir(r), request);
    etv_response_scan(r, now);
    if (declares)
        etv_declared_remember(r, request, now);
    if (request && ap_is_HTTP_SUCCESS(r->status))
        note_upstream(r, request, now);
}

apr_status_t etv_stamp_pass(ap_filter_t *f, apr_bucket_brigade *bb, const etv_response_t *known)
{
    request_rec *r = f->r;
    ap_filter_t *next = f->next;

    ap_remove_output_filter(f);
    if (!next || next->frec->ftype > AP_FTYPE_CONTENT_SET) {
        if (settle(r, etv_request_peek(r), bb, known))
            ap_add_output_filter_handle(final_handle, NULL, r, r->connection);
    } else {
        ap_add_output_filter_handle(final_handle, NULL, r, r->connection);
    }
    return ap_pass_brigade(next, bb);
}

static apr_status_t policy_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    etv_response_t now;

    if (APR_BRIGADE_EMPTY(bb))
        return ap_pass_brigade(f->next, bb);
    etv_stamp_begin(f->r, &now);
    return etv_stamp_pass(f, bb, &now);
}

/* --- hooks --- */

void etv_stamp_register(void)
{
    policy_handle = ap_register_output_filter("ETAG_VERSION_POLICY", policy_filter, NULL,
                                              (ap_filter_type)(AP_FTYPE_CONTENT_SET - 1));
    final_handle =
        ap_register_output_filter("ETAG_VERSION_FINAL", final_filter, NULL, AP_FTYPE_CONTENT_SET);
}

void etv_stamp_headers(request_rec *r)
{
    ap_add_output_filter_handle(policy_handle, NULL, r, r->connection);
}

void etv_stamp_response(request_rec *r, const etv_request_t *request)
{
    if (request->evaluates) {
        /* the chain is sorted by type */
        if (r->output_filters->frec->ftype < AP_FTYPE_CONTENT_SET - 1)
            etv_probe_insert(r);
        if (r->header_only || request->client.range || etv_conditions_any(&request->client))
            etv_evaluate_insert(r, request);
    }
    if (etv_config_is_graphql(request->dir) && (request->tagged || request->declared))
        etv_graphql_insert(r);
    if (request->evaluates && !request->asks && etv_config_uses_content(request->dir))
        etv_content_insert(r);
    else
        etv_stamp_headers(r);
}

void etv_stamp_early(request_rec *r, const etv_request_t *request)
{
    const ap_filter_t *first = r->output_filters; /* the chain is sorted by type */

    if (first && first->frec->ftype <= AP_FTYPE_CONTENT_SET) {
        etv_stamp_headers(r);
        return;
    }
    if (request->early_coded || request->early_fields || request->dir->policy ||
        request->dir->tag_header.items || request->identity.n || request->vary ||
        !apr_is_empty_table(r->headers_out) || !apr_is_empty_table(r->err_headers_out)) {
        etv_policy_apply(r, request->dir, request);
        finish_early(r, request);
        return;
    }
    etv_policy_forget_media(r);
    apr_table_addn(r->headers_out, "ETag", request->early);
}

static int wants_unsafe_policy(const request_rec *r)
{
    const etv_dir_t *dir = etv_config_dir(r);

    return etv_config_is_on(dir) && dir->policy_unsafe && !r->main &&
           !etv_request_reads(r, etv_request_peek(r)) && !etv_request_is_switched_off(r);
}

void etv_stamp_error_document(request_rec *r)
{
    if (r->status != HTTP_OK && wants_unsafe_policy(r))
        etv_stamp_headers(r);
}

void etv_stamp_insert_error(request_rec *r)
{
    if (wants_unsafe_policy(r))
        ap_add_output_filter_handle(policy_handle, NULL, r, r->connection);
    etv_strip_insert(r);
}
