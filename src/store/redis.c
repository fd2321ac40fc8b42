/* SPDX-License-Identifier: Apache-2.0 */
#include <apr_strings.h>
#include <string.h>

#include "store/redis_txn.h"

static const etv_store_ops_t redis_ops = {"redis", etv_redis_lookup, etv_redis_bump};

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

    etv_resolver_destroy(r->resolver);
    etv_redis_pool_destroy(r->pool);
    return APR_SUCCESS;
}

static const char *copy(apr_pool_t *p, const char *text)
{
    return text ? apr_pstrdup(p, text) : NULL;
}

static void copy_config(etv_redis_t *r, apr_pool_t *p, const etv_redis_config_t *config)
{
    etv_store_url_t *url = apr_pmemdup(p, config->url, sizeof(*url));

    url->user = copy(p, url->user);
    url->password = copy(p, url->password);
    url->host = copy(p, url->host);
    url->path = copy(p, url->path);
    url->canonical = copy(p, url->canonical);
    r->config = *config;
    r->config.url = url;
    r->config.password = copy(p, config->password);
    r->config.prefix = apr_pstrdup(p, config->prefix);
    r->prefix_len = strlen(config->prefix);
    r->shown = url->canonical ? url->canonical : "redis";
}

apr_status_t etv_redis_create(apr_pool_t *p, const etv_redis_config_t *config, etv_store_t **store)
{
    etv_redis_t *r = apr_pcalloc(p, sizeof(*r));
    etv_redis_pool_config_t pool = {.connections_most =
                                        config->connections_most > 0 ? config->connections_most : 1,
                                    .connect_timeout_us = config->connect_timeout_us,
                                    .command_timeout_us = config->command_timeout_us,
                                    .open = etv_redis_open,
                                    .breaker = on_breaker,
                                    .baton = r};
    apr_status_t rv;

    r->base.ops = &redis_ops;
    copy_config(r, p, config);
    rv = etv_redis_log_init(&r->log, &config->log);
    if (rv) {
        return rv;
    }
    rv = etv_resolver_create(r->config.url, NULL, &r->resolver);
    if (rv) {
        return rv;
    }
    rv = etv_redis_pool_create(&pool, &r->pool);
    if (rv) {
        etv_resolver_destroy(r->resolver);
        return rv;
    }
    apr_pool_cleanup_register(p, r, clean_up, apr_pool_cleanup_null);
    *store = &r->base;
    return APR_SUCCESS;
}
