/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The response of a request that bumps, in two filters. The first one stands before everything that
 * stores or encodes: it takes the backend's header away, and makes the first bump. httpd drops it
 * where it begins a response anew (an internal redirect, an error page), and hooks put it back. The
 * last one stands behind everything that reads what the backend sends: the end of the stream is the
 * end of the backend's work only there (a CGI script may still be writing when its end is passed
 * on). It stays, and makes up for the first where that was never called, as in front of mod_cache's
 * quick handler.
 */
#include <httpd.h>
#include <http_connection.h>
#include <http_protocol.h>
#include <http_request.h>
#include <util_filter.h>

#include "httpd/bump_state.h"
#include "httpd/config.h"
#include "httpd/life.h"
#include "httpd/log.h"
#include "httpd/request.h"
#include "httpd/versions.h"

static ap_filter_rec_t *first_handle;
static ap_filter_rec_t *last_handle;
static ap_filter_rec_t *tunnel_handle;

/* --- what happens to the changes --- */

typedef apr_status_t each_fn(etv_change_t *change);

/* There are changes, and so there are models. */
static void for_each(request_rec *r, const etv_bump_t *bump, each_fn *fn)
{
    apr_status_t rv = APR_SUCCESS;

    for (int i = 0; i < bump->changes->nelts; i++) {
        apr_status_t one = fn(APR_ARRAY_IDX(bump->changes, i, etv_change_t *));

        rv = one == APR_SUCCESS ? rv : one;
    }
    etv_versions_note(r, NULL, (const etv_model_t *)(const void *)bump->models->elts,
                      bump->models->nelts);
    if (rv == APR_SUCCESS)
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, "ETV0353: bumped: %s",
                      apr_table_get(r->notes, ETV_NOTE_MODELS));
    else /* the store has said what is wrong with it */
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, rv, r,
                      "ETV0355: a bump was not delivered, it will be tried again: %s",
                      apr_table_get(r->notes, ETV_NOTE_MODELS));
    etv_request_note(r, rv == APR_SUCCESS ? "bumped" : "undelivered");
}

static void end_all(request_rec *r, etv_bump_t *bump)
{
    for_each(r, bump, etv_change_end);
    apr_array_clear(bump->changes);
}

/*
 * A gateway made the response up because it heard no more, or the response was broken off: the
 * backend may still commit. The change stays open for as long as httpd would have waited.
 */
static void leave_all(etv_bump_t *bump)
{
    for (int i = 0; i < bump->changes->nelts; i++)
        etv_change_leave(APR_ARRAY_IDX(bump->changes, i, etv_change_t *));
    apr_array_clear(bump->changes);
}

static void withdraw_all(etv_bump_t *bump)
{
    for (int i = 0; i < bump->changes->nelts; i++)
        etv_change_withdraw(APR_ARRAY_IDX(bump->changes, i, etv_change_t *));
    apr_array_clear(bump->changes);
    apr_array_clear(bump->models);
}

/* What the backend named comes into a change that is under way, or one of its own. */
static void add_said(request_rec *r, etv_bump_t *bump)
{
    const etv_server_t *server = etv_config_server(r->server);
    int known = bump->models->nelts;

    if (!bump->said->nelts || !server->store || !etv_life_keeper())
        return;
    for (int i = 0; i < bump->said->nelts; i++) {
        const etv_model_t *m = &APR_ARRAY_IDX(bump->said, i, etv_model_t);

        if (!etv_bump_knows(bump->models, m->hash))
            APR_ARRAY_PUSH(bump->models, etv_model_t) = *m;
    }
    apr_array_clear(bump->said);
    if (bump->models->nelts == known)
        return;
    if (!bump->changes->nelts)
        APR_ARRAY_PUSH(bump->changes, etv_change_t *) = etv_change_make(
            r->pool, etv_life_keeper(), server->store, server->scope, r->server->timeout);
    etv_change_add(APR_ARRAY_IDX(bump->changes, 0, etv_change_t *),
                   &APR_ARRAY_IDX(bump->models, known, etv_model_t), bump->models->nelts - known);
}

/* --- what the response says --- */

typedef struct {
    int whole;  /* all of it is here, and was read from the backend */
    int ended;  /* the end is here */
    int broken; /* a proxy says that the backend broke off */
} pieces_t;

