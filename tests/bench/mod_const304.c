/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The yardstick: the cheapest module that answers a condition. Below /const, a fixups hook compares
 * If-None-Match with a constant and returns 304; it knows nothing of versions, and no law holds.
 */
#include <string.h>

#include <httpd.h>
#include <http_config.h>
#include <http_request.h>

#define TAG "W/\"v0123456789abcdefghijkl\""

static int fixup(request_rec *r)
{
    const char *condition;

    if (strncmp(r->uri, "/const", 6) != 0)
        return DECLINED;
    apr_table_setn(r->headers_out, "ETag", TAG);
    condition = apr_table_get(r->headers_in, "If-None-Match");
    return condition && strcmp(condition, TAG) == 0 ? HTTP_NOT_MODIFIED : DECLINED;
}

static void register_hooks(apr_pool_t *p)
{
    (void)p;
    ap_hook_fixups(fixup, NULL, NULL, APR_HOOK_REALLY_LAST);
}

AP_DECLARE_MODULE(const304) = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks, AP_MODULE_FLAG_NONE,
};
