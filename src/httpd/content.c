/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/content.h"

#include <http_connection.h>
#include <http_protocol.h>
#include <util_filter.h>
#include <apr_strings.h>

#include "httpd/buffer.h"
#include "httpd/held.h"
#include "httpd/judge.h"
#include "httpd/key.h"
#include "httpd/policy.h"
#include "httpd/probe.h"
#include "httpd/request.h"
#include "httpd/stamp.h"

static ap_filter_rec_t *content_handle;

/** One response that is being held back. */
typedef struct {
    etv_held_t held;
    etv_response_t first; /**< what the response said at first */
    const char *reason;   /**< why there will be no tag; NULL while there may be one */
} holding_t;

/* --- the end --- */

static apr_status_t let_go(ap_filter_t *f, holding_t *holding, apr_bucket_brigade *bb,
                           const etv_response_t *known, const char *reason)
{
    etv_request_t *request = etv_request_peek(f->r);

    if (reason)
        request->content_reason = reason;
    if (holding) {
        APR_BRIGADE_PREPEND(bb, holding->held.buffer.held);
        holding->held.buffer.open = NULL;
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

/* @return NULL when it gets its tag, else why not */
static const char *finish_held(request_rec *r, const holding_t *holding)
{
    return holding->reason ? holding->reason
                           : finish(r, &holding->first, holding->held.buffer.digest,
                                    holding->held.buffer.length, holding->held.declared);
}

static apr_status_t hold(ap_filter_t *f, apr_bucket_brigade *bb)
{
    holding_t *holding = f->ctx;

    while (!APR_BRIGADE_EMPTY(bb)) {
        apr_bucket *b = APR_BRIGADE_FIRST(bb);
        const char *reason;

        if (APR_BUCKET_IS_EOS(b))
            return let_go(f, holding, bb, &holding->first, finish_held(f->r, holding));
        reason = etv_held_take(f->r, &holding->held, b);
        if (reason)
            return let_go(f, holding, bb, &holding->first,
                          holding->reason ? holding->reason : reason);
    }
    return APR_SUCCESS;
}

/* --- the beginning --- */

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
    if (!against && !etv_held_read_length(now, declared))
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
    etv_held_begin(&holding->held, r, digest, declared);
    holding->first = *now;
    holding->reason = reason;
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
