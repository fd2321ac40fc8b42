/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/events.h"

#include <poll.h>
#include <stdatomic.h>

#include <ap_mpm.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <util_filter.h>
#include <apr_hash.h>
#include <apr_portable.h>
#include <apr_strings.h>

#include "core/event_stream.h"
#include "httpd/admin_answer.h"
#include "httpd/config.h"
#include "httpd/events_filter.h"
#include "httpd/events_limit.h"
#include "httpd/log.h"
#include "httpd/shared.h"
#include "store/boottime.h"
#include "store/feed.h"

#define HANDLER "etag-version-events"

/* What a browser waits before it comes back, in milliseconds. */
#define RETRY_MS 2000
/* Something is sent at least so often: what stands between may end a silent connection. */
#define HEARTBEAT_US apr_time_from_sec(15)
/* A client that has left, and the end of this process, are noticed at least so soon. */
#define LOOK_US apr_time_from_sec(1)
/* Most events of one batch. */
#define BATCH_MOST 512

static atomic_int ending;

typedef struct {
    request_rec *r;
    etv_feed_t *feed;
    etv_hash128_t scope; /* of the store that is watched */
    etv_events_filter_t filter;
    apr_uint64_t next; /* in the feed */
    int missed;        /* something, which the client does not know yet */
    apr_bucket_brigade *bb;
    apr_pool_t *batch;
    apr_time_t sent_us;
} stream_t;

/* --- sending --- */

static const char *id_of(const stream_t *s, apr_uint64_t number)
{
    char *id = apr_palloc(s->batch, ETV_EVENT_ID_ROOM);

    etv_event_id_write(id, etv_feed_nonce(s->feed), number);
    return id;
}

static void put(stream_t *s, const char *text)
{
    apr_brigade_puts(s->bb, NULL, NULL, text);
}

/* @return 0 when the client is gone */
static int send_all(stream_t *s)
{
    conn_rec *c = s->r->connection;
    apr_status_t rv;

    APR_BRIGADE_INSERT_TAIL(s->bb, apr_bucket_flush_create(c->bucket_alloc));
    rv = ap_pass_brigade(s->r->output_filters, s->bb);
    apr_brigade_cleanup(s->bb);
    s->sent_us = etv_boottime_us();
    return rv == APR_SUCCESS && !c->aborted;
}

/* An id without data is no event, but the client remembers it. */
static int send_id(stream_t *s, const char *in_front)
{
    put(s, in_front);
    put(s, apr_pstrcat(s->batch, "id: ", id_of(s, s->next - 1), "\n\n", NULL));
    return send_all(s);
}

static int send_reset(stream_t *s)
{
    s->missed = 0;
    return send_id(s, "event: reset\ndata: {}\n");
}

/* --- one batch --- */

typedef struct {
    apr_uint64_t number;
    const char *name;
    apr_size_t len;
} bump_t;

static int is_mine(const stream_t *s, etv_hash128_t scope)
{
    return scope.lo == s->scope.lo && scope.hi == s->scope.hi;
}

static void add_bump(const stream_t *s, apr_array_header_t *bumps, apr_hash_t *seen,
                     const etv_feed_entry_t *entry)
{
    bump_t *bump;

    if (!is_mine(s, entry->scope) ||
        !etv_events_filter_wants(&s->filter, entry->name, entry->len) ||
        apr_hash_get(seen, entry->name, (apr_ssize_t)entry->len))
        return;
    bump = apr_array_push(bumps);
    bump->number = entry->number;
    bump->name = apr_pstrmemdup(s->batch, entry->name, entry->len);
    bump->len = entry->len;
    apr_hash_set(seen, bump->name, (apr_ssize_t)bump->len, bump->name);
}

/*
 * What there is, each model once. A gap covers all that was read with it: whoever is told of it
 * looks at everything afterwards.
 */
static apr_array_header_t *gather(stream_t *s)
{
    apr_array_header_t *bumps = apr_array_make(s->batch, 8, sizeof(bump_t));
    apr_hash_t *seen = apr_hash_make(s->batch);
    etv_feed_entry_t entry;

    for (int i = 0; i < ETV_FEED_ENTRIES && bumps->nelts < BATCH_MOST; i++) {
        switch (etv_feed_read(s->feed, &s->next, &entry)) {
        case ETV_FEED_NONE:
            return bumps;
        case ETV_FEED_GAP:
            s->missed |= is_mine(s, entry.scope) || (!entry.scope.lo && !entry.scope.hi);
            break;
        case ETV_FEED_BUMP:
            add_bump(s, bumps, seen, &entry);
            break;
        }
    }
    return bumps;
}

/* The last one says that all of the batch has been seen. */
static int send_bumps(stream_t *s, const apr_array_header_t *bumps)
{
    char quoted[ETV_EVENT_QUOTED_ROOM(ETV_MODEL_NAME_MOST)];

    for (int i = 0; i < bumps->nelts; i++) {
        const bump_t *bump = &APR_ARRAY_IDX(bumps, i, bump_t);
        apr_uint64_t number = i == bumps->nelts - 1 ? s->next - 1 : bump->number;

        etv_event_quote(quoted, bump->name, bump->len);
        put(s, apr_pstrcat(s->batch, "id: ", id_of(s, number),
                           "\nevent: bump\ndata: {\"model\":", quoted, "}\n\n", NULL));
    }
    return send_all(s);
}

