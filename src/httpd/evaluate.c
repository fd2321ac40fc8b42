/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/evaluate.h"

#include <http_connection.h>
#include <http_protocol.h>
#include <util_filter.h>

#include "core/vary.h"
#include "httpd/conditions.h"
#include "httpd/head.h"
#include "httpd/life.h"
#include "httpd/policy.h"
#include "store/boottime.h"

/* Bytes of a script's output that are read for nobody. */
#define SOAK_MOST 65536
/* Bytes that no response has that will end. */
#define ENDLESS ((apr_off_t)1 << 30)
/* How long a response is read for nobody, and for mod_cache alone. */
#define PATIENCE_US apr_time_from_sec(5)
#define STORE_US    apr_time_from_sec(60)

static ap_filter_rec_t *evaluate_handle;
static ap_filter_rec_t *sink_handle;

/* --- what is there --- */

static etv_selected_t selected_of(request_rec *r, const etv_request_t *request)
{
    etv_selected_t selected = {.etag = etv_policy_field(r, "ETag"),
                               .last_modified = etv_policy_field(r, "Last-Modified"),
                               .accept_encoding = apr_table_get(r->headers_in, "Accept-Encoding")};

    if (request->client.if_range && !request->upstream_coded)
        selected.encoded = r->content_encoding || etv_policy_field(r, "Content-Encoding");
    if (apr_table_get(r->notes, "no-etag")) /* httpd will not send it */
        selected.etag = NULL;
    if (!selected.etag)
        return selected;
    if (request->stamped && strcmp(request->stamped, selected.etag) == 0) {
        selected.own = request->stamped_own;
        selected.identity_etag = request->stamped_plain;
    }
    return selected;
}

/* --- 304 --- */

/* Whether one of our tags names a coding. */
static int names_coding(const char *etag)
{
    const char *cursor = etag;
    etv_entity_tag_t tag;
    etv_entity_tag_own_t own;

    return etv_entity_tag_next(etag, &cursor, &tag) == ETV_ENTITY_TAG_ONE &&
           etv_entity_tag_own(&tag, &own) && own.coding;
}

void etv_evaluate_make_304(request_rec *r, const char *etag)
{
    r->status = HTTP_NOT_MODIFIED;
    r->status_line = NULL;
    etv_policy_drop_representation(r);
    if (!etag)
        return;
    etv_policy_set_field(r, "ETag", etag);
    /* also where the 200 would not have been encoded this time */
    if (names_coding(etag))
        etv_policy_set_field(
            r, "Vary", etv_vary_union(r->pool, etv_policy_field(r, "Vary"), "Accept-Encoding"));
}

int etv_evaluate_is_stored(const request_rec *r)
{
    for (const ap_filter_t *f = r->output_filters; f && f->r == r; f = f->next) {
        if (ap_cstr_casecmp(f->frec->name, "CACHE_SAVE") == 0)
            return 1;
    }
    return 0;
}

int etv_evaluate_for_cache(request_rec *r, etv_request_t *request)
{
    etv_selected_t selected;
    etv_precondition_t answer;

    if (r->status != HTTP_OK || etv_life_has_socache())
        return 0;
    selected = selected_of(r, request);
    /* The stored response was chosen by Vary already, and must be confirmed under its own tag. */
    answer = etv_precondition_evaluate(r->pool, &request->cache, &selected);
    if (answer.decision != ETV_PRECONDITION_NOT_MODIFIED)
        return 0;
    etv_evaluate_make_304(r, answer.etag);
    return 1;
}

/* --- the filter --- */

/**
 * What a request shows of its response. Filters in front of this one look at it for each piece of a
 * body (mod_filter chooses its providers anew, mod_cache compares lengths), so a 304 that is made
 * in the middle must not be seen by them.
 */
typedef struct {
    int status;
    const char *status_line;
    const char *content_type;
    const char *content_encoding;
    apr_array_header_t *content_languages;
    apr_off_t clength;
    apr_table_t *headers_out;
    apr_table_t *err_headers_out;
    int header_only;
    const char *method;
} face_t;

static face_t face_of(const request_rec *r)
{
    face_t face = {
        r->status,  r->status_line, r->content_type,    r->content_encoding, r->content_languages,
        r->clength, r->headers_out, r->err_headers_out, r->header_only,      r->method};

    return face;
}

static void wear(request_rec *r, const face_t *face)
{
    r->status = face->status;
    r->status_line = face->status_line;
    r->content_type = face->content_type;
    r->content_encoding = face->content_encoding;
    r->content_languages = face->content_languages;
    r->clength = face->clength;
    r->headers_out = face->headers_out;
    r->err_headers_out = face->err_headers_out;
    r->header_only = face->header_only;
    r->method = face->method;
}

