/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lookups through the mirror: what the listener of this host keeps up to date is taken from there;
 * everything else is asked for as without a mirror, and then remembered.
 */
#include <string.h>

#include "store/boottime.h"
#include "store/redis_store.h"

#define REFUTE_GAP_US 100000

static etv_hash128_t key_of(const etv_redis_t *r, const etv_model_t *m)
{
    return etv_hash_scoped(m->hash, r->config.scope);
}

/* The server of an epoch. They change so seldom that each thread keeps its own copy. */
static int know_facts(const etv_redis_t *r, apr_uint32_t epoch, etv_snapshot_t *snapshot)
{
    static _Thread_local struct {
        const etv_channel_t *channel;
        apr_uint32_t epoch;
        etv_channel_facts_t facts;
    } memo;

    if (memo.channel != r->config.channel || memo.epoch != epoch) {
        memo.channel = NULL;
        if (!etv_channel_get_facts(r->config.channel, epoch, &memo.facts))
            return 0;
        memo.channel = r->config.channel;
        memo.epoch = epoch;
    }
    memcpy(snapshot->kept_instance, memo.facts.instance, ETV_INSTANCE_BYTES);
    memcpy(snapshot->kept_secret, memo.facts.secret, ETV_SECRET_BYTES);
    snapshot->instance = snapshot->kept_instance;
    snapshot->secret = r->config.keep_secret ? snapshot->kept_secret : NULL;
    return 1;
}

static void set_found(etv_model_t *m)
{
    m->state = ETV_MODEL_FOUND;
    m->token = m->kept.token;
    m->token_len = m->kept.len;
}

/* 1: the state of the model is known. */
static int find_one(const etv_redis_t *r, etv_model_t *m, apr_uint32_t epoch, apr_time_t now_us)
{
    if (!etv_mirror_find(r->config.mirror, key_of(r, m), epoch, now_us, &m->kept))
        return 0;
    if (m->kept.absent) {
        m->state = ETV_MODEL_ABSENT;
        return !m->may_create;
    }
    set_found(m);
    return 1;
}

static int find_all(const etv_redis_t *r, etv_model_t *models, int n, apr_uint64_t lease,
                    apr_time_t now_us, etv_snapshot_t *snapshot)
{
    apr_uint32_t epoch = etv_channel_epoch_of(lease);

    for (int i = 0; i < n; i++) {
        if (!find_one(r, models + i, epoch, now_us))
            return 0;
    }
    return know_facts(r, epoch, snapshot);
}

static void remember_one(const etv_redis_t *r, const etv_model_t *m, apr_uint32_t epoch,
                         apr_uint64_t generation, apr_time_t now_us)
{
    etv_mirror_class_e class = ETV_MIRROR_CONFIGURED;
    etv_mirror_value_t value = {.words = {0}};

    if (m->state == ETV_MODEL_UNUSABLE || m->state == ETV_MODEL_OPEN)
        return;
    value.absent = m->state == ETV_MODEL_ABSENT;
    if (!value.absent) {
        value.len = (unsigned char)m->token_len;
        memcpy(value.token, m->token, value.len);
    }
    if (m->learned)
        class = value.absent ? ETV_MIRROR_MADE_UP : ETV_MIRROR_LEARNED;
    etv_mirror_install(r->config.mirror, key_of(r, m), epoch, generation, class, now_us, &value);
}

/* Requests and the listener have been told two different things: nothing known holds. Where that
 * goes on, it need not be said more often than this. */
static void refute(etv_redis_t *r, apr_uint32_t epoch, apr_time_t now_us)
{
    apr_int64_t next = atomic_load(&r->refute_us);
    int wrapped;

    if (now_us < next ||
        !atomic_compare_exchange_strong(&r->refute_us, &next, now_us + REFUTE_GAP_US))
        return;
    etv_channel_refute(r->config.channel, epoch, &wrapped);
    if (wrapped)
        etv_mirror_invalidate_all(r->config.mirror);
    /* Perhaps it was the request's connection that led to the wrong one. */
    etv_redis_pool_renounce(r->pool);
    etv_resolver_kick(r->resolver);
}

/* Only what the very server of the epoch said belongs to the epoch. */
static int is_of(etv_redis_t *r, apr_uint32_t epoch, const etv_snapshot_t *snapshot,
                 apr_time_t now_us)
{
    etv_snapshot_t known;

    if (!know_facts(r, epoch, &known))
        return 0;
    if (memcmp(known.instance, snapshot->instance, ETV_INSTANCE_BYTES) == 0 &&
        (!known.secret || memcmp(known.secret, snapshot->secret, ETV_SECRET_BYTES) == 0))
        return 1;
    refute(r, epoch, now_us);
    return 0;
}

/*
 * The generations are read before the versions are asked for. Whatever changes after that makes
 * them old, so that what is remembered here is void where it might be wrong.
 */
static etv_lookup_e ask(etv_redis_t *r, apr_pool_t *p, etv_model_t *models, int n,
                        apr_uint64_t lease, apr_time_t now_us, etv_snapshot_t *snapshot)
{
    apr_uint32_t epoch = etv_channel_epoch_of(lease);
    int holds = etv_channel_holds(lease, now_us);
    apr_uint64_t generations[ETV_MODELS_MOST];
    etv_lookup_e result;

    if (n > ETV_MODELS_MOST)
        return ETV_LOOKUP_UNAVAILABLE;
    for (int i = 0; i < n; i++)
        generations[i] = etv_mirror_generation(r->config.mirror, key_of(r, models + i));
    result = etv_redis_lookup(&r->base, p, models, n, snapshot);
    if (result != ETV_LOOKUP_OK || !holds || !is_of(r, epoch, snapshot, now_us))
        return result;
    for (int i = 0; i < n; i++)
        remember_one(r, models + i, epoch, generations[i], now_us);
    return result;
}