static pieces_t look_at(const apr_bucket_brigade *bb)
{
    pieces_t found = {0, 0, 0};
    int unread = 0;

    for (apr_bucket *b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb) && !found.ended;
         b = APR_BUCKET_NEXT(b)) {
        found.ended = APR_BUCKET_IS_EOS(b);
        found.broken |= AP_BUCKET_IS_ERROR(b) || AP_BUCKET_IS_EOC(b);
        unread |= b->length == (apr_size_t)-1;
    }
    found.whole = found.ended && !unread && !found.broken;
    return found;
}

static request_rec *last_of(request_rec *r)
{
    while (r->next)
        r = r->next;
    return r;
}

static int status_of(request_rec *r, const etv_bump_t *bump)
{
    return bump->ran ? bump->ran->status : last_of(r)->status;
}

/*
 * The response begins: the first bump, or none when the request was refused. mod_proxy answers 502
 * also when the backend takes too long, not only 504; and a 4xx of httpd's own, because the rest of
 * the request cannot be read or another module does not like the response, refuses nothing.
 */
static void respond(request_rec *r, etv_bump_t *bump, const pieces_t *found)
{
    int status = status_of(r, bump);
    int is_4xx = ap_is_HTTP_CLIENT_ERROR(status);

    bump->answered = 1;
    bump->unsure |= found->broken || status == HTTP_BAD_GATEWAY ||
                    status == HTTP_GATEWAY_TIME_OUT || etv_bump_is_doubtful(r, bump, status);
    if (is_4xx && !bump->unsure && !bump->worked && !bump->body_failed)
        withdraw_all(bump);
    add_said(r, bump);
    if (!bump->changes->nelts)
        return;
    if (found->whole && !bump->unsure)
        end_all(r, bump);
    else
        for_each(r, bump, etv_change_bump);
}

/* The response has ended. A client that is gone may have made httpd end it. */
static void finish(request_rec *r, etv_bump_t *bump)
{
    if (!bump->changes->nelts)
        return;
    if (bump->unsure || r->connection->aborted)
        leave_all(bump);
    else
        end_all(r, bump);
}

/* --- a connection that becomes a tunnel --- */

/** Of a connection: the request that may make it a tunnel; NULL for none. */
typedef struct {
    request_rec *r;
    etv_bump_t *bump;
} tunnel_t;

/*
 * mod_proxy sends 101 past the filters of the request, as it does all interim responses, and takes
 * those away. What the tunnel carries is not the request's any more: its work is done (RFC 9110
 * §15.2.2), and nothing may stay open for as long as the tunnel does.
 */
static apr_status_t tunnel_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    tunnel_t *tunnel = f->ctx;
    request_rec *r = tunnel->r ? last_of(tunnel->r) : NULL;

    if (r && r->status == HTTP_SWITCHING_PROTOCOLS && tunnel->bump->changes->nelts) {
        tunnel->bump->answered = 1;
        end_all(r, tunnel->bump);
    }
    return ap_pass_brigade(f->next, bb);
}

static tunnel_t *find_tunnel(const conn_rec *c)
{
    for (const ap_filter_t *f = c->output_filters; f; f = f->next) {
        if (f->frec == tunnel_handle)
            return f->ctx;
    }
    return NULL;
}

/* The connection outlives the request; it may have the next one already. */
static apr_status_t forget_tunnel(void *request)
{
    const request_rec *r = request;
    tunnel_t *tunnel = find_tunnel(r->connection);

    if (tunnel && tunnel->r == r)
        tunnel->r = NULL;
    return APR_SUCCESS;
}

static void watch_connection(request_rec *r, etv_bump_t *bump)
{
    tunnel_t *tunnel;

    if (r->connection->master || !apr_table_get(r->headers_in, "Upgrade"))
        return;
    tunnel = find_tunnel(r->connection);
    if (!tunnel) {
        tunnel = apr_palloc(r->connection->pool, sizeof(*tunnel));
        ap_add_output_filter_handle(tunnel_handle, tunnel, NULL, r->connection);
    }
    tunnel->r = r;
    tunnel->bump = bump;
    apr_pool_cleanup_register(r->pool, r, forget_tunnel, apr_pool_cleanup_null);
}

/* --- filters --- */