/** The context of a filter that has said all there is to say. */
typedef struct {
    int masked;      /**< the request looks as it did before the answer, until the end */
    face_t answered; /**< what the client got, for the log */
    apr_off_t left;  /**< bytes that are dropped before the handler is told that nobody listens */
    apr_time_t until_us; /**< when it is told, however little came */
    int quietly;         /**< it may be told without harm */
} said_t;

/* mod_proxy_http closes the connection to its backend without a word; others write an error to the
 * log, or even send an error page of their own. */
static int stops_quietly(const request_rec *r)
{
    return r->proxyreq && r->filename && strncmp(r->filename, "proxy:http", 10) == 0;
}

/* mod_cache wants the whole; a HEAD that was run as GET need not be run to its end. */
static said_t *say(request_rec *r)
{
    const etv_request_t *request = etv_request_peek(r);
    int stored = etv_life_has_cache() && etv_evaluate_is_stored(r);
    said_t *said = apr_palloc(r->pool, sizeof(*said));

    said->masked = 0;
    said->quietly = stops_quietly(r);
    said->until_us = etv_boottime_us() + (stored ? STORE_US : PATIENCE_US);
    if (stored || !said->quietly)
        said->left = ENDLESS;
    else
        said->left = request->as_get ? 0 : etv_config_buffer_limit()->response;
    return said;
}

/*
 * The client has its answer, and may be gone: nothing that is sent would tell. A handler that would
 * answer again is told that it is; what it sends is then dropped by httpd itself.
 */
static apr_status_t give_up(request_rec *r, const said_t *said)
{
    if (!said->quietly) {
        r->connection->keepalive = AP_CONN_CLOSE;
        r->connection->aborted = 1;
    }
    return APR_ECONNABORTED;
}

apr_status_t etv_evaluate_swallow(ap_filter_t *f, apr_bucket_brigade *bb)
{
    said_t *said = f->ctx ? f->ctx : (f->ctx = say(f->r));
    int ends = !APR_BRIGADE_EMPTY(bb) && APR_BUCKET_IS_EOS(APR_BRIGADE_LAST(bb));

    for (apr_bucket *b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb);
         b = APR_BUCKET_NEXT(b)) {
        if (b->length != (apr_size_t)-1)
            said->left -= (apr_off_t)b->length;
    }
    apr_brigade_cleanup(bb);
    if (!ends && said->left > 0 && etv_boottime_us() < said->until_us)
        return APR_SUCCESS;
    if (said->masked)
        wear(f->r, &said->answered);
    said->masked = 0;
    return ends ? APR_SUCCESS : give_up(f->r, said);
}

/* Whether all that will come is here; a script's output, which has no length before it is read, is
 * not. */
static int is_whole(apr_bucket_brigade *bb)
{
    for (apr_bucket *b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb);
         b = APR_BUCKET_NEXT(b)) {
        if (APR_BUCKET_IS_EOS(b))
            return 1;
        if (b->length == (apr_size_t)-1)
            return 0;
    }
    return 0;
}

/* Let a script come to its end, if that is near; its handler may wait for it for ever otherwise. */
static apr_status_t soak_up(apr_bucket_brigade *rest, const said_t *said)
{
    apr_size_t left = SOAK_MOST;

    while (!APR_BRIGADE_EMPTY(rest)) {
        apr_bucket *b = APR_BRIGADE_FIRST(rest);
        int unknown = b->length == (apr_size_t)-1;
        const char *data;
        apr_size_t len = 0;

        if (unknown && apr_bucket_read(b, &data, &len, APR_BLOCK_READ) != APR_SUCCESS)
            return APR_ECONNABORTED;
        if (len > left || etv_boottime_us() >= said->until_us)
            return APR_ECONNABORTED;
        left -= len;
        apr_bucket_delete(b);
    }
    return APR_SUCCESS;
}

/* A small answer would wait for the handler's end otherwise. Below the header filter, which drops
 * everything that comes with a response without body. */
static void send_now(request_rec *r)
{
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);

    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_flush_create(bb->bucket_alloc));
    ap_pass_brigade(r->connection->output_filters, bb);
}

/*
 * The header, and no body. What comes from a script is read only when the client has its answer.
 * @param before  what the request showed before there was an answer, with tables of its own
 */
