/* SPDX-License-Identifier: Apache-2.0 */
#include "mod_etag_version.h"

#include "httpd/life.h"

#include <dlfcn.h>

#include <ap_mpm.h>
#include <http_main.h>
#include <http_core.h>
#include <http_protocol.h>
#include <apr_hash.h>
#include <apr_strings.h>
#include <apr_thread_proc.h>

#include "core/blocks.h"
#include "httpd/conditions.h"
#include "httpd/config.h"
#include "httpd/events.h"
#include "httpd/events_limit.h"
#include "httpd/identity.h"
#include "httpd/key.h"
#include "httpd/log.h"
#include "httpd/scopes.h"
#include "httpd/shared.h"
#include "httpd/store_check.h"
#include "store/change.h"
#include "store/local.h"
#include "store/redis.h"

static int has_socache;
static int has_brotli;
static etv_keeper_t *keeper; /* this child's */
int etv_life_cache_is_loaded;
int etv_life_validator_is_needed;

int etv_life_has_socache(void)
{
    return has_socache;
}

int etv_life_has_brotli(void)
{
    return has_brotli;
}

etv_keeper_t *etv_life_keeper(void)
{
    return keeper;
}

/* --- parent --- */

int etv_life_pre_config(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp)
{
    (void)p;
    (void)plog;
    (void)ptemp;
    if (etv_shared_use_key(ap_pglobal) != APR_SUCCESS)
        return HTTP_INTERNAL_SERVER_ERROR;
    etv_config_reset();
    /* All modules are loaded, and httpd sorts the hooks again before it serves. */
    has_brotli = ap_find_linked_module("mod_brotli.c") != NULL;
    has_socache = ap_find_linked_module("mod_cache_socache.c") != NULL;
    etv_life_cache_is_loaded = ap_find_linked_module("mod_cache.c") != NULL;
    if (etv_life_cache_is_loaded) /* before anything can change the client's conditions */
        ap_hook_post_read_request(etv_conditions_remember, NULL, NULL, APR_HOOK_REALLY_FIRST);
    return OK;
}

/* Whether a directive stands anywhere below with this argument; .htaccess aside. */
static int is_said(const ap_directive_t *tree, const char *directive, const char *args)
{
    for (; tree; tree = tree->next) {
        if ((ap_cstr_casecmp(tree->directive, directive) == 0 &&
             ap_cstr_casecmp(tree->args, args) == 0) ||
            is_said(tree->first_child, directive, args))
            return 1;
    }
    return 0;
}

/* What mod_cache was told for a place cannot be asked, only what holds for all of them. */
static int holds_everywhere(const char *directive)
{
    int on = 0;

    for (const ap_directive_t *top = ap_conftree; top; top = top->next)
        on |= ap_cstr_casecmp(top->directive, directive) == 0 &&
              ap_cstr_casecmp(top->args, "on") == 0;
    return on && !is_said(ap_conftree, directive, "off");
}

static void warn_of_neighbours(server_rec *s)
{
    if (has_socache)
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s,
                     "ETV0402: mod_cache_socache loses a stored body when it is revalidated; its "
                     "revalidations go to the backend (mod_cache_disk has no such fault)");
}

/* The name and the addresses of a virtual host. */
static const char *full_name(apr_pool_t *p, const server_rec *s)
{
    const char *name = s->server_hostname;

    for (const server_addr_rec *addr = s->addrs; addr; addr = addr->next)
        name = apr_psprintf(p, "%s %s:%d", name, addr->virthost, (int)addr->host_port);
    return name;
}

/* httpd gives a virtual host without directives of this module the main server's configuration. */
static void own_config(apr_pool_t *p, const server_rec *s, const server_rec *main_server)
{
    const etv_server_t *shared = etv_config_server(main_server);

    if (etv_config_server(s) == shared)
        ap_set_module_config(s->module_config, &etag_version_module,
                             apr_pmemdup(p, shared, sizeof(*shared)));
}

