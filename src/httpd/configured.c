/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/configured.h"

#include <util_filter.h>

static apr_status_t swallow(ap_filter_t *f, apr_bucket_brigade *bb)
{
    (void)f;
    return apr_brigade_cleanup(bb);
}

/* Run one header filter, alone, over the shadow of a request. */
static void run_filter(request_rec *shadow, const char *name)
{
    static const char sink_name[] = "etag_version_sink";
    ap_filter_rec_t sink_rec = {.name = sink_name, .filter_func.out_func = swallow};
    ap_filter_rec_t *rec = ap_get_output_filter_handle(name);
    ap_filter_t sink = {.frec = &sink_rec, .r = shadow, .c = shadow->connection};
    ap_filter_t f = {.frec = rec, .next = &sink, .r = shadow, .c = shadow->connection};

    if (!rec)
        return;
    shadow->output_filters = &f;
    rec->filter_func.out_func(&f,
                              apr_brigade_create(shadow->pool, shadow->connection->bucket_alloc));
}

/*
 * mod_headers and mod_expires offer no way to ask what they would do, but both are filters that
 * look only at the request and its header tables. The shadow is what the early 304 would be:
 * status, tables and media type of the moment before the backend ran.
 */
etv_freshness_t etv_configured_freshness(request_rec *r, const etv_request_t *request)
{
    request_rec shadow = *r;
    etv_response_t now;

    shadow.status = HTTP_NOT_MODIFIED;
    shadow.headers_out = request->headers_before; /* copies that nobody else needs */
    shadow.err_headers_out = request->err_headers_before;
    shadow.notes = apr_table_copy(r->pool, r->notes);
    shadow.content_type = request->content_type_before;
    if (request->expires_before)
        run_filter(&shadow, "MOD_EXPIRES");
    etv_policy_apply(&shadow, request->dir, request);
    if (request->headers_filter)
        run_filter(&shadow, "FIXUP_HEADERS_OUT");
    etv_response_scan(&shadow, &now);
    etv_policy_unify(&shadow, &now);
    return etv_policy_freshness(&shadow);
}
