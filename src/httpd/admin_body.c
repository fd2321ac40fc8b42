/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/admin_body.h"

#include <http_core.h>
#include <http_protocol.h>
#include <apr_strings.h>

#include "core/media_type.h"

#define FORM "application/x-www-form-urlencoded"
#define JSON "application/json"

/* --- who asks --- */

/* The origin of the request itself, as browsers write it, without a scheme's own port. */
static const char *own_origin(const request_rec *r)
{
    const char *scheme = ap_http_scheme(r);
    apr_port_t usual = ap_run_default_port(r);
    apr_port_t port = r->parsed_uri.port_str && *r->parsed_uri.port_str ? r->parsed_uri.port : 0;
    const char *host = r->hostname ? r->hostname : "";

    if (strchr(host, ':'))
        host = apr_psprintf(r->pool, "[%s]", host);
    if (!port || port == usual)
        return apr_pstrcat(r->pool, scheme, "://", host, NULL);
    return apr_psprintf(r->pool, "%s://%s:%d", scheme, host, (int)port);
}

/* Browsers leave out a scheme's own port; others may write it. */
static const char *without_usual_port(const request_rec *r, const char *origin)
{
    const char *tail = apr_psprintf(r->pool, ":%d", (int)ap_run_default_port(r));
    apr_size_t len = strlen(origin), tail_len = strlen(tail);

    return len > tail_len && strcmp(origin + len - tail_len, tail) == 0
               ? apr_pstrmemdup(r->pool, origin, len - tail_len)
               : origin;
}

int etv_admin_is_foreign(const request_rec *r)
{
    const char *site = apr_table_get(r->headers_in, "Sec-Fetch-Site");
    const char *origin = apr_table_get(r->headers_in, "Origin");

    if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
        return 1;
    return origin && ap_cstr_casecmp(without_usual_port(r, origin), own_origin(r)) != 0;
}

/* --- the bytes --- */

typedef struct {
    char *text; /* room for one byte more than may come */
    apr_size_t len;
} body_t;

/* Returns 1 at the end of the body, 0 when there is more; the status otherwise. */
static int take_brigade(apr_bucket_brigade *bb, body_t *body)
{
    for (apr_bucket *b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb);
         b = APR_BUCKET_NEXT(b)) {
        const char *data;
        apr_size_t len;

        if (APR_BUCKET_IS_EOS(b))
            return 1;
        if (APR_BUCKET_IS_METADATA(b))
            continue;
        if (apr_bucket_read(b, &data, &len, APR_BLOCK_READ) != APR_SUCCESS)
            return HTTP_BAD_REQUEST;
        if (len > ETV_ADMIN_BODY_MOST - body->len)
            return HTTP_REQUEST_ENTITY_TOO_LARGE;
        memcpy(body->text + body->len, data, len);
        body->len += len;
    }
    return 0;
}

static int read_all(request_rec *r, body_t *body)
{
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    int result = 0;

    while (!result) {
        apr_status_t rv = ap_get_brigade(r->input_filters, bb, AP_MODE_READBYTES, APR_BLOCK_READ,
                                         HUGE_STRING_LEN);

        result = rv == APR_SUCCESS ? take_brigade(bb, body)
                                   : ap_map_http_request_error(rv, HTTP_BAD_REQUEST);
        apr_brigade_cleanup(bb);
    }
    return result == 1 ? OK : result;
}

/* The length that the client announces; -1 when it announces none. */
static apr_off_t announced(const request_rec *r)
{
    const char *text = apr_table_get(r->headers_in, "Content-Length");
    apr_off_t length;

    /* chunked goes before (RFC 9112 §6.3), and httpd has refused what is no number */
    if (!text || apr_table_get(r->headers_in, "Transfer-Encoding") ||
        apr_strtoff(&length, text, NULL, 10) != APR_SUCCESS)
        return -1;
    return length;
}

static int read_body(request_rec *r, body_t *body, const char **reason)
{
    apr_off_t length = announced(r);
    int status = HTTP_REQUEST_ENTITY_TOO_LARGE;

    body->len = 0;
    if (!ap_request_has_body(r))
        return OK;
    if (length <= ETV_ADMIN_BODY_MOST) {
        body->text = apr_palloc(r->pool, ETV_ADMIN_BODY_MOST + 1);
        status = read_all(r, body);
    }
    if (status == HTTP_REQUEST_ENTITY_TOO_LARGE) {
        r->connection->keepalive = AP_CONN_CLOSE; /* the rest is not read */
        *reason = "the body may have 65536 bytes at most";
    } else {
        *reason = "the body could not be read to its end";
    }
    return status;
}

void etv_admin_body_drop(request_rec *r)
{
    apr_off_t length = announced(r);
    body_t body;

    if (length <= 0 || length > ETV_ADMIN_BODY_MOST || r->expecting_100)
        return;
    /* httpd's own way to do this does nothing where it takes the connection for one that ends */
    body.text = apr_palloc(r->pool, ETV_ADMIN_BODY_MOST + 1);
    body.len = 0;
    read_all(r, &body);
}

/* --- what they say --- */

static int read_type(request_rec *r, int *is_json, const char **reason)
{
    const char *type = apr_table_get(r->headers_in, "Content-Type");

    *is_json = etv_media_type_matches(type, JSON);
    if (*is_json || etv_media_type_matches(type, FORM))
        return OK;
    etv_admin_body_drop(r);
    apr_table_setn(r->headers_out, "Accept-Post", FORM ", " JSON);
    *reason = "the body must be " FORM " or " JSON;
    return HTTP_UNSUPPORTED_MEDIA_TYPE;
}

int etv_admin_body_read(request_rec *r, etv_admin_request_t *request, const char **reason)
{
    int is_json = 0, status = OK;
    body_t body;

    if (apr_table_get(r->headers_in, "Content-Encoding")) {
        apr_table_setn(r->headers_out, "Accept-Encoding", "identity"); /* RFC 9110 §12.5.3 */
        *reason = "the body must not be encoded";
        return HTTP_UNSUPPORTED_MEDIA_TYPE;
    }
    if (ap_request_has_body(r) && announced(r) != 0)
        status = read_type(r, &is_json, reason);
    if (status == OK && r->args)
        *reason = etv_admin_request_form(r->pool, request, r->args, strlen(r->args));
    if (status == OK && *reason)
        status = HTTP_BAD_REQUEST;
    if (status == OK)
        status = read_body(r, &body, reason);
    if (status != OK || !body.len)
        return status;
    *reason = (is_json ? etv_admin_request_json : etv_admin_request_form)(r->pool, request,
                                                                          body.text, body.len);
    return *reason ? HTTP_BAD_REQUEST : OK;
}
