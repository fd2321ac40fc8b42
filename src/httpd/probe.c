/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/probe.h"

#include <util_filter.h>

#include "httpd/buffer.h"
#include "httpd/judge.h"
#include "httpd/key.h"

static ap_filter_rec_t *probe_handle;

int etv_probe_is_coded(const etv_response_t *now)
{
    char coding[ETV_ENTITY_TAG_CODING_MOST + 1];

    return now->content_encoding && (!etv_judge_codings(now->content_encoding, coding) || *coding);
}

/* @return NULL when there is nothing that could be needed later */
static etv_probe_t *begin(request_rec *r, etv_request_t *request)
{
    const unsigned char *secret = NULL;
    etv_response_t now;
    etv_probe_t *probe;

    etv_response_scan(r, &now);
    if (r->status != HTTP_OK || etv_probe_is_coded(&now))
        return NULL;
    probe = apr_pcalloc(r->pool, sizeof(*probe));
    probe->etag = now.etag;
    if (etv_config_uses_content(request->dir) && !etv_judge_content(r, request, &now) &&
        !etv_judge_stream(r, request, &now))
        secret = etv_key_of_content(r);
    if (secret)
        probe->digest = etv_digest_create(r->pool, secret);
    request->probe = probe; /* the one that is nearest to the encoder counts */
    return probe;
}

static void hash(etv_probe_t *probe, apr_bucket *b)
{
    apr_off_t len = (apr_off_t)b->length;

    if (etv_buffer_hash(probe->digest, b) == APR_SUCCESS)
        probe->length += len;
    else
        probe->digest = NULL;
}

/* Hash what is there, and pass it on. What has no length before it is read goes on piece by piece,
 * as the encoder would read it. */
static apr_status_t look(ap_filter_t *f, apr_bucket_brigade *bb, etv_probe_t *probe)
{
    apr_bucket_brigade *now = apr_brigade_create(f->r->pool, f->c->bucket_alloc);
    apr_status_t rv = APR_SUCCESS;

    while (rv == APR_SUCCESS && probe->digest && !APR_BRIGADE_EMPTY(bb)) {
        apr_bucket *b = APR_BRIGADE_FIRST(bb);
        int unknown = b->length == (apr_size_t)-1;
        const char *data;
        apr_size_t len;

        if (unknown)
            rv = apr_bucket_read(b, &data, &len, APR_BLOCK_READ);
        if (rv != APR_SUCCESS)
            break;
        if (APR_BUCKET_IS_EOS(b))
            probe->whole = 1;
        else if (!APR_BUCKET_IS_METADATA(b))
            hash(probe, b);
        APR_BUCKET_REMOVE(b);
        APR_BRIGADE_INSERT_TAIL(now, b);
        if (unknown) {
            rv = ap_pass_brigade(f->next, now);
            apr_brigade_cleanup(now);
        }
    }
    APR_BRIGADE_CONCAT(now, bb);
    return rv == APR_SUCCESS ? ap_pass_brigade(f->next, now) : rv;
}

static apr_status_t probe_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    etv_request_t *request = etv_request_peek(f->r);

    if (APR_BRIGADE_EMPTY(bb))
        return ap_pass_brigade(f->next, bb);
    if (!f->ctx)
        f->ctx = begin(f->r, request);
    if (!f->ctx || !((etv_probe_t *)f->ctx)->digest) {
        ap_remove_output_filter(f);
        return ap_pass_brigade(f->next, bb);
    }
    return look(f, bb, f->ctx);
}

void etv_probe_register(void)
{
    probe_handle =
        ap_register_output_filter("ETAG_VERSION_PROBE", probe_filter, NULL, AP_FTYPE_RESOURCE);
}

/* httpd adds a filter behind all others of its type, so it is moved. */
static void insert_before(request_rec *r, ap_filter_t *harness)
{
    ap_filter_t *probe = ap_add_output_filter_handle(probe_handle, NULL, r, r->connection);
    ap_filter_t **link = &r->output_filters;

    while (*link != probe)
        link = &(*link)->next;
    *link = probe->next;
    for (link = &r->output_filters; *link != harness;)
        link = &(*link)->next;
    probe->next = harness;
    *link = probe;
}

void etv_probe_insert(request_rec *r)
{
    ap_filter_t *f, *next;

    for (f = r->output_filters; f && f->r == r && f->frec->ftype < AP_FTYPE_CONTENT_SET - 1;
         f = next) {
        next = f->next;
        if (f->frec->providers)
            insert_before(r, f);
    }
}
