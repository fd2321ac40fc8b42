/* SPDX-License-Identifier: Apache-2.0 */
#include "store/keeper_care.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "store/boottime.h"

/* The first sign of a change to a store that has forgotten it, and how long others may not know of
 * it again: other hosts must not take its models for settled meanwhile. */
#define ANNOUNCE_FIRST_US 100000
#define ANNOUNCE_MOST_US  250000

/* Slots are renewed this often, at least. */
#define RENEW_MOST_US 1000000

/* Between two attempts at a store that fails. */
#define RETRY_FIRST_US 50000

#define LOOK_GAP_US APR_USEC_PER_SEC

/* --- made and freed --- */

static apr_status_t name_owner(char owner[ETV_OWNER_CHARS + 1])
{
    apr_uint64_t random;
    apr_status_t rv = apr_generate_random_bytes((unsigned char *)&random, sizeof(random));

    snprintf(owner, ETV_OWNER_CHARS + 1, "%016" APR_UINT64_T_HEX_FMT, random);
    return rv;
}

static etv_keeper_peer_t *peer_at(etv_keeper_care_t *care, etv_hash128_t scope)
{
    for (int i = 0; i < care->n_peers; i++) {
        if (care->peers[i].at.scope.lo == scope.lo && care->peers[i].at.scope.hi == scope.hi)
            return &care->peers[i];
    }
    return NULL;
}

/* @param most  how many there will be at most */
static void add_store(etv_keeper_care_t *care, const etv_keeper_store_t *store, int most)
{
    etv_keeper_peer_t *peer = peer_at(care, store->scope);

    if (!peer) {
        peer = &care->peers[care->n_peers++];
        peer->at = *store;
        peer->stores = apr_palloc(care->own, (apr_size_t)most * sizeof(*peer->stores));
    }
    peer->stores[peer->n_stores++] = store->store;
}

apr_status_t etv_keeper_care_init(etv_keeper_care_t *care, etv_pending_t *pending,
                                  const etv_keeper_store_t *stores, int n, etv_log_t log)
{
    apr_status_t rv = name_owner(care->owner);

    if (rv == APR_SUCCESS)
        rv = apr_pool_create_unmanaged_ex(&care->own, NULL, NULL);
    if (rv == APR_SUCCESS)
        rv = apr_pool_create_unmanaged_ex(&care->scratch, NULL, NULL);
    if (rv == APR_SUCCESS)
        rv = pthread_mutex_init(&care->lock, NULL);
    if (rv != APR_SUCCESS)
        return rv;
    care->pending = pending;
    care->log = log;
    care->peers = apr_pcalloc(care->own, ((apr_size_t)n + 1) * sizeof(*care->peers));
    for (int i = 0; i < n; i++)
        add_store(care, &stores[i], n);
    return APR_SUCCESS;
}

static void free_record(etv_record_t *record)
{
    int n = atomic_load(&record->n);

    for (int i = 0; i < n; i++)
        free(record->models[i]);
    free(record);
}

static void free_records(etv_record_t *record)
{
    while (record) {
        etv_record_t *next = record->next;

        free_record(record);
        record = next;
    }
}

void etv_keeper_care_free(etv_keeper_care_t *care)
{
    free_records(care->records);
    free_records(atomic_load(&care->pushed));
    etv_keeper_shelter_free(care);
    if (care->scratch)
        apr_pool_destroy(care->scratch);
    if (care->own)
        apr_pool_destroy(care->own);
}

/* --- from other threads --- */

void etv_keeper_care_push(etv_keeper_care_t *care, etv_record_t *record)
{
    apr_time_t now_us = etv_boottime_us();

    record->renew_us = now_us;
    record->announce_us = now_us + ANNOUNCE_FIRST_US;
    record->announce_gap_us = ANNOUNCE_FIRST_US;
    record->withdrawals = -1;
    record->next = atomic_load(&care->pushed);
    while (!atomic_compare_exchange_weak(&care->pushed, &record->next, record))
        ;
}

static int is_of(const etv_keeper_look_t *look, etv_hash128_t scope, etv_hash128_t hash)
{
    return look->name_len && look->scope.lo == scope.lo && look->scope.hi == scope.hi &&
           look->hash.lo == hash.lo && look->hash.hi == hash.hi;
}

/* Its place, or that of one that is not needed any more; NULL when there is none, or it was looked
 * at just now. */
