/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose word an error is. A handler that refuses a request with 4xx has changed nothing; but httpd
 * also says 4xx when it cannot read the rest of a body that the handler has begun to work on, and
 * so do other modules that do not like what the handler answers. Two filters see what the handler
 * reads and what it says, before anybody else has a say in it.
 */
#include <httpd.h>
#include <http_connection.h>
#include <http_protocol.h>
#include <util_filter.h>

#include "httpd/bump_state.h"
#include "httpd/proto_input.h"

static ap_filter_rec_t *answer_handle;
static ap_filter_rec_t *body_handle;

/* --- what it says --- */

static int has_error(const apr_bucket_brigade *bb)
{
    for (apr_bucket *b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb);
         b = APR_BUCKET_NEXT(b)) {
        if (AP_BUCKET_IS_ERROR(b) || AP_BUCKET_IS_EOC(b))
            return 1;
    }
    return 0;
}

static apr_status_t answer_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    request_rec *r = f->r;
    ap_filter_t *next = f->next;
    etv_bump_t *bump = f->ctx;

    if (APR_BRIGADE_EMPTY(bb) || ap_is_HTTP_INFO(r->status))
        return ap_pass_brigade(next, bb);
    if (bump->ran == r) {
        bump->began_with = r->status;
        bump->unsure |= has_error(bb);
    }
    ap_remove_output_filter(f);
    return ap_pass_brigade(next, bb);
}

static void watch_answer(request_rec *r, etv_bump_t *bump)
{
    for (const ap_filter_t *f = r->output_filters; f && f->r == r; f = f->next) {
        if (f->frec == answer_handle)
            return;
    }
    ap_add_output_filter_handle(answer_handle, bump, r, r->connection);
}

/* --- what it reads --- */

static apr_status_t body_filter(ap_filter_t *f, apr_bucket_brigade *bb, ap_input_mode_t mode,
                                apr_read_type_e block, apr_off_t readbytes)
{
    etv_bump_t *bump = f->ctx;
    apr_status_t rv = ap_get_brigade(f->next, bb, mode, block, readbytes);

    if (bump->body_ended || (block == APR_NONBLOCK_READ && APR_STATUS_IS_EAGAIN(rv)))
        return rv;
    bump->body_read = 1;
    if (rv != APR_SUCCESS) {
        bump->body_failed = 1;
        return rv;
    }
    bump->body_failed |= has_error(bb);
    bump->body_ended = !APR_BRIGADE_EMPTY(bb) && APR_BUCKET_IS_EOS(APR_BRIGADE_LAST(bb));
    return rv;
}

/* --- the verdict --- */

void etv_bump_witness(request_rec *r, etv_bump_t *bump)
{
    if (bump->ran && bump->ran != r)
        bump->worked |= !ap_is_HTTP_CLIENT_ERROR(bump->ran->status);
    bump->ran = r;
    bump->began_with = 0;
    watch_answer(r, bump);
    if (!etv_proto_input_find(r, body_handle)) /* from before an internal redirect */
        etv_proto_input_add(r, body_handle, bump);
}

/* What httpd says about a body that cannot be read (ap_map_http_request_error). */
static int is_about_bodies(int status)
{
    return status == HTTP_BAD_REQUEST || status == HTTP_REQUEST_TIME_OUT ||
           status == HTTP_REQUEST_ENTITY_TOO_LARGE;
}

/* A filter for content may fail behind the end of the body. */
static int may_be_about_body(const etv_bump_t *bump)
{
    const request_rec *ran = bump->ran;

    return is_about_bodies(ran->status) && bump->body_read &&
           (!bump->body_ended || ran->input_filters != ran->proto_input_filters);
}

/* What the handler itself began to say, it says when it knows. Without a word of it, httpd may have
 * stopped it anywhere. */
int etv_bump_is_doubtful(const request_rec *r, const etv_bump_t *bump, int status)
{
    if (!bump->ran || !ap_is_HTTP_ERROR(status))
        return 0;
    if (bump->began_with)
        return bump->began_with != status && !ap_is_HTTP_CLIENT_ERROR(bump->began_with);
    return bump->body_failed || r->connection->aborted || may_be_about_body(bump);
}

void etv_bump_witness_register(void)
{
    /* Behind httpd's own buffer (OLD_WRITE), before all others. */
    answer_handle = ap_register_output_filter("ETAG_VERSION_BUMP_ANSWER", answer_filter, NULL,
                                              (ap_filter_type)(AP_FTYPE_RESOURCE - 5));
    body_handle =
        ap_register_input_filter("ETAG_VERSION_BUMP_BODY", body_filter, NULL, AP_FTYPE_PROTOCOL);
}
