/* SPDX-License-Identifier: Apache-2.0 */
#include "store/change.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "store/boottime.h"
#include "store/change_record.h"

struct etv_change_t {
    apr_pool_t *p;
    etv_keeper_t *keeper;
    etv_record_t *record; /* NULL once it was ended */
    int tracked;          /* the keeper frees the record; else it lives in p */
};

static etv_pending_t *pending_of(const etv_change_t *change)
{
    return etv_keeper_pending(change->keeper);
}

/* Records outlive the request, in memory that APR does not know. */
static void *allocate(const etv_change_t *change, apr_size_t bytes)
{
    void *memory;

    if (!change->tracked)
        return apr_pcalloc(change->p, bytes);
    memory = calloc(1, bytes);
    if (!memory)
        abort(); /* as httpd does */
    return memory;
}

/* --- slots --- */

static void free_slot(etv_pending_t *pending, etv_record_model_t *m)
{
    etv_pending_remove(pending, atomic_exchange(&m->slot, ETV_RECORD_GONE));
}

static void free_slots(const etv_change_t *change, int from, int to)
{
    for (int i = from; i < to; i++)
        free_slot(pending_of(change), change->record->models[i]);
}

static int knows(const etv_record_t *record, etv_hash128_t hash)
{
    int n = atomic_load(&record->n);

    for (int i = 0; i < n; i++) {
        if (record->models[i]->what.hash.lo == hash.lo &&
            record->models[i]->what.hash.hi == hash.hi)
            return 1;
    }
    return 0;
}

/* The model is pending from now on. @return 0 when shared memory is full */
static int add_model(const etv_change_t *change, const etv_model_t *model, apr_uint64_t number,
                     int tentative)
{
    etv_record_t *record = change->record;
    int n = atomic_load(&record->n), slot;
    etv_record_model_t *m;

    if (n == ETV_RECORD_MODELS_MOST || !model->name_len || model->name_len > ETV_MODEL_NAME_MOST ||
        knows(record, model->hash))
        return 1;
    m = allocate(change, sizeof(*m));
    m->what.scope = record->scope;
    m->what.hash = model->hash;
    m->what.id = record->id;
    m->what.id.number = number;
    m->what.tentative = tentative;
    m->what.name_len = model->name_len;
    memcpy(m->what.name, model->name, model->name_len);
    slot = etv_pending_add(pending_of(change), &m->what, etv_boottime_us() + record->id.grace_us);
    atomic_init(&m->slot, slot);
    record->models[n] = m;
    atomic_store(&record->n, n + 1);
    return slot >= 0;
}

/* --- the end of it --- */

/* Nobody uses the record after this, but the keeper. */
static void leave_record(etv_change_t *change, etv_record_e state)
{
    etv_record_t *record = change->record;

    change->record = NULL;
    atomic_store(&record->state, state);
    if (state == ETV_RECORD_LEFT)
        etv_keeper_wake(change->keeper);
}

/* It has ended; any process may deliver it now. */
static void leave_undelivered(etv_change_t *change)
{
    etv_record_leave(pending_of(change), change->record, 0);
    leave_record(change, ETV_RECORD_LEFT);
}

/*
 * The pool goes, perhaps with the process, in a signal handler: lock-free, see the record's header.
 * Nothing is known of a backend that was not done, which goes on without this process. What the
 * store was being told of has ended.
 */
static apr_status_t clean_up(void *baton)
{
    etv_change_t *change = baton;

    if (change->record && atomic_load(&change->record->state) == ETV_RECORD_ENDING)
        leave_undelivered(change);
    else
        etv_change_leave(change);
    return APR_SUCCESS;
}

/* Bump models of the record; told: and complete what was announced of them. */
static apr_status_t bump(const etv_change_t *change, int from, int to, int complete)
{
    const etv_record_t *record = change->record;
    etv_model_t models[ETV_MODELS_MOST];
    int n = etv_record_models(record, from, to, models);

    if (!n)
        return APR_SUCCESS;
    if (complete)
        return record->store->ops->changes->complete(record->store, change->p, models, n,
                                                     &record->id);
    return record->store->ops->bump(record->store, change->p, models, n);
}

/* --- the contract --- */

etv_change_t *etv_change_make(apr_pool_t *p, etv_keeper_t *keeper, etv_store_t *store,
                              etv_hash128_t scope, apr_interval_time_t grace_us)
{
    etv_change_t *change = apr_pcalloc(p, sizeof(*change));
    etv_record_t *record;

    change->p = p;
    change->keeper = keeper;
    change->tracked = etv_keeper_cares(keeper);
    change->record = record = allocate(change, sizeof(*record));
    record->store = store;
    record->scope = scope;
    record->id = etv_keeper_new_id(keeper, grace_us);
    apr_pool_cleanup_register(p, change, clean_up, apr_pool_cleanup_null);
    if (change->tracked)
        etv_keeper_track(keeper, record);
    return change;
}