/*
 * What tells virtual hosts apart in tags. The name is the same on all hosts of a fleet, so it is
 * enough where only one has it; the addresses come in where several share a name.
 */
static void name_vhosts(apr_pool_t *p, apr_pool_t *ptemp, server_rec *main_server)
{
    apr_hash_t *names = apr_hash_make(ptemp);
    server_rec *s;

    for (s = main_server; s; s = s->next) {
        if (s->is_virtual && s->server_hostname) {
            const char *many = apr_hash_get(names, s->server_hostname, APR_HASH_KEY_STRING);

            apr_hash_set(names, s->server_hostname, APR_HASH_KEY_STRING, many ? "many" : "");
        }
    }
    for (s = main_server; s; s = s->next) {
        const char *many;

        if (!s->is_virtual || !s->server_hostname)
            continue;
        own_config(p, s, main_server);
        many = apr_hash_get(names, s->server_hostname, APR_HASH_KEY_STRING);
        etv_config_server(s)->vhost = many && *many ? full_name(p, s) : s->server_hostname;
    }
}

static int has_redis(const server_rec *s)
{
    for (; s; s = s->next) {
        if (etv_config_store_url(etv_config_server(s))->kind != ETV_STORE_URL_LOCAL)
            return 1;
    }
    return 0;
}

/* Whether a server's versions are kept up to date by what the store pushes. */
static int is_leased(const etv_server_t *server)
{
    return etv_config_store_url(server)->kind != ETV_STORE_URL_LOCAL &&
           etv_config_lease_us(server) > 0;
}

static int has_leased(const server_rec *s)
{
    for (; s; s = s->next) {
        if (is_leased(etv_config_server(s)))
            return 1;
    }
    return 0;
}

/* With its length, so that two that follow each other cannot be taken for others. */
static const char *measured(apr_pool_t *p, const char *text)
{
    return text ? apr_psprintf(p, "%d:%s", (int)strlen(text), text) : "-";
}

/* Stores of the same channel hear the same, read the same of each other's, and trust alike. */
static etv_hash128_t channel_name(apr_pool_t *p, const etv_server_t *server)
{
    const etv_store_url_t *url = etv_config_store_url(server);
    const char *name = apr_pstrcat(
        p, measured(p, url->canonical), measured(p, etv_config_prefix(server)),
        measured(p, url->user), measured(p, url->ca), measured(p, url->cert), measured(p, url->key),
        server->secret ? "own" : "kept", apr_ltoa(p, (long)etv_config_lease_us(server)), NULL);

    return etv_hash_name(name, strlen(name));
}

/* Channels outlive restarts, as what is heard on them does. */
static void open_channel(apr_pool_t *p, server_rec *s)
{
    etv_server_t *server = etv_config_server(s);

    server->channel = NULL;
    if (!is_leased(server))
        return;
    server->channel_name = channel_name(p, server);
    server->channel = etv_mirror_channel(etv_shared_mirror(), server->channel_name);
    if (!server->channel)
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "ETV0407: more than %d stores have used the shared table of versions since "
                     "the server was started: this one is asked for every request, as under "
                     "ETagVersionFreshness strict",
                     ETV_MIRROR_CHANNELS);
}

int etv_life_check_config(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    (void)plog;
    for (const server_rec *each = s; each; each = each->next) {
        if (etv_config_server(each)->store_password && !has_redis(s)) {
            ap_log_error(
                APLOG_MARK, APLOG_ERR, 0, each,
                "ETV0403: ETagVersionStorePassword: the local store takes no password; use "
                "it with an ETagVersionStore of redis://... or redis+unix:///...");
            return HTTP_INTERNAL_SERVER_ERROR;
        }
    }
    return etv_store_check(p, ptemp, s);
}