/* Everything of a subrequest's response before its end, so that it has been read. */
static apr_status_t pass_all_but_end(ap_filter_t *next, apr_bucket_brigade *bb)
{
    apr_bucket *end = APR_BRIGADE_FIRST(bb);
    apr_bucket_brigade *rest;
    apr_status_t rv;

    while (end != APR_BRIGADE_SENTINEL(bb) && !APR_BUCKET_IS_EOS(end))
        end = APR_BUCKET_NEXT(end);
    rest = apr_brigade_split_ex(bb, end, NULL);
    rv = ap_pass_brigade(next, bb);
    apr_brigade_cleanup(bb);
    APR_BRIGADE_CONCAT(bb, rest);
    return rv;
}

/* A subrequest is part of another response, so the last filter is not for it. */
static apr_status_t pass_subrequest(ap_filter_t *f, apr_bucket_brigade *bb, etv_bump_t *bump)
{
    ap_filter_t *next = f->next;
    pieces_t found = look_at(bb);
    apr_status_t rv = APR_SUCCESS;

    if (found.ended) {
        if (bump->changes->nelts && !found.whole)
            rv = pass_all_but_end(next, bb);
        finish(f->r, bump);
        ap_remove_output_filter(f);
    }
    return rv == APR_SUCCESS ? ap_pass_brigade(next, bb) : rv;
}

static apr_status_t first_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    request_rec *r = f->r;
    ap_filter_t *next = f->next;
    etv_bump_t *bump;
    pieces_t found;

    if (APR_BRIGADE_EMPTY(bb) || ap_is_HTTP_INFO(r->status))
        return ap_pass_brigade(next, bb);
    etv_bump_collect(r);
    bump = etv_bump_peek(r);
    if (bump && !bump->answered) {
        found = look_at(bb);
        respond(r, bump, &found);
    }
    if (bump && bump->changes->nelts) {
        if (r->main)
            return pass_subrequest(f, bb, bump);
        etv_bump_watch(r, bump);
    }
    ap_remove_output_filter(f);
    return ap_pass_brigade(next, bb);
}

static apr_status_t last_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    request_rec *r = f->r;
    ap_filter_t *next = f->next;
    etv_bump_t *bump = f->ctx;
    pieces_t found;

    if (APR_BRIGADE_EMPTY(bb) || ap_is_HTTP_INFO(r->status))
        return ap_pass_brigade(next, bb);
    found = look_at(bb);
    found.whole = 0; /* that is said below */
    if (!bump->answered)
        respond(r, bump, &found);
    bump->unsure |= found.broken;
    if (found.ended)
        finish(r, bump);
    if (!bump->changes->nelts)
        ap_remove_output_filter(f);
    return ap_pass_brigade(next, bb);
}

void etv_bump_listen(request_rec *r)
{
    for (const ap_filter_t *f = r->output_filters; f && f->r == r; f = f->next) {
        if (f->frec == first_handle)
            return;
    }
    ap_add_output_filter_handle(first_handle, NULL, r, r->connection);
}

void etv_bump_watch(request_rec *r, etv_bump_t *bump)
{
    if (!bump->answered)
        etv_bump_listen(r);
    if (!r->main && !bump->watched && (bump->changes->nelts || bump->said->nelts)) {
        ap_add_output_filter_handle(last_handle, bump, r, r->connection);
        watch_connection(r, bump);
        bump->watched = 1;
    }
}

void etv_bump_register(void)
{
    etv_bump_witness_register();
    first_handle = ap_register_output_filter("ETAG_VERSION_BUMP", first_filter, NULL,
                                             (ap_filter_type)(AP_FTYPE_CONTENT_SET - 1));
    last_handle =
        ap_register_output_filter("ETAG_VERSION_BUMP_END", last_filter, NULL, AP_FTYPE_PROTOCOL);
    tunnel_handle = ap_register_output_filter("ETAG_VERSION_BUMP_TUNNEL", tunnel_filter, NULL,
                                              AP_FTYPE_CONNECTION);
}

/* --- the end --- */

/* No end was seen: the client went away, or the connection became a tunnel. Not in a cleanup of the
 * pool, which under prefork may run in a signal handler. */
int etv_bump_log(request_rec *r)
{
    static const pieces_t nothing;
    etv_bump_t *bump = etv_bump_peek(r);

    if (!bump || !bump->changes->nelts)
        return DECLINED;
    if (!bump->answered)
        respond(last_of(r), bump, &nothing);
    leave_all(bump);
    return DECLINED;
}