static int others_are_open(const etv_change_t *change, int n)
{
    const etv_record_t *record = change->record;
    apr_time_t now_us = etv_boottime_us();

    for (int i = 0; i < n; i++) {
        if (etv_pending_has_other(pending_of(change), record->scope, record->models[i]->what.hash,
                                  &record->id, now_us))
            return 1;
    }
    return 0;
}

static void confirm(const etv_change_t *change, int n)
{
    const etv_record_t *record = change->record;

    for (int i = 0; i < n; i++)
        etv_pending_confirm(pending_of(change), record->scope, record->models[i]->what.hash,
                            &record->id);
}

etv_change_e etv_change_begin(apr_pool_t *p, etv_keeper_t *keeper, etv_store_t *store,
                              etv_hash128_t scope, const etv_model_t *models, int n,
                              apr_interval_time_t grace_us, int as_read, etv_change_t **change)
{
    etv_change_t *begun = etv_change_make(p, keeper, store, scope, grace_us);
    etv_record_t *record = begun->record;
    etv_model_t *asked = apr_pmemdup(p, models, (apr_size_t)n * sizeof(*models));
    apr_status_t rv = APR_SUCCESS;
    int has_slots = 1, known;

    *change = begun;
    for (int i = 0; i < n && i < ETV_MODELS_MOST; i++)
        has_slots &= add_model(begun, models + i, record->id.number, as_read);
    known = atomic_load(&record->n);
    if (as_read && (!has_slots || etv_pending_overflows(pending_of(begun), etv_boottime_us())))
        rv = APR_EAGAIN; /* nobody knows of others */
    else if (as_read && others_are_open(begun, known))
        rv = APR_EEXIST;
    if (rv == APR_SUCCESS)
        rv = store->ops->changes->announce(store, p, asked, n, &record->id, as_read);
    if (as_read && rv == APR_EEXIST) {
        free_slots(begun, 0, known);
        leave_record(begun, ETV_RECORD_DONE);
        *change = NULL;
        return ETV_CHANGE_EXISTS;
    }
    if (as_read)
        confirm(begun, known);
    if (rv != APR_EAGAIN) {
        atomic_store(&record->sent, 1);
        atomic_store(&record->unsure, rv != APR_SUCCESS);
    }
    atomic_store(&record->told, known); /* the keeper tells the store again from now on */
    return rv == APR_SUCCESS ? ETV_CHANGE_ANNOUNCED : ETV_CHANGE_LOCAL;
}

void etv_change_add(etv_change_t *change, const etv_model_t *models, int n)
{
    for (int i = 0; change->record && i < n; i++)
        add_model(change, models + i, 0, 0);
}

apr_status_t etv_change_bump(etv_change_t *change)
{
    etv_record_t *record = change->record;
    apr_status_t told, added;
    int first;

    if (!record)
        return APR_SUCCESS;
    first = atomic_load(&record->told);
    told = bump(change, 0, first, 0);
    added = bump(change, first, atomic_load(&record->n), 0);
    return told ? told : added;
}

apr_status_t etv_change_end(etv_change_t *change)
{
    etv_record_t *record = change->record;
    apr_status_t told, added;
    int first, n;

    if (!record)
        return APR_SUCCESS;
    atomic_store(&record->state, ETV_RECORD_ENDING);
    first = atomic_load(&record->told);
    n = atomic_load(&record->n);
    told = bump(change, 0, first, 1);
    if (!told)
        free_slots(change, 0, first);
    added = bump(change, first, n, 0);
    if (!added)
        free_slots(change, first, n);
    if (told || added)
        leave_undelivered(change);
    else
        leave_record(change, ETV_RECORD_DONE);
    return told ? told : added;
}

void etv_change_leave(etv_change_t *change)
{
    etv_record_t *record = change->record;
    apr_time_t until_us;

    if (!record)
        return;
    until_us = etv_boottime_us() + record->id.grace_us;
    etv_record_leave(pending_of(change), record, until_us);
    change->record = NULL;
    atomic_store(&record->left_until_us, until_us);
}

void etv_change_withdraw(etv_change_t *change)
{
    etv_record_t *record = change->record;
    etv_model_t models[ETV_MODELS_MOST];
    apr_status_t rv = APR_SUCCESS;
    int first, n;

    if (!record)
        return;
    atomic_store(&record->state, ETV_RECORD_ENDING);
    first = atomic_load(&record->told);
    n = etv_record_models(record, 0, first, models);
    if (n && atomic_load(&record->sent)) /* else the keeper sees the end when it has told */
        rv =
            record->store->ops->changes->withdraw(record->store, change->p, models, n, &record->id);
    free_slots(change, rv ? first : 0, atomic_load(&record->n));
    if (rv)
        leave_undelivered(change); /* a bump too many is harmless */
    else
        leave_record(change, ETV_RECORD_DONE);
}
