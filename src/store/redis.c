/* SPDX-License-Identifier: Apache-2.0 */
#include <apr_strings.h>
#include <string.h>

#include "store/listen.h"
#include "store/redis_txn.h"

static void retire(etv_store_t *store)
{
    etv_listen_retire(((etv_redis_t *)store)->listener);
}

static const etv_store_ops_t strict_ops = {.kind = "redis",
                                           .lookup = etv_redis_lookup,
                                           .bump = etv_redis_bump,
                                           .changes = &etv_redis_changes,
                                           .declared = &etv_redis_declared};
static const etv_store_ops_t leased_ops = {.kind = "redis",
                                           .lookup = etv_leased_lookup,
                                           .bump = etv_leased_bump,
                                           .retire = retire,
                                           .changes = &etv_leased_changes,
                                           .declared = &etv_leased_declared};

static void on_breaker(void *store, int open)
{
    etv_redis_t *r = store;

    if (open) {
        etv_redis_say(&r->log, ETV_REDIS_SAYS_PAUSED, ETV_LOG_WARNING, APR_SUCCESS,
                      "%s: several failures in a row: not asked for a while, no versions until it "
                      "answers again",
                      r->shown);
    } else {
        etv_redis_say(&r->log, ETV_REDIS_SAYS_BACK, ETV_LOG_NOTICE, APR_SUCCESS,
                      "%s: answers again", r->shown);
    }
}

static apr_status_t clean_up(void *store)
{
    etv_redis_t *r = store;

    if (r->config.ends_process) {
        etv_listen_end(r->listener);
        etv_resolver_stop(r->resolver);
        return APR_SUCCESS;
    }
    if (!etv_listen_stop(r->listener)) {
        return APR_SUCCESS; /* its thread may still use all of this, which ends with the process */
    }
    if (r->resolver) {
        etv_resolver_destroy(r->resolver);
    }
    etv_redis_cluster_destroy(&r->cluster);
    if (r->pool) {
        etv_redis_pool_destroy(r->pool);
    }
    apr_pool_destroy(r->own);
    return APR_SUCCESS;
}

static const char *copy(apr_pool_t *p, const char *text)
{
    return text ? apr_pstrdup(p, text) : NULL;
}

static const etv_store_host_t *copy_hosts(apr_pool_t *p, const etv_store_host_t *hosts, int n)
{
    etv_store_host_t *copies = apr_pcalloc(p, ((apr_size_t)n + 1) * sizeof(*copies));

    for (int i = 0; i < n; i++) {
        copies[i].host = apr_pstrdup(p, hosts[i].host);
        copies[i].port = hosts[i].port;
    }
    return copies;
}

/** Words of requests have two parts: so the prefix and what follows it are one text. */
static void name_families(etv_redis_t *r, apr_pool_t *p)
{
    static const char *const family[ETV_REDIS_KEYS] = {
        "", ETV_REDIS_OPEN, "%alive:", "%digest:", "%models:", "%fields:"};

    for (int i = 0; i < ETV_REDIS_KEYS; i++) {
        r->family[i].text = apr_pstrcat(p, r->config.prefix, family[i], NULL);
        r->family[i].len = strlen(r->family[i].text);
    }
}

static void copy_config(etv_redis_t *r, apr_pool_t *p, const etv_redis_config_t *config)
{
    etv_store_url_t *url = apr_pmemdup(p, config->url, sizeof(*url));

    url->user = copy(p, url->user);
    url->password = copy(p, url->password);
    url->host = copy(p, url->host);
    url->path = copy(p, url->path);
    url->master = copy(p, url->master);
    if (url->sentinels) {
        url->sentinels = copy_hosts(p, url->sentinels, url->n_sentinels);
    }
    url->canonical = copy(p, url->canonical);
    r->config = *config;
    r->config.url = url;
    r->config.password = copy(p, config->password);
    r->config.prefix = apr_pstrdup(p, config->prefix);
    r->prefix_len = strlen(config->prefix);
    name_families(r, p);
    r->shown = url->canonical ? url->canonical : "redis";
}

/** Addresses and connections. */
static apr_status_t prepare(etv_redis_t *r)
{
    etv_redis_pool_config_t pool = {
        .connections_most = r->config.connections_most > 0 ? r->config.connections_most : 1,
        .connect_timeout_us = r->config.connect_timeout_us,
        .command_timeout_us = r->config.command_timeout_us,
        .open = etv_redis_open,
        .breaker = on_breaker,
        .baton = r};
    apr_status_t rv = r->config.url->kind == ETV_STORE_URL_REDIS_SENTINEL
                          ? etv_resolver_create_sentinels(r->config.url, r->config.password,
                                                          r->config.lease_us, NULL, &r->resolver)
                          : etv_resolver_create(r->config.url, NULL, &r->resolver);

    return rv ? rv : etv_redis_pool_create(&pool, &r->pool);
}

/** Any child may listen for all of them, so one that cannot still has a store. */
static void start_listening(etv_redis_t *r)
{
    apr_status_t rv = etv_listen_start(r, &r->listener);

    if (rv) {
        etv_redis_say(&r->log, ETV_REDIS_SAYS_DEAF, ETV_LOG_WARNING, rv,
                      "%s: no thread that could listen in this process", r->shown);
    }
}

apr_status_t etv_redis_create(apr_pool_t *p, const etv_redis_config_t *config, etv_store_t **store)
{
    apr_pool_t *own;
    etv_redis_t *r;
    apr_status_t rv = apr_pool_create_unmanaged_ex(&own, NULL, NULL);

    if (rv) {
        return rv;
    }
    r = apr_pcalloc(own, sizeof(*r));
    r->own = own;
    r->base.ops = config->mirror ? &leased_ops : &strict_ops;
    copy_config(r, own, config);
    rv = etv_redis_log_init(&r->log, &config->log);
    if (!rv) {
        rv = etv_redis_cluster_init(&r->cluster);
    }
    if (rv) {
        apr_pool_destroy(own);
        return rv;
    }
    rv = prepare(r);
    if (rv) {
        clean_up(r);
        return rv;
    }
    if (config->mirror) {
        start_listening(r);
    }
    apr_pool_cleanup_register(p, r, clean_up, apr_pool_cleanup_null);
    *store = &r->base;
    return APR_SUCCESS;
}
