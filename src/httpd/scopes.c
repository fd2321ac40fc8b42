/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/scopes.h"

#include <apr_strings.h>
#include <string.h>

#include "httpd/log.h"
#include "httpd/shared.h"
#include "store/boottime.h"

/* Of this configuration, each once. */
static etv_hash128_t *scopes;
static int n_scopes;

const char *etv_scopes_name(apr_pool_t *p, const etv_server_t *server)
{
    return apr_pstrcat(p, etv_config_store_url(server)->canonical, "\n", etv_config_prefix(server),
                       NULL);
}

etv_hash128_t etv_scopes_of(apr_pool_t *p, const etv_server_t *server)
{
    const char *name = etv_scopes_name(p, server);

    return etv_hash_name(name, strlen(name));
}

static void add(etv_hash128_t scope)
{
    for (int i = 0; i < n_scopes; i++) {
        if (scopes[i].lo == scope.lo && scopes[i].hi == scope.hi)
            return;
    }
    scopes[n_scopes++] = scope;
}

/*
 * Old children have their stores yet, and what they cannot deliver is due some day; so this is done
 * again and again. Until it is, the models are pending: as long as they are, nothing is wrong.
 */
static void move(server_rec *s)
{
    int moved = etv_pending_move(etv_shared_pending(), scopes, n_scopes, etv_boottime_us());

    if (moved)
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s,
                     "ETV0155: %d bumps that could not be delivered to a store that is no longer "
                     "configured are delivered to those that are",
                     moved);
}

void etv_scopes_configure(apr_pool_t *p, apr_pool_t *ptemp, server_rec *s)
{
    int servers = 0;

    for (const server_rec *each = s; each; each = each->next)
        servers++;
    scopes = apr_palloc(p, (apr_size_t)servers * sizeof(*scopes));
    n_scopes = 0;
    for (const server_rec *each = s; each; each = each->next)
        add(etv_scopes_of(ptemp, etv_config_server(each)));
    etv_pending_use_stores(etv_shared_pending(), scopes, n_scopes);
    move(s);
}

int etv_scopes_monitor(apr_pool_t *p, server_rec *s)
{
    (void)p;
    if (n_scopes && etv_pending_any(etv_shared_pending()))
        move(s);
    return DECLINED;
}
