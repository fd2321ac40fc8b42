/* SPDX-License-Identifier: Apache-2.0 */
#include "store/local_store.h"

#include <string.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "core/token.h"
#include "store/boottime.h"

/* Between two lines of the log. */
#define QUIET_US (10 * APR_USEC_PER_SEC)

typedef struct {
    etv_table_t *table;
    int replace; /* 1: a new token even when there is one */
    apr_uint64_t least;
} new_token_t;

static int set_token(void *baton, const etv_table_entry_t *current, etv_hash128_t *value)
{
    new_token_t *want = baton;

    if (current && !want->replace)
        return 0;
    value->lo = etv_table_next_number(want->table, want->least);
    value->hi = 0;
    return 1;
}

static int leave(void *baton, const etv_table_entry_t *current, etv_hash128_t *value)
{
    (void)baton;
    (void)current;
    (void)value;
    return 0;
}

apr_uint64_t etv_local_least_token(apr_time_t now_us)
{
    apr_uint16_t random = 0;

    /* Where there is no chance, the table's own count tells tokens apart. */
    apr_generate_random_bytes((unsigned char *)&random, sizeof(random));
    return etv_token_after(0, now_us, random);
}

static apr_status_t write_token(etv_local_t *local, etv_hash128_t key, int replace,
                                apr_time_t now_us, etv_table_entry_t *entry)
{
    new_token_t want = {local->table, replace, etv_local_least_token(now_us)};

    return etv_table_update(local->table, key, now_us, now_us, set_token, &want, entry);
}

/* The number's own bytes: only equality matters, and they are made for every request. */
void etv_local_set_found(etv_model_t *model, apr_uint64_t number)
{
    model->state = ETV_MODEL_FOUND;
    model->kept.words[0] = number;
    model->token = model->kept.token;
    model->token_len = sizeof(number);
}

static apr_status_t lookup_one(etv_local_t *local, etv_model_t *model, apr_time_t now_us)
{
    etv_hash128_t key = etv_hash_scoped(model->hash, local->scope);
    etv_table_entry_t entry;
    etv_table_find_e found = etv_table_find(local->table, key, now_us, &entry);
    apr_status_t rv;

    if (found != ETV_TABLE_FOUND) {
        if (model->may_create)
            rv = write_token(local, key, 0, now_us, &entry);
        else if (found == ETV_TABLE_ABSENT)
            rv = APR_NOTFOUND; /* names of clients' making must not queue for the lock */
        else
            rv = etv_table_update(local->table, key, now_us, now_us, leave, NULL, &entry);
        if (rv == APR_NOTFOUND) {
            model->state = ETV_MODEL_ABSENT;
            return APR_SUCCESS;
        }
        if (rv != APR_SUCCESS)
            return rv;
    }
    etv_local_set_found(model, entry.value.lo);
    return APR_SUCCESS;
}

void etv_local_log_busy(etv_local_t *local, apr_status_t rv)
{
    apr_int64_t now = etv_boottime_us(), quiet = atomic_load(&local->quiet_until_us);

    if (now < quiet ||
        !atomic_compare_exchange_strong(&local->quiet_until_us, &quiet, now + QUIET_US))
        return;
    local->log.fn(local->log.baton, ETV_LOG_WARNING, rv,
                  "ETV0201: the embedded store's table cannot be written");
}

void etv_local_tell(const etv_local_t *local, const etv_model_t *model)
{
    if (local->feed)
        etv_feed_write(local->feed, local->scope, model->name, model->name_len);
}

void etv_local_set_snapshot(const etv_local_t *local, etv_snapshot_t *snapshot)
{
    snapshot->instance = etv_table_instance(local->table);
    snapshot->secret = etv_table_secret(local->table);
}

static etv_lookup_e local_lookup(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n,
                                 etv_snapshot_t *snapshot)
{
    etv_local_t *local = (etv_local_t *)store;

    (void)p;
    for (int i = 0; i < n; i++) {
        apr_status_t rv = lookup_one(local, models + i, snapshot->now_us);

        if (rv != APR_SUCCESS) {
            etv_local_log_busy(local, rv);
            return ETV_LOOKUP_UNAVAILABLE;
        }
    }
    etv_local_set_snapshot(local, snapshot);
    return ETV_LOOKUP_OK;
}

apr_status_t etv_local_bump(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n)
{
    etv_local_t *local = (etv_local_t *)store;
    apr_time_t now_us = apr_time_now();

    (void)p;
    for (int i = 0; i < n; i++) {
        etv_hash128_t key = etv_hash_scoped(models[i].hash, local->scope);
        etv_table_entry_t entry;
        apr_status_t rv = write_token(local, key, 1, now_us, &entry);

        if (rv != APR_SUCCESS) {
            etv_local_log_busy(local, rv);
            return rv;
        }
        etv_local_set_found(models + i, entry.value.lo);
        etv_local_tell(local, models + i);
    }
    return APR_SUCCESS;
}

static const etv_store_ops_t local_ops = {.kind = "local",
                                          .lookup = local_lookup,
                                          .bump = etv_local_bump,
                                          .changes = &etv_local_changes,
                                          .declared = &etv_local_declared};

etv_store_t *etv_local_create(apr_pool_t *p, etv_table_t *table, const char *scope, etv_log_t log)
{
    etv_local_t *local = apr_pcalloc(p, sizeof(*local));

    local->store.ops = &local_ops;
    local->table = table;
    local->scope = etv_hash_name(scope, strlen(scope));
    local->log = log;
    return &local->store;
}

void etv_local_share(etv_store_t *store, etv_pending_t *pending, etv_feed_t *feed)
{
    etv_local_t *local = (etv_local_t *)store;

    local->pending = pending;
    local->feed = feed;
}
