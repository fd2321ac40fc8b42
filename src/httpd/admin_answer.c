/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/admin_answer.h"

#include <stdlib.h>

#include <http_protocol.h>
#include <apr_strings.h>

/* Referrer-Policy: with no-referrer, browsers would say `Origin: null` when they post the form. */
static void set_headers(request_rec *r, const char *type)
{
    ap_set_content_type(r, type);
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->headers_out, "X-Content-Type-Options", "nosniff");
    apr_table_setn(r->headers_out, "Referrer-Policy", "same-origin");
    apr_table_setn(r->headers_out, "Content-Security-Policy",
                   "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri "
                   "'none'");
}

static int send_text(request_rec *r, const char *text)
{
    ap_set_content_length(r, (apr_off_t)strlen(text));
    ap_rputs(text, r);
    return OK;
}

int etv_admin_answer(request_rec *r, int status, json_t *answer)
{
    char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
    const char *line = text ? apr_pstrcat(r->pool, text, "\n", NULL) : NULL;

    json_decref(answer);
    free(text);
    if (!line)
        return HTTP_INTERNAL_SERVER_ERROR;
    set_headers(r, "application/json");
    r->status = status;
    r->status_line = NULL;
    return send_text(r, line);
}

int etv_admin_refuse(request_rec *r, int status, const char *reason)
{
    return etv_admin_answer(r, status, json_pack("{s:s}", "error", reason));
}

int etv_admin_page(request_rec *r)
{
    static const char page[] =
        "<!DOCTYPE html>\n"
        "<html lang=\"en\">\n"
        "<head><meta charset=\"utf-8\"><title>Versions</title></head>\n"
        "<body>\n"
        "<h1>Versions</h1>\n"
        "<form method=\"get\"><p><label>Model <input name=\"model\" maxlength=\"256\" required>"
        "</label> <button>Show its version</button></p></form>\n"
        "<form method=\"post\"><p><label>Model <input name=\"model\" maxlength=\"256\" required>"
        "</label> <button>Bump it</button></p></form>\n"
        "</body>\n"
        "</html>\n";

    set_headers(r, "text/html; charset=utf-8");
    return send_text(r, page);
}
