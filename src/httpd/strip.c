/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/strip.h"

#include <util_filter.h>

#include "httpd/config.h"
#include "httpd/policy.h"

static ap_filter_rec_t *strip_handle;

static const char *header_of(const request_rec *r)
{
    return etv_config_models_header(etv_config_dir(r));
}

/* Redirects keep what a script has put among the headers of errors, too. */
static apr_status_t strip_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    ap_filter_t *next = f->next;

    for (const request_rec *each = f->r; each; each = each->prev) {
        const char *header = header_of(each);

        if (header)
            etv_policy_set_field(f->r, header, NULL);
    }
    ap_remove_output_filter(f);
    return ap_pass_brigade(next, bb);
}

/* Behind mod_headers, and in front of where mod_cache stores. */
void etv_strip_register(void)
{
    strip_handle =
        ap_register_output_filter("ETAG_VERSION_STRIP", strip_filter, NULL, AP_FTYPE_CONTENT_SET);
}

void etv_strip_insert(request_rec *r)
{
    const request_rec *each = r;

    while (each && !header_of(each))
        each = each->prev;
    if (each && !r->main)
        ap_add_output_filter_handle(strip_handle, NULL, r, r->connection);
}
