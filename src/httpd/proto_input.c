/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/proto_input.h"

ap_filter_t *etv_proto_input_find(const request_rec *r, const ap_filter_rec_t *kind)
{
    for (ap_filter_t *f = r->input_filters; f && f->r == r; f = f->next) {
        if (f->frec == kind)
            return f;
    }
    return NULL;
}

/* Filters of one type stand in the order in which they come, so this place can only be taken by
 * hand. */
void etv_proto_input_add(request_rec *r, ap_filter_rec_t *kind, void *context)
{
    ap_filter_t *behind = r->proto_input_filters, *f;
    ap_filter_t **at = &r->input_filters;

    while (*at && *at != behind)
        at = &(*at)->next;
    if (!*at)
        return;
    f = apr_pcalloc(r->pool, sizeof(*f));
    f->frec = kind;
    f->ctx = context;
    f->r = r;
    f->c = r->connection;
    f->next = behind;
    *at = f;
    r->proto_input_filters = f;
}
