/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The embedded store's part in changes, and its versions as of an earlier moment. What is pending
 * on this host is all there is to know about changes: nothing is recorded here.
 */
#include "store/local_store.h"

#include <string.h>

#include "store/boottime.h"

/* Not the key of a version, nor of when it was first seen. */
static const etv_hash128_t digest_scope = {0x646967657374646fu, 0x6666646174617321u};

static etv_hash128_t key_of(const etv_local_t *local, const etv_model_t *model)
{
    return etv_hash_scoped(model->hash, local->scope);
}

/* --- announcing --- */

typedef struct {
    etv_local_t *local;
    const etv_model_t *models;
    int n;
    const etv_change_id_t *id;
    int may;
} announcement_t;

static int is_as_read(const etv_local_t *local, const etv_model_t *model)
{
    etv_table_entry_t entry;
    etv_table_find_e found =
        etv_table_find(local->table, key_of(local, model), apr_time_now(), &entry);

    if (model->state == ETV_MODEL_ABSENT)
        return found == ETV_TABLE_ABSENT;
    return model->state == ETV_MODEL_FOUND && found == ETV_TABLE_FOUND &&
           model->token_len == sizeof(entry.value.lo) &&
           memcmp(model->token, &entry.value.lo, sizeof(entry.value.lo)) == 0;
}

/* Under the table's lock no version changes, and no other change becomes certain. */
static int decide_announcement(void *baton, const etv_table_entry_t *current, etv_hash128_t *value)
{
    announcement_t *a = baton;
    etv_local_t *local = a->local;
    apr_time_t now_us = etv_boottime_us();

    (void)current;
    (void)value;
    a->may = 1;
    for (int i = 0; i < a->n && a->may; i++)
        a->may = is_as_read(local, a->models + i) &&
                 !(local->pending && etv_pending_has_other(local->pending, local->scope,
                                                           a->models[i].hash, a->id, now_us));
    for (int i = 0; i < a->n && a->may && local->pending; i++)
        etv_pending_confirm(local->pending, local->scope, a->models[i].hash, a->id);
    return 0;
}

static apr_status_t announce(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n,
                             const etv_change_id_t *id, int as_read)
{
    etv_local_t *local = (etv_local_t *)store;
    announcement_t a = {local, models, n, id, 0};
    apr_time_t now_us = apr_time_now();
    etv_table_entry_t entry;
    apr_status_t rv;

    (void)p;
    if (!as_read || !n)
        return APR_SUCCESS;
    rv = etv_table_update(local->table, key_of(local, models), now_us, now_us, decide_announcement,
                          &a, &entry);
    if (rv != APR_SUCCESS && rv != APR_NOTFOUND) {
        etv_local_log_busy(local, rv);
        return rv;
    }
    return a.may ? APR_SUCCESS : APR_EEXIST;
}

static apr_status_t complete(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n,
                             const etv_change_id_t *id)
{
    (void)id;
    return etv_local_bump(store, p, models, n);
}

static apr_status_t withdraw(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n,
                             const etv_change_id_t *id)
{
    (void)store;
    (void)p;
    (void)models;
    (void)n;
    (void)id;
    return APR_SUCCESS;
}

/* What others left behind is pending, and due: keepers find it there. */
static apr_status_t rescue(etv_store_t *store, apr_pool_t *p, etv_model_t *model, int *still_open)
{
    const etv_local_t *local = (const etv_local_t *)store;

    (void)p;
    *still_open = local->pending &&
                  etv_pending_has(local->pending, local->scope, model->hash, etv_boottime_us());
    return APR_SUCCESS;
}

/* --- bumps that depend on the data --- */

typedef struct {
    etv_local_t *local;
    etv_hash128_t key; /* of the digest */
    const char *digest;
    apr_size_t len;
    apr_time_t now_us;
    apr_uint64_t least;
    int bumped;
} conditional_t;