static etv_keeper_look_t *place_for(etv_keeper_care_t *care, etv_hash128_t scope,
                                    etv_hash128_t hash)
{
    apr_time_t now_us = etv_boottime_us();
    etv_keeper_look_t *place = NULL;

    for (int i = 0; i < ETV_KEEPER_LOOKS; i++) {
        etv_keeper_look_t *look = &care->looks[i];
        int may = !look->wanted && now_us - look->looked_us >= LOOK_GAP_US;

        if (is_of(look, scope, hash))
            return may ? look : NULL;
        if ((may || !look->name_len) && !place)
            place = look;
    }
    return place;
}

int etv_keeper_care_ask(etv_keeper_care_t *care, etv_hash128_t scope, const etv_model_t *model)
{
    etv_keeper_look_t *look;

    if (!model->name_len || model->name_len > ETV_MODEL_NAME_MOST ||
        pthread_mutex_trylock(&care->lock) != 0)
        return 0;
    look = place_for(care, scope, model->hash);
    if (look) {
        look->wanted = 1;
        look->scope = scope;
        look->hash = model->hash;
        look->name_len = model->name_len;
        memcpy(look->name, model->name, model->name_len);
        atomic_fetch_add(&care->looks_wanted, 1);
    }
    pthread_mutex_unlock(&care->lock);
    return look != NULL;
}

/* --- stores --- */

int etv_keeper_peer_waits(const etv_keeper_peer_t *peer)
{
    return peer->failures && etv_boottime_us() < peer->retry_us;
}

int etv_keeper_is_refusal(apr_status_t rv)
{
    return rv == APR_EGENERAL || rv == APR_EINVAL || rv == APR_EBUSY;
}

apr_interval_time_t etv_keeper_pause_us(int failures)
{
    apr_interval_time_t wait_us = RETRY_FIRST_US;

    for (int i = 0; i < failures && wait_us < ETV_KEEPER_RETRY_US; i++)
        wait_us *= 2;
    return wait_us < ETV_KEEPER_RETRY_US ? wait_us : ETV_KEEPER_RETRY_US;
}

void etv_keeper_peer_note(etv_keeper_peer_t *peer, apr_status_t rv)
{
    if (rv != APR_SUCCESS) {
        peer->turn = (peer->turn + 1) % peer->n_stores;
        peer->at.store = peer->stores[peer->turn];
    }
    if (rv == APR_SUCCESS || etv_keeper_is_refusal(rv)) {
        peer->failures = 0;
        return;
    }
    peer->retry_us = etv_boottime_us() + etv_keeper_pause_us(peer->failures);
    peer->failures += peer->failures < 32;
}

apr_pool_t *etv_keeper_scratch(etv_keeper_care_t *care)
{
    apr_pool_clear(care->scratch);
    return care->scratch;
}

/* --- records of this process --- */

static void take_pushed(etv_keeper_care_t *care)
{
    etv_record_t *record = atomic_exchange(&care->pushed, NULL);

    while (record) {
        etv_record_t *next = record->next;

        record->next = care->records;
        care->records = record;
        record = next;
    }
}

/*
 * A model of a record stays pending until then, also when another process took its slot meanwhile,
 * or there was none. Whoever ends the change takes the slot out, this one too.
 */
static void renew_model(etv_keeper_care_t *care, etv_record_model_t *m, apr_time_t until_us)
{
    int slot = atomic_load(&m->slot), other;

    if (slot == ETV_RECORD_GONE || etv_pending_renew(care->pending, slot, until_us))
        return;
    if (care->full) { /* others have just looked for room */
        etv_pending_overflow(care->pending, until_us);
        return;
    }
    other = etv_pending_add(care->pending, &m->what, until_us);
    care->full = other < 0;
    if (!atomic_compare_exchange_strong(&m->slot, &slot, other))
        etv_pending_remove(care->pending, other);
}

static void renew(etv_keeper_care_t *care, etv_record_t *record, apr_time_t now_us)
{
    apr_interval_time_t gap = record->id.grace_us / 4;
    int n = atomic_load(&record->n);

    if (now_us < record->renew_us)
        return;
    for (int i = 0; i < n; i++)
        renew_model(care, record->models[i], now_us + record->id.grace_us);
    record->renew_us = now_us + (gap < RENEW_MOST_US ? gap : RENEW_MOST_US);
}