int etv_life_post_config(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    apr_status_t rv;

    (void)plog;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG)
        return OK; /* the first of two readings at start */
    rv = etv_shared_open(s, has_leased(s));
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, s,
                     "ETV0404: no shared memory for a table of %d entries "
                     "(ETagVersionTableSize)",
                     etv_config_table_size());
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    for (server_rec *each = s; each; each = each->next)
        open_channel(ptemp, each);
    warn_of_neighbours(s);
    etv_events_limit_check(s);
    etv_life_validator_is_needed =
        etv_life_cache_is_loaded && !holds_everywhere("CacheIgnoreNoLastMod");
    name_vhosts(p, ptemp, s);
    etv_identity_init();
    etv_scopes_configure(p, ptemp, s);
    return OK;
}

/* --- child --- */

static void log_store(void *baton, etv_log_level_e level, apr_status_t status, const char *message)
{
    static const int levels[] = {APLOG_ERR, APLOG_WARNING, APLOG_NOTICE, APLOG_INFO, APLOG_DEBUG};

    if (status == APR_EGENERAL) /* says nothing that the message does not say better */
        status = APR_SUCCESS;
    ap_log_error(APLOG_MARK, levels[level], status, (server_rec *)baton, "%s", message);
}

static int same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* Virtual hosts that say the same share one store, also where each says it in lines of its own. */
static int same_store(const etv_server_t *a, const etv_server_t *b)
{
    const etv_store_url_t *x = etv_config_store_url(a), *y = etv_config_store_url(b);

    return strcmp(x->canonical, y->canonical) == 0 && same_text(x->user, y->user) &&
           same_text(x->password, y->password) && same_text(a->store_password, b->store_password) &&
           same_text(x->ca, y->ca) && same_text(x->cert, y->cert) && same_text(x->key, y->key) &&
           strcmp(etv_config_prefix(a), etv_config_prefix(b)) == 0 &&
           etv_config_connect_timeout_us(a) == etv_config_connect_timeout_us(b) &&
           etv_config_command_timeout_us(a) == etv_config_command_timeout_us(b) &&
           !a->secret == !b->secret && etv_config_lease_us(a) == etv_config_lease_us(b);
}

/* As many as requests can run at once, within reason: what is above waits for a free one. */
static int connections_most(void)
{
    int threads = 1;

    ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads);
    return threads < 1 ? 1 : threads > 64 ? 64 : threads;
}

static apr_status_t open_store(apr_pool_t *p, server_rec *s, etv_server_t *server)
{
    const etv_store_url_t *url = etv_config_store_url(server);
    etv_log_t log = {log_store, s};
    etv_redis_config_t config;

    if (url->kind == ETV_STORE_URL_LOCAL) {
        server->store = etv_local_create(p, etv_shared_table(), etv_scopes_name(p, server), log);
        etv_local_share(server->store, etv_shared_pending(), etv_shared_feed());
        return APR_SUCCESS;
    }
    memset(&config, 0, sizeof(config));
    config.url = url;
    config.password = server->store_password;
    config.tls = server->tls;
    config.prefix = etv_config_prefix(server);
    config.connect_timeout_us = etv_config_connect_timeout_us(server);
    config.command_timeout_us = etv_config_command_timeout_us(server);
    config.connections_most = connections_most();
    config.keep_secret = !server->secret;
    config.lease_us = etv_config_trust_us(server);
    config.ends_process = 1; /* a child's pool */
    if (server->channel) {
        config.mirror = etv_shared_mirror();
        config.channel = server->channel;
        config.scope = server->channel_name;
        config.feed = etv_shared_feed();
    }
    config.log = log;
    return etv_redis_create(p, &config, &server->store);
}

/*
 * Store threads are detached where they may sit in the resolver, so their code must stay mapped
 * until the process is gone.
 */
static void pin_module(const server_rec *s)
{
    Dl_info info;

    if (!dladdr((void *)&has_socache, &info) || !info.dli_fname ||
        !dlopen(info.dli_fname, RTLD_NOW | RTLD_NODELETE | RTLD_NOLOAD))
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "ETV0406: the module cannot be kept in memory until this child is gone");
}

