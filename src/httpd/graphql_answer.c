/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GraphQL says with a status of 200 that something went wrong: a field could not be resolved, a
 * persisted document is not known. Such a response depends on more than its models, so it must not
 * be confirmed later.
 */
#include <httpd.h>
#include <http_protocol.h>
#include <util_filter.h>

#include "core/graphql_response.h"
#include "core/media_type.h"
#include "httpd/graphql.h"
#include "httpd/graphql_body.h"
#include "httpd/held.h"
#include "httpd/request.h"

static ap_filter_rec_t *answer_handle;

static apr_status_t go_on(ap_filter_t *f, apr_bucket_brigade *bb, const char *against)
{
    etv_request_t *request = etv_request_peek(f->r);
    ap_filter_t *next = f->next;
    etv_held_t *held = f->ctx;

    if (request)
        request->against = against;
    if (held)
        APR_BRIGADE_PREPEND(bb, held->buffer.held);
    ap_remove_output_filter(f);
    return ap_pass_brigade(next, bb);
}

/* What the whole response says. */
static const char *judge(const etv_held_t *held)
{
    const apr_bucket_brigade *bb = held->buffer.held;
    etv_graphql_scan_t scan;

    if (held->declared >= 0 && held->declared != held->buffer.length)
        return "error"; /* truncated, whatever the handler says */
    etv_graphql_scan_init(&scan);
    for (apr_bucket *b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb);
         b = APR_BUCKET_NEXT(b)) {
        const char *data;
        apr_size_t len;

        if (APR_BUCKET_IS_METADATA(b))
            continue;
        if (apr_bucket_read(b, &data, &len, APR_BLOCK_READ) != APR_SUCCESS)
            return "error";
        if (!etv_graphql_scan_feed(&scan, data, len))
            break;
    }
    return etv_graphql_scan_is_clean(&scan) ? NULL : "graphql-errors";
}

static apr_status_t hold(ap_filter_t *f, apr_bucket_brigade *bb)
{
    etv_held_t *held = f->ctx;

    while (!APR_BRIGADE_EMPTY(bb)) {
        apr_bucket *b = APR_BRIGADE_FIRST(bb);
        const char *against;

        if (APR_BUCKET_IS_EOS(b))
            return go_on(f, bb, judge(held));
        against = etv_held_take(f->r, held, b);
        if (against)
            return go_on(f, bb, against);
    }
    return APR_SUCCESS;
}

/* What the header says against a look into the body. Encoded bytes would have to be decoded. */
static const char *look_at_header(request_rec *r, apr_off_t *declared)
{
    etv_response_t now;

    etv_response_scan(r, &now);
    if (r->status != HTTP_OK)
        return "status";
    if (r->header_only)
        return "head";
    if (now.content_encoding)
        return "coding";
    if (!etv_media_type_matches(now.content_type, "application/json") &&
        !etv_media_type_matches(now.content_type, "application/*+json"))
        return "type";
    return etv_held_read_length(&now, declared) ? NULL : "oversize";
}

static apr_status_t answer_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    request_rec *r = f->r;
    const etv_request_t *request = etv_request_peek(r);
    const char *against;
    apr_off_t declared;

    if (f->ctx)
        return hold(f, bb);
    if (APR_BRIGADE_EMPTY(bb))
        return ap_pass_brigade(f->next, bb);
    if (!request || request->early || (!request->tagged && !request->declared))
        return go_on(f, bb, NULL);
    against = look_at_header(r, &declared);
    if (against)
        return go_on(f, bb, against);
    f->ctx = apr_palloc(r->pool, sizeof(etv_held_t));
    etv_held_begin(f->ctx, r, NULL, declared);
    return hold(f, bb);
}

void etv_graphql_insert(request_rec *r)
{
    ap_add_output_filter_handle(answer_handle, NULL, r, r->connection);
}

void etv_graphql_register(void)
{
    etv_graphql_body_register();
    /* In front of all encoders, those of AddOutputFilterByType too, which stand among the content
     * filters. */
    answer_handle = ap_register_output_filter("ETAG_VERSION_GRAPHQL", answer_filter, NULL,
                                              (ap_filter_type)(AP_FTYPE_RESOURCE - 4));
}