/* What the store was told after the end of the change must not stay there. */
static void withdraw_later(etv_record_t *record, int times)
{
    if (record->withdrawals < times)
        record->withdrawals = times;
}

static void announce(etv_keeper_care_t *care, etv_record_t *record, apr_time_t now_us)
{
    etv_keeper_peer_t *peer = peer_at(care, record->scope);
    int told = atomic_load(&record->told);
    etv_model_t models[ETV_MODELS_MOST];
    apr_status_t rv;
    int n;

    if (!told || !peer || now_us < record->announce_us || etv_keeper_peer_waits(peer))
        return;
    n = etv_record_models(record, 0, told, models);
    atomic_store(&record->sent, 1);
    rv = record->store->ops->changes->announce(record->store, etv_keeper_scratch(care), models, n,
                                               &record->id, 0);
    etv_keeper_peer_note(peer, rv);
    if (rv != APR_SUCCESS)
        atomic_store(&record->unsure, 1);
    record->announce_gap_us *= 2;
    if (record->announce_gap_us > ANNOUNCE_MOST_US)
        record->announce_gap_us = ANNOUNCE_MOST_US;
    record->announce_us = now_us + record->announce_gap_us;
    if (atomic_load(&record->state) != ETV_RECORD_OPEN)
        withdraw_later(record, 1);
}

/*
 * The store has acknowledged the end. What this thread said afterwards, or what got lost on its way
 * and may arrive yet, is to be withdrawn: else the store would take the change as open for as long
 * as this process shows signs of life.
 */
static int is_withdrawn(etv_keeper_care_t *care, etv_record_t *record, apr_time_t now_us)
{
    etv_keeper_peer_t *peer = peer_at(care, record->scope);
    etv_model_t models[ETV_MODELS_MOST];
    apr_status_t rv;
    int n;

    if (atomic_exchange(&record->unsure, 0))
        withdraw_later(record, 2);
    n = etv_record_models(record, 0, atomic_load(&record->told), models);
    if (record->withdrawals <= 0 || !n || !peer)
        return 1;
    if (now_us < record->withdraw_us || etv_keeper_peer_waits(peer))
        return 0;
    rv = record->store->ops->changes->withdraw(record->store, etv_keeper_scratch(care), models, n,
                                               &record->id);
    etv_keeper_peer_note(peer, rv);
    if (rv == APR_SUCCESS) {
        record->withdrawals--;
        record->withdraw_us = now_us + record->id.grace_us;
    }
    return record->withdrawals <= 0;
}

/* All that is left of the change shall be in shared memory, due; or find shelter here. */
static void bequeath(etv_keeper_care_t *care, etv_record_t *record)
{
    int n = atomic_load(&record->n);

    if (!care->sheltered && etv_record_leave(care->pending, record, 0))
        return;
    for (int i = 0; i < n; i++) {
        etv_record_model_t *m = record->models[i];
        int slot = atomic_exchange(&m->slot, ETV_RECORD_GONE);

        if (slot == ETV_RECORD_GONE)
            continue;
        if (!etv_record_is_told(record, m))
            m->what.id.number = 0;
        if (slot != ETV_RECORD_NO_SLOT &&
            etv_pending_leave(care->pending, slot, &m->what, m->what.id.number != 0,
                              etv_boottime_us(), 0))
            continue;
        record->models[i] = NULL;
        etv_keeper_shelter_take(care, m);
    }
}

/* Nobody has it any more, and the time that it was given has passed. */
static int is_over(const etv_record_t *record, apr_time_t now_us)
{
    apr_time_t until_us = atomic_load(&record->left_until_us);

    return until_us && now_us >= until_us;
}

/* @return whether the record is done with */
static int care_for(etv_keeper_care_t *care, etv_record_t *record, apr_time_t now_us)
{
    switch ((etv_record_e)atomic_load(&record->state)) {
    case ETV_RECORD_OPEN:
        if (!is_over(record, now_us)) {
            announce(care, record, now_us);
            return 0;
        }
        atomic_store(&record->state, ETV_RECORD_LEFT);
        break;
    case ETV_RECORD_ENDING:
        return 0;
    case ETV_RECORD_DONE:
        return is_withdrawn(care, record, now_us);
    case ETV_RECORD_LEFT:
        break;
    }
    bequeath(care, record);
    return 1;
}

