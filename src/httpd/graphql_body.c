/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/graphql_body.h"

#include <http_protocol.h>
#include <util_filter.h>
#include <apr_strings.h>

#include "httpd/proto_input.h"

static ap_filter_rec_t *given_back_handle;

/* --- giving back --- */

/* At most `most` bytes, and the end when it follows them at once. */
static apr_status_t move(apr_bucket_brigade *to, apr_bucket_brigade *from, apr_off_t most)
{
    apr_bucket *end;
    apr_status_t rv = apr_brigade_partition(from, most, &end);

    if (rv != APR_SUCCESS && rv != APR_INCOMPLETE)
        return rv;
    while (APR_BRIGADE_FIRST(from) != end) {
        apr_bucket *b = APR_BRIGADE_FIRST(from);

        APR_BUCKET_REMOVE(b);
        APR_BRIGADE_INSERT_TAIL(to, b);
    }
    return APR_SUCCESS;
}

static apr_status_t copy(apr_bucket_brigade *to, apr_bucket_brigade *from, apr_off_t most)
{
    apr_bucket *end;
    apr_status_t rv = apr_brigade_partition(from, most, &end);

    if (rv != APR_SUCCESS && rv != APR_INCOMPLETE)
        return rv;
    for (apr_bucket *b = APR_BRIGADE_FIRST(from); b != end; b = APR_BUCKET_NEXT(b)) {
        apr_bucket *same;

        rv = apr_bucket_copy(b, &same);
        if (rv != APR_SUCCESS)
            return rv;
        APR_BRIGADE_INSERT_TAIL(to, same);
    }
    return APR_SUCCESS;
}

static apr_status_t given_back_filter(ap_filter_t *f, apr_bucket_brigade *bb, ap_input_mode_t mode,
                                      apr_read_type_e block, apr_off_t readbytes)
{
    apr_bucket_brigade *held = f->ctx;

    if (APR_BRIGADE_EMPTY(held))
        return ap_get_brigade(f->next, bb, mode, block, readbytes);
    switch (mode) {
    case AP_MODE_READBYTES:
        return move(bb, held, readbytes);
    case AP_MODE_SPECULATIVE:
        return copy(bb, held, readbytes);
    case AP_MODE_GETLINE:
        return apr_brigade_split_line(bb, held, block, readbytes);
    case AP_MODE_EXHAUSTIVE:
        APR_BRIGADE_CONCAT(bb, held);
        return APR_SUCCESS;
    default:
        return APR_SUCCESS;
    }
}

/* --- reading --- */

/** What was read. The pieces may be as small as a client likes: each would keep a buffer of
 *  httpd's. */
typedef struct {
    char *text;
    apr_size_t len;
    apr_size_t room;
    int ended;
} read_t;

static void append(read_t *all, apr_pool_t *p, const char *data, apr_size_t len)
{
    if (len > all->room - all->len) {
        apr_size_t room = all->room * 2 + len;
        char *text = apr_palloc(p, room);

        if (all->len)
            memcpy(text, all->text, all->len);
        all->text = text;
        all->room = room;
    }
    memcpy(all->text + all->len, data, len);
    all->len += len;
}

static apr_status_t keep(read_t *all, apr_bucket_brigade *bb, apr_pool_t *p)
{
    for (apr_bucket *b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb) && !all->ended;
         b = APR_BUCKET_NEXT(b)) {
        const char *data;
        apr_size_t len;
        apr_status_t rv;

        all->ended = APR_BUCKET_IS_EOS(b);
        if (APR_BUCKET_IS_METADATA(b))
            continue;
        rv = apr_bucket_read(b, &data, &len, APR_BLOCK_READ);
        if (rv != APR_SUCCESS)
            return rv;
        if (len)
            append(all, p, data, len);
    }
    return APR_SUCCESS;
}

/* From where HTTP_IN is, so that what decodes bodies for the handler does it once, and later. */
static apr_status_t read_all(request_rec *r, apr_size_t most, read_t *all)
{
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    apr_status_t rv = APR_SUCCESS;

    while (rv == APR_SUCCESS && !all->ended && all->len <= most) {
        rv = ap_get_brigade(r->proto_input_filters, bb, AP_MODE_READBYTES, APR_BLOCK_READ,
                            HUGE_STRING_LEN);
        if (rv == APR_SUCCESS)
            rv = keep(all, bb, r->pool);
        apr_brigade_cleanup(bb);
    }
    apr_brigade_destroy(bb);
    return rv;
}

static void give_back(request_rec *r, const read_t *all)
{
    apr_bucket_alloc_t *list = r->connection->bucket_alloc;
    apr_bucket_brigade *held = apr_brigade_create(r->pool, list);

    if (all->len)
        APR_BRIGADE_INSERT_TAIL(held, apr_bucket_pool_create(all->text, all->len, r->pool, list));
    if (all->ended)
        APR_BRIGADE_INSERT_TAIL(held, apr_bucket_eos_create(list));
    etv_proto_input_add(r, given_back_handle, held);
}

/* Whether the client announces more than that. */
static int is_too_long(const request_rec *r, apr_size_t most)
{
    const char *text = apr_table_get(r->headers_in, "Content-Length");
    apr_off_t length;

    /* chunked goes before (RFC 9112 §6.3), and httpd has refused what is no number */
    return text && !apr_table_get(r->headers_in, "Transfer-Encoding") &&
           (apr_strtoff(&length, text, NULL, 10) != APR_SUCCESS || length > (apr_off_t)most);
}

/* Under MergeTrailers httpd would add the trailers of a chunked body to the fields of the header,
 * which have been judged and edited by now, and which the handler is still going to pass on. */
static apr_status_t read_without_trailers(request_rec *r, apr_size_t most, read_t *all)
{
    apr_table_t *before = apr_table_get(r->headers_in, "Transfer-Encoding")
                              ? apr_table_copy(r->pool, r->headers_in)
                              : r->headers_in;
    apr_status_t rv = read_all(r, most, all);

    r->headers_in = before;
    return rv;
}

int etv_graphql_body_read(request_rec *r, apr_size_t most, const char **body, apr_size_t *len)
{
    read_t all = {NULL, 0, 0, 0};
    apr_status_t rv;

    *body = NULL;
    *len = 0;
    if (!ap_request_has_body(r) || is_too_long(r, most))
        return OK;
    rv = read_without_trailers(r, most, &all);
    if (rv != APR_SUCCESS)
        return ap_map_http_request_error(rv, HTTP_BAD_REQUEST);
    give_back(r, &all);
    if (all.ended && all.len && all.len <= most) {
        *body = all.text;
        *len = all.len;
    }
    return OK;
}

void etv_graphql_body_register(void)
{
    given_back_handle = ap_register_input_filter("ETAG_VERSION_GIVEN_BACK", given_back_filter, NULL,
                                                 AP_FTYPE_PROTOCOL);
}
