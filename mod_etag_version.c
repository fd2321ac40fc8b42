/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_etag_version: entity-tags from versions. The module record, the order of hooks and the life
 * cycle; no logic.
 */
#include <httpd.h>
#include <http_config.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mpm_common.h>

#include "httpd/admin.h"
#include "httpd/bump.h"
#include "httpd/conditions.h"
#include "httpd/config.h"
#include "httpd/content.h"
#include "httpd/early.h"
#include "httpd/evaluate.h"
#include "httpd/events.h"
#include "httpd/graphql.h"
#include "httpd/head.h"
#include "httpd/life.h"
#include "httpd/probe.h"
#include "httpd/request.h"
#include "httpd/scopes.h"
#include "httpd/stamp.h"
#include "httpd/strip.h"

static void register_hooks(apr_pool_t *p)
{
    static const char *const mod_cache[] = {"mod_cache.c", NULL};

    (void)p;
    etv_stamp_register();
    etv_content_register();
    etv_strip_register();
    etv_evaluate_register();
    etv_probe_register();
    etv_bump_register();
    etv_graphql_register();
    etv_life_register();

    ap_hook_pre_config(etv_life_pre_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(etv_life_check_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(etv_life_post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(etv_life_child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_stopping(etv_life_child_stopping, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_monitor(etv_scopes_monitor, NULL, NULL, APR_HOOK_MIDDLE);

    /* Access is granted, and mod_headers has edited the request. */
    ap_hook_fixups(etv_request_fixup, NULL, NULL, APR_HOOK_REALLY_LAST);
    ap_hook_fixups(etv_conditions_fixup, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_fixups(etv_head_fixup, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_insert_error_filter(etv_head_insert_error, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_insert_error_filter(etv_stamp_insert_error, NULL, NULL, APR_HOOK_REALLY_LAST);
    /* Before a change is begun, which would speak against every condition. */
    ap_hook_handler(etv_request_other_handler, NULL, NULL, APR_HOOK_REALLY_FIRST - 1);
    /* All other filters are in the chain by now. Before mod_cache for the client's condition, and
     * behind it for mod_cache's own. */
    ap_hook_handler(etv_early_handler, NULL, mod_cache, APR_HOOK_REALLY_FIRST);
    ap_hook_handler(etv_early_handler_behind_cache, mod_cache, NULL, APR_HOOK_REALLY_FIRST);
    /* Behind the early answer, before everything that may change data. */
    ap_hook_handler(etv_bump_handler, NULL, mod_cache, APR_HOOK_REALLY_FIRST + 1);
    ap_hook_quick_handler(etv_bump_quick_handler, NULL, mod_cache, APR_HOOK_REALLY_FIRST);
    ap_hook_insert_error_filter(etv_bump_insert_error, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_log_transaction(etv_bump_log, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_handler(etv_admin_handler, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(etv_events_handler, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(etag_version) = {
    STANDARD20_MODULE_STUFF, etv_config_create_dir, etv_config_merge_dir, etv_config_create_server,
    etv_config_merge_server, etv_directives,        register_hooks,       AP_MODULE_FLAG_NONE,
};