/* Before any store is asked, which may take its time. */
static void renew_all(etv_keeper_care_t *care)
{
    apr_time_t now_us = etv_boottime_us();

    care->renewed_us = now_us;
    care->full = 0;
    for (etv_record_t *record = care->records; record; record = record->next) {
        if (atomic_load(&record->state) <= ETV_RECORD_ENDING &&
            !atomic_load(&record->left_until_us))
            renew(care, record, now_us);
    }
}

/* Between calls to stores. */
static void renew_in_time(etv_keeper_care_t *care)
{
    if (etv_boottime_us() - care->renewed_us >= ETV_KEEPER_SLICE_US)
        renew_all(care);
}

static void care_for_all(etv_keeper_care_t *care)
{
    etv_record_t **link = &care->records;

    while (*link) {
        etv_record_t *record = *link;

        renew_in_time(care);
        if (care_for(care, record, etv_boottime_us())) {
            *link = record->next;
            free_record(record);
        } else {
            link = &record->next;
        }
    }
}

/* --- what hosts have left open --- */

/* @return whether there was one, in `*look` */
static int next_look(etv_keeper_care_t *care, etv_keeper_look_t *look)
{
    int found = 0;

    if (!atomic_load(&care->looks_wanted) || pthread_mutex_trylock(&care->lock) != 0)
        return 0;
    for (int i = 0; i < ETV_KEEPER_LOOKS && !found; i++) {
        if (!care->looks[i].wanted)
            continue;
        found = 1;
        care->looks[i].wanted = 0;
        care->looks[i].looked_us = etv_boottime_us();
        *look = care->looks[i];
        atomic_fetch_sub(&care->looks_wanted, 1);
    }
    pthread_mutex_unlock(&care->lock);
    return found;
}

static void look_at_all(etv_keeper_care_t *care, const atomic_int *stopping)
{
    etv_keeper_look_t look;

    while (!atomic_load(stopping) && next_look(care, &look)) {
        etv_keeper_peer_t *peer = peer_at(care, look.scope);
        etv_model_t model = {.name = look.name, .name_len = look.name_len, .hash = look.hash};
        int still_open;

        renew_in_time(care);
        if (peer && !etv_keeper_peer_waits(peer))
            etv_keeper_peer_note(
                peer, peer->at.store->ops->changes->rescue(peer->at.store, etv_keeper_scratch(care),
                                                           &model, &still_open));
    }
}

/* --- the thread --- */

int etv_keeper_care_is_busy(etv_keeper_care_t *care)
{
    return care->records || atomic_load(&care->pushed) || atomic_load(&care->looks_wanted);
}

apr_time_t etv_keeper_care_next_us(const etv_keeper_care_t *care)
{
    apr_time_t next_us = etv_pending_next_due(care->pending);
    apr_time_t least_us = etv_boottime_us() + RETRY_FIRST_US / 2;

    if (care->sheltered)
        return least_us;
    if (!next_us)
        return APR_INT64_MAX;
    if (care->alien_us > least_us)
        least_us = care->alien_us;
    return next_us > least_us ? next_us : least_us;
}

void etv_keeper_care_step(etv_keeper_care_t *care, const atomic_int *stopping)
{
    take_pushed(care);
    renew_all(care);
    care_for_all(care);
    etv_keeper_shelter_empty(care);
    etv_keeper_deliver(care, stopping);
    look_at_all(care, stopping);
}

/* What has no slot lives as long as this process does. */
static void empty_shelter(etv_keeper_care_t *care)
{
    int before;

    do {
        before = care->sheltered;
        care->shelter_us = 0;
        etv_keeper_shelter_empty(care);
        etv_keeper_deliver(care, NULL);
    } while (care->sheltered && care->sheltered < before);
    if (care->sheltered)
        care->log.fn(care->log.baton, ETV_LOG_ERR, APR_ENOSPC,
                     "ETV0156: this process ends with bumps that the store could not take, and for "
                     "which there was no room in shared memory: they are lost");
}

void etv_keeper_care_leave(etv_keeper_care_t *care)
{
    take_pushed(care);
    for (etv_record_t *record = care->records; record; record = record->next) {
        if (atomic_load(&record->state) == ETV_RECORD_LEFT)
            bequeath(care, record);
        else if (atomic_load(&record->left_until_us))
            etv_record_leave(care->pending, record, atomic_load(&record->left_until_us));
    }
    empty_shelter(care);
}
