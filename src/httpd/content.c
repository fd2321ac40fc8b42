/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/content.h"

#include <http_connection.h>
#include <http_protocol.h>
#include <util_filter.h>
#include <apr_strings.h>

#include "httpd/buffer.h"
#include "httpd/judge.h"
#include "httpd/key.h"
#include "httpd/log.h"
#include "httpd/policy.h"
#include "httpd/probe.h"
#include "httpd/request.h"
#include "httpd/stamp.h"
#include "store/boottime.h"

/* How long a response of unknown length may be held back once its handler has wanted to flush. A
 * filter is not called while a handler is silent, so this is looked at when something arrives. */
#define PATIENCE_US apr_time_from_sec(1)

static ap_filter_rec_t *content_handle;

/** One response that is being held back. */
typedef struct {
    etv_buffer_t buffer;
    etv_response_t first; /**< what the response said at first */
    const char *reason;   /**< why there will be no tag; NULL while there may be one */
    apr_off_t declared;   /**< Content-Length, or -1 */
    apr_time_t began_us;  /**< of the first byte, where the length is unknown */
} holding_t;

/* --- the end --- */

static apr_status_t let_go(ap_filter_t *f, holding_t *holding, apr_bucket_brigade *bb,
                           const etv_response_t *known, const char *reason)
{
    etv_request_t *request = etv_request_peek(f->r);

    if (reason)
        request->content_reason = reason;
    if (holding) {
        APR_BRIGADE_PREPEND(bb, holding->buffer.held);
        holding->buffer.open = NULL;
    }
    return etv_stamp_pass(f, bb, known);
}

/* All of the body is here. @return NULL, or why it gets no tag */
static inline const char *finish(request_rec *r, const etv_response_t *first, etv_digest_t *digest,
                                 apr_off_t length, apr_off_t declared)
{
    etv_request_t *request = etv_request_peek(r);
    const etv_probe_t *probe = etv_probe_of(request, first);

    if (declared >= 0 && declared != length)
        return "error"; /* truncated, whatever the handler says */
    if (!length)
        return "empty";
    if (probe && probe->digest && probe->whole && probe->length)
        digest = probe->digest; /* of what was there before it was encoded */
    else
        request->content_encoding = first->content_encoding;
    request->content = digest;
    return NULL;
}

/* --- the usual small response, which comes in one piece --- */

/* The length of a brigade that is a whole response in memory or files; -1 when it is not that. */
static apr_off_t whole_length(apr_bucket_brigade *bb)
{
    apr_off_t length = 0;
    apr_bucket *b;

    for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb); b = APR_BUCKET_NEXT(b)) {
        if (APR_BUCKET_IS_EOS(b))
            return length;
        if (b->length == (apr_size_t)-1 ||
            (APR_BUCKET_IS_METADATA(b) && (AP_BUCKET_IS_ERROR(b) || AP_BUCKET_IS_EOC(b))))
            return -1;
        length += (apr_off_t)b->length;
    }
    return -1;
}

static const char *hash_whole(request_rec *r, const etv_response_t *first, apr_bucket_brigade *bb,
                              etv_digest_t *digest, apr_off_t length, apr_off_t declared)
{
    apr_bucket *b, *next;

    for (b = APR_BRIGADE_FIRST(bb); !APR_BUCKET_IS_EOS(b); b = next) {
        next = APR_BUCKET_NEXT(b);
        if (APR_BUCKET_IS_FLUSH(b)) /* the end is here: it would only delay the whole */
            apr_bucket_delete(b);
        else if (!APR_BUCKET_IS_METADATA(b) && etv_buffer_hash(digest, b) != APR_SUCCESS)
            return "error";
    }
    return finish(r, first, digest, length, declared);
}

/* --- the response that comes in pieces --- */

static int may_wait(const holding_t *holding)
{
    return holding->declared >= 0 || etv_boottime_us() - holding->began_us < PATIENCE_US;
}

/* In place of what cannot be read, so that nobody tries again and takes the end for the whole. */
static const char *replace_by_error(request_rec *r, apr_bucket *b, apr_status_t rv)
{
    int status = APR_STATUS_IS_TIMEUP(rv) ? HTTP_GATEWAY_TIME_OUT : HTTP_BAD_GATEWAY;

    ap_log_rerror(APLOG_MARK, APLOG_ERR, rv, r, "ETV0340: the response cannot be read to its end");
    APR_BUCKET_INSERT_BEFORE(b, ap_bucket_error_create(status, NULL, r->pool, b->list));
    apr_bucket_delete(b);
    return "error";
}

/* What comes from a script has no length before it is read. @return NULL or the reason to stop */
static const char *read_unknown(request_rec *r, const holding_t *holding, apr_bucket *b)
{
    const char *data;
    apr_size_t len;
    apr_status_t rv = apr_bucket_read(b, &data, &len, APR_NONBLOCK_READ);

    if (APR_STATUS_IS_EAGAIN(rv)) {
        if (!may_wait(holding))
            return "stream";
        rv = apr_bucket_read(b, &data, &len, APR_BLOCK_READ);
    }
    return rv == APR_SUCCESS ? NULL : replace_by_error(r, b, rv);
}

static const char *take_data(request_rec *r, holding_t *holding, apr_bucket *b)
{
    const char *reason = NULL;

    if (b->length == (apr_size_t)-1)
        reason = read_unknown(r, holding, b);
    if (reason)
        return reason;
    switch (etv_buffer_take(&holding->buffer, r, b)) {
    case ETV_BUFFER_TAKEN:
        return NULL;
    case ETV_BUFFER_FULL:
        return "oversize";
    default:
        return "error";
    }
}

