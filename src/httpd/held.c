/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/held.h"

#include <http_connection.h>
#include <http_protocol.h>

#include "httpd/config.h"
#include "httpd/log.h"
#include "store/boottime.h"

/* How long a response of unknown length may be held back once its handler has wanted to flush. A
 * filter is not called while a handler is silent, so this is looked at when something arrives. */
#define PATIENCE_US apr_time_from_sec(1)

/* A number of bytes, all digits. @return -1 when it is none, or more than anyone would hold back */
static apr_off_t read_length(const char *field)
{
    apr_uint64_t length = 0;
    const char *at = field;

    for (unsigned int digit; (digit = (unsigned int)*at - '0') < 10; at++)
        length = length * 10 + digit;
    return *at || at == field || at - field > 18 ? -1 : (apr_off_t)length;
}

int etv_held_read_length(const etv_response_t *now, apr_off_t *declared)
{
    *declared = -1;
    if (!now->content_length)
        return 1;
    *declared = read_length(now->content_length);
    return *declared >= 0 && *declared <= etv_config_buffer_limit()->response;
}

void etv_held_begin(etv_held_t *held, request_rec *r, etv_digest_t *digest, apr_off_t declared)
{
    etv_buffer_init(&held->buffer, r, digest, etv_config_buffer_limit()->response);
    held->declared = declared;
    held->began_us = declared < 0 ? etv_boottime_us() : 0;
}

static int may_wait(const etv_held_t *held)
{
    return held->declared >= 0 || etv_boottime_us() - held->began_us < PATIENCE_US;
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
static const char *read_unknown(request_rec *r, const etv_held_t *held, apr_bucket *b)
{
    const char *data;
    apr_size_t len;
    apr_status_t rv = apr_bucket_read(b, &data, &len, APR_NONBLOCK_READ);

    if (APR_STATUS_IS_EAGAIN(rv)) {
        if (!may_wait(held))
            return "stream";
        rv = apr_bucket_read(b, &data, &len, APR_BLOCK_READ);
    }
    return rv == APR_SUCCESS ? NULL : replace_by_error(r, b, rv);
}

static const char *take_data(request_rec *r, etv_held_t *held, apr_bucket *b)
{
    const char *reason = NULL;

    if (b->length == (apr_size_t)-1)
        reason = read_unknown(r, held, b);
    if (reason)
        return reason;
    switch (etv_buffer_take(&held->buffer, r, b)) {
    case ETV_BUFFER_TAKEN:
        return NULL;
    case ETV_BUFFER_FULL:
        return "oversize";
    default:
        return "error";
    }
}

const char *etv_held_take(request_rec *r, etv_held_t *held, apr_bucket *b)
{
    if (AP_BUCKET_IS_ERROR(b) || AP_BUCKET_IS_EOC(b))
        return "error";
    if (APR_BUCKET_IS_FLUSH(b)) {
        if (!may_wait(held))
            return "stream";
        apr_bucket_delete(b);
        return NULL;
    }
    if (APR_BUCKET_IS_METADATA(b)) {
        etv_buffer_take_metadata(&held->buffer, b);
        return NULL;
    }
    return take_data(r, held, b);
}