static int send_news(stream_t *s)
{
    const apr_array_header_t *bumps = gather(s);

    if (s->missed)
        return send_reset(s);
    if (bumps->nelts)
        return send_bumps(s, bumps);
    return etv_boottime_us() - s->sent_us < HEARTBEAT_US || send_id(s, ":\n");
}

/* --- the stream --- */

static int is_ending(void)
{
    int state = AP_MPMQ_RUNNING;

    return atomic_load(&ending) ||
           (ap_mpm_query(AP_MPMQ_MPM_STATE, &state) == APR_SUCCESS && state == AP_MPMQ_STOPPING);
}

/* Without reading: what comes may be the client's next request. A stream of HTTP/2 has no socket of
 * its own, it is aborted. */
static int has_left(conn_rec *c)
{
    apr_socket_t *socket = c->master ? NULL : ap_get_conn_socket(c);
    struct pollfd fd = {.fd = -1, .events = (short)POLLRDHUP};

    if (c->aborted)
        return 1;
    return socket && apr_os_sock_get(&fd.fd, socket) == APR_SUCCESS && poll(&fd, 1, 0) > 0;
}

static void run(stream_t *s)
{
    int alive = send_id(s, apr_psprintf(s->batch, ": bumps of models\nretry: %d\n", RETRY_MS));

    while (alive && !is_ending() && !has_left(s->r->connection)) {
        apr_interval_time_t quiet_us = s->sent_us + HEARTBEAT_US - etv_boottime_us();

        if (!s->missed)
            etv_feed_await(s->feed, s->next, quiet_us < LOOK_US ? quiet_us : LOOK_US);
        apr_pool_clear(s->batch);
        alive = send_news(s);
    }
}

/* Where the client left off. */
static void resume(stream_t *s)
{
    const char *id = apr_table_get(s->r->headers_in, "Last-Event-ID");
    apr_uint64_t nonce, number;

    s->next = etv_feed_next(s->feed);
    if (!id || !*id)
        id = s->filter.last_id;
    if (!id || !*id)
        return;
    if (etv_event_id_read(id, &nonce, &number) && nonce == etv_feed_nonce(s->feed) &&
        number < s->next)
        s->next = number + 1;
    else
        s->missed = 1;
}

static void set_headers(request_rec *r)
{
    ap_set_content_type(r, "text/event-stream");
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->headers_out, "X-Content-Type-Options", "nosniff");
    apr_table_setn(r->headers_out, "X-Accel-Buffering", "no"); /* what proxies in front obey */
    /* Encoders hold back what is too little for a block. */
    apr_table_setn(r->subprocess_env, "no-gzip", "1");
    apr_table_setn(r->subprocess_env, "no-brotli", "1");
}

static int serve(stream_t *s)
{
    request_rec *r = s->r;
    etv_events_place_t place;

    if (!etv_events_limit_enter(&place)) {
        apr_table_setn(r->headers_out, "Retry-After", "10");
        return etv_admin_refuse(r, HTTP_SERVICE_UNAVAILABLE,
                                "too many streams are open (ETagVersionEventsLimit)");
    }
    set_headers(r);
    s->bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    apr_pool_create(&s->batch, r->pool);
    resume(s);
    run(s);
    etv_events_limit_leave(&place);
    return OK; /* and httpd ends the body */
}

/* --- the request --- */

/* @return 0 when nobody tells this server what changes */
static int find_scope(const etv_server_t *server, etv_hash128_t *scope)
{
    if (etv_config_store_url(server)->kind == ETV_STORE_URL_LOCAL)
        *scope = server->scope;
    else if (server->channel)
        *scope = server->channel_name;
    else
        return 0;
    return server->store != NULL;
}

static int refuse_unpushed(request_rec *r)
{
    static apr_uint32_t next;

    if (etv_log_is_due(&next))
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                      "ETV0375: no events: the store tells nobody what changes; they need "
                      "ETagVersionFreshness lease");
    return etv_admin_refuse(r, HTTP_SERVICE_UNAVAILABLE,
                            "there are no events here: this server is not told what changes "
                            "(ETagVersionFreshness lease is needed)");
}

static int handle(request_rec *r)
{
    stream_t *s = apr_pcalloc(r->pool, sizeof(*s));
    const char *wrong;

    if (r->method_number != M_GET) {
        ap_allow_standard_methods(r, REPLACE_ALLOW, M_GET, -1);
        apr_table_setn(r->headers_out, "Allow", "GET, HEAD");
        return etv_admin_refuse(r, HTTP_METHOD_NOT_ALLOWED, "GET tells events");
    }
    s->r = r;
    s->feed = etv_shared_feed();
    wrong = etv_events_filter_read(r->pool, r->args, &s->filter);
    if (wrong)
        return etv_admin_refuse(r, HTTP_BAD_REQUEST, wrong);
    if (!find_scope(etv_config_server(r->server), &s->scope))
        return refuse_unpushed(r);
    if (r->header_only) {
        set_headers(r);
        return OK;
    }
    return serve(s);
}

int etv_events_handler(request_rec *r)
{
    if (!r->handler || strcmp(r->handler, HANDLER) != 0)
        return DECLINED;
    /* A page that includes it would never end, nor would an error's document. */
    if (r->main || r->status != HTTP_OK || !etv_config_serves(etv_config_dir(r), ETV_SERVE_EVENTS))
        return HTTP_NOT_FOUND;
    return handle(r);
}

void etv_events_end(void)
{
    atomic_store(&ending, 1);
    if (etv_shared_feed())
        etv_feed_wake(etv_shared_feed());
}