/* A digest counts together with the version that it was recorded with alone. */
static etv_hash128_t bind_digest(const conditional_t *c, apr_uint64_t number)
{
    unsigned char text[sizeof(number) + ETV_DATA_DIGEST_MOST];

    memcpy(text, &number, sizeof(number));
    memcpy(text + sizeof(number), c->digest, c->len);
    return etv_hash_name(text, sizeof(number) + c->len);
}

static int is_recorded(const conditional_t *c, apr_uint64_t number)
{
    etv_hash128_t bound = bind_digest(c, number);
    etv_table_entry_t entry;

    return etv_table_find(c->local->table, c->key, c->now_us, &entry) == ETV_TABLE_FOUND &&
           entry.value.lo == bound.lo && entry.value.hi == bound.hi;
}

static int decide_bump(void *baton, const etv_table_entry_t *current, etv_hash128_t *value)
{
    conditional_t *c = baton;

    if (current && is_recorded(c, current->value.lo))
        return 0;
    value->lo = etv_table_next_number(c->local->table, c->least);
    value->hi = 0;
    /* Dying here is harmless: no version has this number. */
    etv_table_set_also(c->local->table, c->key, c->now_us, bind_digest(c, value->lo));
    c->bumped = 1;
    return 1;
}

static apr_status_t bump_if(etv_store_t *store, apr_pool_t *p, etv_model_t *model,
                            const char *digest, apr_size_t digest_len, int *bumped)
{
    etv_local_t *local = (etv_local_t *)store;
    apr_time_t now_us = apr_time_now();
    conditional_t c = {.local = local,
                       .key = etv_hash_scoped(key_of(local, model), digest_scope),
                       .digest = digest,
                       .len = digest_len,
                       .now_us = now_us,
                       .least = etv_local_least_token(now_us)};
    etv_table_entry_t entry;
    apr_status_t rv;

    (void)p;
    if (!digest_len || digest_len > ETV_DATA_DIGEST_MOST)
        return APR_EINVAL;
    rv = etv_table_update(local->table, key_of(local, model), now_us, now_us, decide_bump, &c,
                          &entry);
    if (rv != APR_SUCCESS) {
        etv_local_log_busy(local, rv);
        return rv;
    }
    *bumped = c.bumped;
    etv_local_set_found(model, entry.value.lo);
    if (c.bumped)
        etv_local_tell(local, model);
    return APR_SUCCESS;
}

const etv_change_ops_t etv_local_changes = {.announce = announce,
                                            .complete = complete,
                                            .withdraw = withdraw,
                                            .rescue = rescue,
                                            .bump_if = bump_if};

/* --- versions as of an earlier moment --- */

/* Numbers only grow: what has one up to the mark has not changed since. */
static void moment(etv_store_t *store, etv_moment_t *moment)
{
    const etv_local_t *local = (const etv_local_t *)store;

    *moment = (etv_moment_t){
        .mark = etv_table_newest(local->table), .at_us = etv_boottime_us(), .known = 1};
}

static etv_lookup_e recall(etv_store_t *store, etv_model_t *models, int n,
                           const etv_moment_t *moment, etv_snapshot_t *snapshot)
{
    const etv_local_t *local = (const etv_local_t *)store;

    if (!moment->known)
        return ETV_LOOKUP_UNAVAILABLE;
    for (int i = 0; i < n; i++) {
        etv_table_entry_t entry;

        if (etv_table_find(local->table, key_of(local, models + i), snapshot->now_us, &entry) !=
                ETV_TABLE_FOUND ||
            entry.value.lo > moment->mark)
            return ETV_LOOKUP_UNAVAILABLE;
        etv_local_set_found(models + i, entry.value.lo);
    }
    etv_local_set_snapshot(local, snapshot);
    return ETV_LOOKUP_OK;
}

const etv_declared_ops_t etv_local_declared = {.moment = moment, .recall = recall};