static apr_status_t end_now(ap_filter_t *f, apr_bucket_brigade *bb, const face_t *before)
{
    said_t *said = f->ctx = say(f->r);
    apr_bucket_brigade *header = apr_brigade_create(f->r->pool, f->c->bucket_alloc);
    apr_bucket *b, *next;
    int whole = is_whole(bb), ends = APR_BUCKET_IS_EOS(APR_BRIGADE_LAST(bb));
    int eos_sent = f->r->eos_sent;
    apr_status_t rv;

    for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb); b = next) {
        next = APR_BUCKET_NEXT(b);
        if (!APR_BUCKET_IS_METADATA(b) || APR_BUCKET_IS_EOS(b))
            continue;
        APR_BUCKET_REMOVE(b);
        APR_BRIGADE_INSERT_TAIL(header, b);
    }
    APR_BRIGADE_INSERT_TAIL(header, apr_bucket_eos_create(bb->bucket_alloc));
    rv = ap_pass_brigade(f->next, header);
    if (!whole)
        send_now(f->r);
    if (!ends) {
        said->answered = face_of(f->r);
        said->masked = 1;
        wear(f->r, before);
        f->r->eos_sent = eos_sent; /* for those in front the end may be still to come */
    }
    return rv == APR_SUCCESS ? soak_up(bb, f->ctx) : rv;
}

/*
 * httpd's own error page. The error path puts aside the chain that this filter is in, so what the
 * handler may send afterwards would go out behind the page: a sink takes it.
 */
static apr_status_t fail(ap_filter_t *f, apr_bucket_brigade *bb)
{
    request_rec *r = f->r;
    apr_bucket_brigade *error = apr_brigade_create(r->pool, f->c->bucket_alloc);

    etv_request_note(r, "412");
    APR_BRIGADE_INSERT_TAIL(
        error, ap_bucket_error_create(HTTP_PRECONDITION_FAILED, NULL, r->pool, bb->bucket_alloc));
    APR_BRIGADE_INSERT_TAIL(error, apr_bucket_eos_create(bb->bucket_alloc));
    r->status = HTTP_OK; /* what httpd's error path expects */
    f->ctx = say(r);
    ap_pass_brigade(f->next, error);
    ap_add_output_filter_handle(sink_handle, f->ctx, r, r->connection);
    if (!is_whole(bb))
        send_now(r);
    /* Handlers log what they are told of the error path, and a client can ask for it: not told. */
    return soak_up(bb, f->ctx);
}

static int has_error(apr_bucket_brigade *bb)
{
    for (apr_bucket *b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb);
         b = APR_BUCKET_NEXT(b)) {
        if (AP_BUCKET_IS_ERROR(b) || AP_BUCKET_IS_EOC(b))
            return 1;
    }
    return 0;
}

/* The header filter and a 304 change what others may still look at. */
static void use_copies(request_rec *r)
{
    r->headers_out = apr_table_copy(r->pool, r->headers_out);
    r->err_headers_out = apr_table_copy(r->pool, r->err_headers_out);
}

/* As if there had been no condition. */
static apr_status_t pass_on(ap_filter_t *f, apr_bucket_brigade *bb, const etv_request_t *request,
                            const face_t *before)
{
    if (request->as_get && !is_whole(bb)) {
        use_copies(f->r);
        return end_now(f, bb, before);
    }
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, bb);
}

static apr_status_t evaluate_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    request_rec *r = f->r;
    const etv_request_t *request = etv_request_peek(r);
    etv_selected_t selected;
    etv_precondition_t answer;
    face_t before;

    if (f->ctx)
        return etv_evaluate_swallow(f, bb);
    if (APR_BRIGADE_EMPTY(bb))
        return ap_pass_brigade(f->next, bb);
    before = face_of(r);
    etv_head_restore(r);
    /* RFC 9110 §13.2.1: only what would be a success is subject to conditions. */
    if (!ap_is_HTTP_SUCCESS(r->status) || has_error(bb)) {
        etv_conditions_restore(r, request, 1);
        return pass_on(f, bb, request, &before);
    }
    selected = selected_of(r, request);
    answer = etv_precondition_evaluate(r->pool, &request->client, &selected);
    /* §14.2: ranges are defined for GET alone. */
    etv_conditions_restore(r, request, answer.use_range && !r->header_only);
    switch (answer.decision) {
    case ETV_PRECONDITION_NOT_MODIFIED:
        etv_request_note(r, "late-304");
        use_copies(r);
        etv_evaluate_make_304(r, answer.etag);
        return end_now(f, bb, &before);
    case ETV_PRECONDITION_FAILED:
        return fail(f, bb);
    default:
        return pass_on(f, bb, request, &before);
    }
}

/* --- hooks --- */

void etv_evaluate_register(void)
{
    evaluate_handle = ap_register_output_filter("ETAG_VERSION_EVALUATE", evaluate_filter, NULL,
                                                (ap_filter_type)(AP_FTYPE_CONTENT_SET + 2));
    sink_handle = ap_register_output_filter("ETAG_VERSION_SINK", etv_evaluate_swallow, NULL,
                                            AP_FTYPE_RESOURCE);
}

void etv_evaluate_insert(request_rec *r, const etv_request_t *request)
{
    if (etv_conditions_any(&request->client) || request->client.range ||
        (r->header_only && etv_config_head_as_get(request->dir)))
        ap_add_output_filter_handle(evaluate_handle, NULL, r, r->connection);
}
