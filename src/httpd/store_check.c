/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/store_check.h"

#include <http_core.h>
#include <http_log.h>
#include <apr_strings.h>

#include "httpd/config.h"
#include "httpd/log.h"
#include "httpd/shared.h"
#include "store/redis_cluster.h"
#include "store/redis_probe.h"

/* --- TLS --- */

/* Addresses that virtual hosts inherit are one and the same, and so is what was read for them. */
static etv_redis_tls_t *read_before(const server_rec *s, const server_rec *until,
                                    const etv_store_url_t *url)
{
    for (; s != until; s = s->next) {
        const etv_server_t *server = etv_config_server(s);

        if (etv_config_store_url(server) == url && server->tls)
            return server->tls;
    }
    return NULL;
}

/*
 * At a restart httpd goes on: neither what a server answers at night nor a certificate that is just
 * being exchanged shall end what is being served.
 */
static int level_of_faults(const server_rec *s)
{
    return etv_shared_is_restart(s) ? APLOG_WARNING : APLOG_ERR;
}

static int result_of_faults(const server_rec *s)
{
    return etv_shared_is_restart(s) ? OK : HTTP_INTERNAL_SERVER_ERROR;
}

static int read_files(apr_pool_t *p, const server_rec *all, server_rec *s)
{
    etv_server_t *server = etv_config_server(s);
    const etv_store_url_t *url = etv_config_store_url(server);
    const char *wrong;

    if (!url->tls)
        return OK;
    server->tls = read_before(all, s, url);
    if (server->tls)
        return OK;
    wrong = etv_redis_tls_load(p, url, &server->tls);
    if (!wrong)
        return OK;
    ap_log_error(APLOG_MARK, level_of_faults(s), 0, s, "ETV0408: ETagVersionStore %s: %s",
                 url->canonical, wrong);
    server->tls = NULL; /* without which nothing is connected */
    return result_of_faults(s);
}

/* --- Redis Cluster --- */

/* Whether a server's configuration would not do for a node of a cluster. */
static int unfit_for_cluster(const etv_server_t *server)
{
    const etv_store_url_t *url = etv_config_store_url(server);

    return url->kind == ETV_STORE_URL_REDIS_TCP &&
           (url->db || !etv_redis_cluster_tagged(etv_config_prefix(server)));
}

static int same_question(const etv_redis_probe_t *a, const etv_redis_probe_t *b)
{
    return strcmp(a->url->canonical, b->url->canonical) == 0 && a->password == b->password &&
           a->url->user == b->url->user && a->url->password == b->url->password;
}

static int count_servers(const server_rec *s)
{
    int n = 0;

    for (; s; s = s->next)
        n++;
    return n;
}

static int complain(const server_rec *s)
{
    int level = level_of_faults(s);
    const etv_server_t *server = etv_config_server(s);
    const etv_store_url_t *url = etv_config_store_url(server);
    const char *prefix = etv_config_prefix(server);

    if (url->db)
        ap_log_error(APLOG_MARK, level, 0, s,
                     "ETV0409: ETagVersionStore %s: the server is a node of a Redis Cluster, which "
                     "has only database 0: leave out the /%d",
                     url->canonical, url->db);
    if (!etv_redis_cluster_tagged(prefix))
        ap_log_error(
            APLOG_MARK, level, 0, s,
            "ETV0410: ETagVersionKeyPrefix \"%s\": the server of ETagVersionStore %s is a "
            "node of a Redis Cluster, where all versions must be in one hash slot: write a "
            "{tag} into the prefix, as in ETagVersionKeyPrefix \"{etag}:%s\"",
            prefix, url->canonical, prefix);
    return result_of_faults(s);
}

/* All distinct servers are asked at the same time. */
static int check_clusters(apr_pool_t *ptemp, server_rec *all)
{
    apr_size_t most = (apr_size_t)count_servers(all);
    etv_redis_probe_t *probes = apr_pcalloc(ptemp, most * sizeof(*probes));
    const server_rec **asked = apr_pcalloc(ptemp, most * sizeof(*asked));
    int result = OK;
    int n = 0;

    for (const server_rec *s = all; s; s = s->next) {
        const etv_server_t *server = etv_config_server(s);
        etv_redis_probe_t *probe = probes + n;
        int before = 0;

        if (!unfit_for_cluster(server))
            continue;
        probe->url = etv_config_store_url(server);
        probe->password = server->store_password;
        probe->tls = server->tls;
        probe->timeout_us =
            etv_config_connect_timeout_us(server) + etv_config_command_timeout_us(server);
        while (before < n && !same_question(probes + before, probe))
            before++;
        if (before == n)
            asked[n++] = s;
    }
    etv_redis_probe(probes, n);
    for (int i = 0; i < n; i++) {
        if (probes[i].is_cluster)
            result |= complain(asked[i]);
    }
    return result;
}

int etv_store_check(apr_pool_t *p, apr_pool_t *ptemp, server_rec *s)
{
    int mode = ap_state_query(AP_SQ_RUN_MODE);

    /* A test of the configuration reads it only once. */
    if (mode == AP_SQ_RM_CONFIG_DUMP ||
        (mode == AP_SQ_RM_NORMAL && ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG))
        return OK;
    for (server_rec *each = s; each; each = each->next) {
        int result = read_files(p, s, each);

        if (result != OK)
            return result;
    }
    return check_clusters(ptemp, s);
}