static int has_learned(const etv_model_t *models, int n)
{
    for (int i = 0; i < n; i++) {
        if (models[i].learned)
            return 1;
    }
    return 0;
}

/*
 * Names that clients make up are never known. At most half of the connections ask for such, so that
 * whoever sends many of them does not hold up the others.
 */
static etv_lookup_e ask_within_bounds(etv_redis_t *r, apr_pool_t *p, etv_model_t *models, int n,
                                      apr_uint64_t lease, apr_time_t now_us,
                                      etv_snapshot_t *snapshot)
{
    int most = (r->config.connections_most + 1) / 2;
    etv_lookup_e result = ETV_LOOKUP_BUSY;

    if (!has_learned(models, n))
        return ask(r, p, models, n, lease, now_us, snapshot);
    if (atomic_fetch_add(&r->learned, 1) < most)
        result = ask(r, p, models, n, lease, now_us, snapshot);
    atomic_fetch_sub(&r->learned, 1);
    return result;
}

etv_lookup_e etv_leased_lookup(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n,
                               etv_snapshot_t *snapshot)
{
    etv_redis_t *r = (etv_redis_t *)store;
    apr_uint64_t lease = etv_channel_lease(r->config.channel);
    apr_time_t now_us = etv_boottime_us();

    if (etv_channel_holds(lease, now_us) && find_all(r, models, n, lease, now_us, snapshot))
        return ETV_LOOKUP_OK;
    return ask_within_bounds(r, p, models, n, lease, now_us, snapshot);
}

/* The client's next request, at any child of this host, sees what was done: also where only the
 * acknowledgement was lost. */
static apr_status_t forget(etv_store_t *store, const etv_model_t *models, int n,
                           apr_status_t status)
{
    etv_redis_t *r = (etv_redis_t *)store;

    for (int i = 0; i < n && status != APR_EINVAL; i++)
        etv_mirror_invalidate(r->config.mirror, key_of(r, models + i));
    return status;
}

apr_status_t etv_leased_bump(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n)
{
    return forget(store, models, n, etv_redis_bump(store, p, models, n));
}

/* --- changes --- */

static apr_status_t announce(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n,
                             const etv_change_id_t *id, int as_read)
{
    return forget(store, models, n, etv_redis_changes.announce(store, p, models, n, id, as_read));
}

static apr_status_t complete(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n,
                             const etv_change_id_t *id)
{
    return forget(store, models, n, etv_redis_changes.complete(store, p, models, n, id));
}

static apr_status_t withdraw(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n,
                             const etv_change_id_t *id)
{
    return forget(store, models, n, etv_redis_changes.withdraw(store, p, models, n, id));
}

static apr_status_t rescue(etv_store_t *store, apr_pool_t *p, etv_model_t *model, int *still_open)
{
    return forget(store, model, 1, etv_redis_changes.rescue(store, p, model, still_open));
}

static apr_status_t bump_if(etv_store_t *store, apr_pool_t *p, etv_model_t *model,
                            const char *digest, apr_size_t digest_len, int *bumped)
{
    return forget(store, model, 1,
                  etv_redis_changes.bump_if(store, p, model, digest, digest_len, bumped));
}

const etv_change_ops_t etv_leased_changes = {.announce = announce,
                                             .complete = complete,
                                             .withdraw = withdraw,
                                             .rescue = rescue,
                                             .bump_if = bump_if};

/* --- versions as of an earlier moment --- */

static void moment(etv_store_t *store, etv_moment_t *at)
{
    const etv_redis_t *r = (const etv_redis_t *)store;
    apr_uint64_t lease = etv_channel_lease(r->config.channel);

    at->mark = 0;
    at->at_us = etv_boottime_us();
    at->epoch = etv_channel_epoch_of(lease);
    at->known = etv_channel_holds(lease, at->at_us);
}

/* What this host had been told by then, and nothing was heard since that would make it void. */
static etv_lookup_e recall(etv_store_t *store, etv_model_t *models, int n, const etv_moment_t *at,
                           etv_snapshot_t *snapshot)
{
    const etv_redis_t *r = (const etv_redis_t *)store;
    apr_uint64_t lease = etv_channel_lease(r->config.channel);
    apr_time_t now_us = etv_boottime_us();

    if (!at->known || etv_channel_epoch_of(lease) != at->epoch || !etv_channel_holds(lease, now_us))
        return ETV_LOOKUP_UNAVAILABLE;
    for (int i = 0; i < n; i++) {
        etv_model_t *m = models + i;

        if (!etv_mirror_recall(r->config.mirror, key_of(r, m), at->epoch, now_us, at->at_us,
                               &m->kept) ||
            m->kept.absent)
            return ETV_LOOKUP_UNAVAILABLE;
        set_found(m);
    }
    return know_facts(r, at->epoch, snapshot) ? ETV_LOOKUP_OK : ETV_LOOKUP_UNAVAILABLE;
}

const etv_declared_ops_t etv_leased_declared = {
    .moment = moment, .recall = recall, .put = etv_redis_put, .get = etv_redis_get};