/* @return NULL while everything was taken, else why it must go on as it is */
static const char *take(request_rec *r, holding_t *holding, apr_bucket *b)
{
    if (AP_BUCKET_IS_ERROR(b) || AP_BUCKET_IS_EOC(b))
        return "error";
    if (APR_BUCKET_IS_FLUSH(b)) {
        if (!may_wait(holding))
            return "stream";
        apr_bucket_delete(b);
        return NULL;
    }
    if (APR_BUCKET_IS_METADATA(b)) {
        etv_buffer_take_metadata(&holding->buffer, b);
        return NULL;
    }
    return take_data(r, holding, b);
}

/* @return NULL when it gets its tag, else why not */
static const char *finish_held(request_rec *r, const holding_t *holding)
{
    return holding->reason ? holding->reason
                           : finish(r, &holding->first, holding->buffer.digest,
                                    holding->buffer.length, holding->declared);
}

static apr_status_t hold(ap_filter_t *f, apr_bucket_brigade *bb)
{
    holding_t *holding = f->ctx;

    while (!APR_BRIGADE_EMPTY(bb)) {
        apr_bucket *b = APR_BRIGADE_FIRST(bb);
        const char *reason;

        if (APR_BUCKET_IS_EOS(b))
            return let_go(f, holding, bb, &holding->first, finish_held(f->r, holding));
        reason = take(f->r, holding, b);
        if (reason)
            return let_go(f, holding, bb, &holding->first,
                          holding->reason ? holding->reason : reason);
    }
    return APR_SUCCESS;
}

/* --- the beginning --- */

/* A number of bytes, all digits. @return -1 when it is none, or more than anyone would hold back */
static apr_off_t read_length(const char *field)
{
    apr_uint64_t length = 0;
    const char *at = field;

    for (unsigned int digit; (digit = (unsigned int)*at - '0') < 10; at++)
        length = length * 10 + digit;
    return *at || at == field || at - field > 18 ? -1 : (apr_off_t)length;
}

/* @return 0 when the header is wrong, or too much is announced */
static int read_declared(const etv_response_t *now, apr_off_t *declared)
{
    *declared = -1;
    if (!now->content_length)
        return 1;
    *declared = read_length(now->content_length);
    return *declared >= 0 && *declared <= etv_config_buffer_limit()->response;
}

/*
 * Whether the response is held back at all: to be hashed, or, where it keeps a tag of its own, to
 * be whole when the byterange filter sees it.
 * @param reason  out: why it gets no tag of its content; NULL when it may get one
 */
static int shall_hold(request_rec *r, const etv_request_t *request, const etv_response_t *now,
                      const char **reason, apr_off_t *declared)
{
    const char *against;

    *reason = etv_judge_content(r, request, now);
    if (*reason && !(request->client.range && strcmp(*reason, "kept") == 0))
        return 0;
    against = etv_judge_stream(r, request, now);
    if (!against && !read_declared(now, declared))
        against = "oversize";
    if (against && !*reason)
        *reason = against;
    return !against;
}

static apr_status_t begin(ap_filter_t *f, apr_bucket_brigade *bb, const etv_response_t *now,
                          const char *reason, apr_off_t declared)
{
    request_rec *r = f->r;
    apr_off_t most = etv_config_buffer_limit()->response, length = whole_length(bb);
    const unsigned char *secret;
    etv_digest_t *digest = NULL;
    holding_t *holding;

    if (length > most)
        return let_go(f, NULL, bb, now, reason ? reason : "oversize");
    if (!reason) {
        secret = etv_key_of_content(r);
        if (!secret)
            return let_go(f, NULL, bb, now, "store-down");
        digest = etv_digest_create(r->pool, secret);
    }
    if (length >= 0)
        return let_go(f, NULL, bb, now,
                      reason ? reason : hash_whole(r, now, bb, digest, length, declared));
    f->ctx = holding = apr_palloc(r->pool, sizeof(*holding));
    etv_buffer_init(&holding->buffer, r, digest, most);
    holding->first = *now;
    holding->reason = reason;
    holding->declared = declared;
    holding->began_us = declared < 0 ? etv_boottime_us() : 0;
    return hold(f, bb);
}

static apr_status_t content_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    const etv_request_t *request = etv_request_peek(f->r);
    etv_response_t now;
    const char *reason;
    apr_off_t declared;

    if (f->ctx)
        return hold(f, bb);
    if (APR_BRIGADE_EMPTY(bb))
        return ap_pass_brigade(f->next, bb);
    etv_stamp_begin(f->r, &now);
    /* In mode On a response that may have its version tag needs no other. */
    if (request->tagged && !etv_judge_version(f->r, request, &now))
        return let_go(f, NULL, bb, &now, NULL);
    if (!shall_hold(f->r, request, &now, &reason, &declared))
        return let_go(f, NULL, bb, &now, reason);
    return begin(f, bb, &now, reason, declared);
}

void etv_content_register(void)
{
    content_handle = ap_register_output_filter("ETAG_VERSION_CONTENT", content_filter, NULL,
                                               (ap_filter_type)(AP_FTYPE_CONTENT_SET - 1));
}

void etv_content_insert(request_rec *r)
{
    ap_add_output_filter_handle(content_handle, NULL, r, r->connection);
}
