/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small httpd module that bumps models through the public header of mod_etag_version. The demo's
 * bump button calls it; it also shows module authors how little it takes.
 *
 *   POST /bump?model=proteins.Protein   ->  204, or 400, 405, 503
 */
#include <httpd.h>
#include <http_config.h>
#include <http_protocol.h>
#include <http_request.h>
#include <apr_strings.h>

#include "mod_etag_version.h"

static APR_OPTIONAL_FN_TYPE(etag_version_bump) * bump_fn;

static const char *model_of(request_rec *r)
{
    static const char key[] = "model=";
    char *model;

    if (!r->args || strncmp(r->args, key, sizeof(key) - 1) != 0)
        return NULL;
    model = apr_pstrdup(r->pool, r->args + sizeof(key) - 1);
    return ap_unescape_urlencoded(model) == OK ? model : NULL;
}

static int bump_handler(request_rec *r)
{
    const char *model;
    apr_status_t rv;

    if (!r->handler || strcmp(r->handler, "etag-version-demo-bump") != 0)
        return DECLINED;
    if (r->method_number != M_POST) {
        ap_allow_standard_methods(r, REPLACE_ALLOW, M_POST, -1);
        return HTTP_METHOD_NOT_ALLOWED;
    }
    model = model_of(r);
    if (!model)
        return HTTP_BAD_REQUEST;
    rv = bump_fn ? bump_fn(r->server, r->pool, model) : APR_ENOTIMPL;
    if (rv == APR_EINVAL)
        return HTTP_BAD_REQUEST;
    if (rv != APR_SUCCESS)
        return HTTP_SERVICE_UNAVAILABLE;
    r->status = HTTP_NO_CONTENT;
    return OK;
}

static void retrieve(void)
{
    bump_fn = APR_RETRIEVE_OPTIONAL_FN(etag_version_bump);
}

static void register_hooks(apr_pool_t *p)
{
    (void)p;
    ap_hook_optional_fn_retrieve(retrieve, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(bump_handler, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(etag_version_demo) = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks, AP_MODULE_FLAG_NONE,
};
