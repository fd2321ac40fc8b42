/* SPDX-License-Identifier: Apache-2.0 */
/** Stores that share a mirror, as the children of one host do, before a real server. */
#ifndef ETV_TESTS_UNIT_LEASED_FIXTURE_H
#define ETV_TESTS_UNIT_LEASED_FIXTURE_H

#include "mirror_fixture.h"
#include "redis_fixture.h"

#include "store/redis_store.h"

static UNUSED settings_t settings_leased(const char *path, etv_mirror_t *mirror, int lease_ms)
{
    settings_t s = settings_unix(path);

    s.config.mirror = mirror;
    s.config.channel = etv_make_channel(mirror);
    s.config.lease_us = MS(lease_ms);
    s.config.scope = etv_hash_name("scope", 5);
    s.config.command_timeout_us = MS(5000);
    return s;
}

static UNUSED int in_use(const settings_t *s)
{
    return etv_channel_holds(etv_channel_lease(s->config.channel), etv_boottime_us());
}

static UNUSED void await_use(const settings_t *s)
{
    while (!in_use(s)) {
        usleep(500);
    }
}

static UNUSED void await_disuse(const settings_t *s)
{
    while (in_use(s)) {
        usleep(500);
    }
}

static UNUSED etv_store_t *store_in_use(settings_t *s)
{
    etv_store_t *store = store_make(s);

    await_use(s);
    return store;
}

static UNUSED etv_hash128_t key_of(const settings_t *s, const char *name)
{
    return etv_hash_scoped(etv_hash_name(name, strlen(name)), s->config.scope);
}

/** Whether the mirror knows it just now. */
static UNUSED int known(const settings_t *s, const char *name)
{
    etv_mirror_value_t value;
    apr_uint64_t lease = etv_channel_lease(s->config.channel);

    return etv_mirror_find(s->config.mirror, key_of(s, name), etv_channel_epoch_of(lease),
                           etv_boottime_us(), &value);
}

/** Until a change has been heard. */
static UNUSED void await_unknown(const settings_t *s, const char *name)
{
    while (known(s, name)) {
        usleep(500);
    }
}

/** One lookup of a name that came with a request. */
static UNUSED etv_lookup_e look_learned(etv_store_t *store, const char *name, etv_model_t *m)
{
    etv_snapshot_t snapshot;

    *m = model(name, 0);
    m->learned = 1;
    return store->ops->lookup(store, pool, m, 1, &snapshot);
}

/** How many commands of a kind the server has run. */
static UNUSED int calls(server_t *s, const char *command)
{
    redisReply *reply = ask(s, "INFO commandstats");
    char wanted[64];
    const char *at;
    int n;

    snprintf(wanted, sizeof(wanted), "cmdstat_%s:calls=", command);
    at = strstr(reply->str, wanted);
    n = at ? atoi(at + strlen(wanted)) : 0;
    freeReplyObject(reply);
    return n;
}

static UNUSED int is_token(const etv_model_t *m, const char *text)
{
    return m->state == ETV_MODEL_FOUND && m->token_len == strlen(text) &&
           memcmp(m->token, text, m->token_len) == 0;
}

#endif