/* Of the changes that this child will make: none goes on for longer unattended. */
static apr_interval_time_t longest_timeout(const server_rec *s)
{
    apr_interval_time_t longest = 0;

    for (; s; s = s->next)
        longest = s->timeout > longest ? s->timeout : longest;
    return longest;
}

/* What is pending may be delivered through any store of its scope. */
static void create_keeper(apr_pool_t *p, server_rec *s)
{
    etv_log_t log = {log_store, s};
    etv_keeper_store_t *stores;
    apr_status_t rv;
    int servers = 0, n = 0;

    for (const server_rec *each = s; each; each = each->next)
        servers++;
    stores = apr_pcalloc(p, (apr_size_t)servers * sizeof(*stores));
    for (const server_rec *each = s; each; each = each->next) {
        const etv_server_t *server = etv_config_server(each);
        int known = !server->store;

        for (int i = 0; i < n && !known; i++)
            known = stores[i].store == server->store;
        if (!known)
            stores[n++] = (etv_keeper_store_t){server->store, server->scope};
    }
    rv = etv_keeper_create(p, etv_shared_pending(), stores, n, log, &keeper);
    if (rv != APR_SUCCESS) {
        keeper = NULL;
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, s,
                     "ETV0154: nothing can care for changes in this child: no bumps by requests");
        return;
    }
    etv_keeper_ends_process(keeper);
    etv_keeper_lives(keeper, longest_timeout(s));
    if (etv_config_changes())
        etv_keeper_start(keeper);
}

void etv_life_child_init(apr_pool_t *p, server_rec *s)
{
    pin_module(s);
    etv_blocks_limit(etv_config_buffer_limit()->process);
    for (server_rec *each = s; each; each = each->next) {
        etv_server_t *server = etv_config_server(each);
        apr_status_t rv = APR_SUCCESS;

        server->scope = etv_scopes_of(p, server);
        etv_key_prepare(p, server);
        for (const server_rec *other = s; other != each && !server->store; other = other->next) {
            if (same_store(server, etv_config_server(other)))
                server->store = etv_config_server(other)->store;
        }
        if (!server->store)
            rv = open_store(p, each, server);
        if (rv != APR_SUCCESS)
            ap_log_error(APLOG_MARK, APLOG_ERR, rv, each,
                         "ETV0405: the store cannot be used, there will be no version tags");
    }
    create_keeper(p, s); /* after the stores: it ends first */
}

void etv_life_child_stopping(apr_pool_t *p, int graceful)
{
    (void)p;
    (void)graceful;
    etv_events_end();
    for (const server_rec *each = ap_server_conf; each; each = each->next) {
        etv_store_t *store = etv_config_server(each)->store;

        if (store && store->ops->retire)
            store->ops->retire(store);
    }
    etv_keeper_retire(keeper);
}

/* --- for other modules --- */

static apr_status_t etag_version_bump(server_rec *s, apr_pool_t *p, const char *model)
{
    const etv_server_t *server = etv_config_server(s);
    etv_change_t *change;
    etv_model_t bumped;

    memset(&bumped, 0, sizeof(bumped));
    bumped.name = model;
    bumped.name_len = strlen(model);
    if (!etv_model_name_is_right(model, bumped.name_len))
        return APR_EINVAL;
    bumped.hash = etv_hash_name(model, bumped.name_len);
    if (!server->store)
        return APR_ENOTIMPL;
    if (!keeper)
        return server->store->ops->bump(server->store, p, &bumped, 1);
    /* As a change, which is remembered and tried again when the store cannot take it now. */
    change = etv_change_make(p, keeper, server->store, server->scope, s->timeout);
    etv_change_add(change, &bumped, 1);
    return etv_change_end(change);
}

void etv_life_register(void)
{
    APR_REGISTER_OPTIONAL_FN(etag_version_bump);
}
