/* SPDX-License-Identifier: Apache-2.0 */
/* Bumps that are due, of whatever process. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "store/boottime.h"
#include "store/keeper_care.h"

#define ALIEN_GAP_US (APR_USEC_PER_SEC / 2)
#define TIDY_GAP_US  APR_USEC_PER_SEC

/* So many refusals, and none delivered in between, end a round: perhaps all are refused. */
#define REFUSALS_MOST ETV_MODELS_MOST

/* What was taken and is to be delivered. */
typedef struct {
    int n;
    int slot[ETV_MODELS_MOST];
    etv_pending_what_t what[ETV_MODELS_MOST];
} batch_t;

/* What came of it so far. */
typedef struct {
    etv_keeper_care_t *care;
    etv_keeper_peer_t *peer;
    const atomic_int *stopping; /* NULL: to the end */
    apr_time_t begin_us;
    apr_status_t failed; /* the last failure; APR_SUCCESS */
    int refusals;        /* in a row */
    int delivered;
    int foreign; /* of these, other processes' */
    batch_t batch;
} round_t;

/* Slots are looked at in turns, so that none is kept from delivery by those before it. */
static int take_batch(round_t *round)
{
    etv_keeper_peer_t *peer = round->peer;
    batch_t *batch = &round->batch;
    apr_time_t now_us = etv_boottime_us();

    batch->n = 0;
    for (int turn = peer->from ? 0 : 1; turn < 2 && !batch->n; turn++) {
        int slot = 0;

        while (batch->n < ETV_MODELS_MOST &&
               (slot = etv_pending_take_due(round->care->pending, peer->at.scope, now_us,
                                            now_us + ETV_KEEPER_HOLD_US, &peer->from,
                                            &batch->what[batch->n])) >= 0)
            batch->slot[batch->n++] = slot;
        if (slot < 0)
            peer->from = 0;
    }
    return batch->n;
}

/* The store was told of both as one change, or of neither. */
static int go_together(const etv_pending_what_t *a, const etv_pending_what_t *b)
{
    if (!a->id.number || !b->id.number)
        return a->id.number == b->id.number;
    return a->id.number == b->id.number && strcmp(a->id.owner, b->id.owner) == 0;
}

/* Move those that go with the first one to the front. @return their number */
static int group(batch_t *batch, int first)
{
    int n = first + 1;

    for (int i = n; i < batch->n; i++) {
        if (go_together(&batch->what[first], &batch->what[i])) {
            etv_pending_what_t what = batch->what[n];
            int slot = batch->slot[n];

            batch->what[n] = batch->what[i];
            batch->slot[n] = batch->slot[i];
            batch->what[i] = what;
            batch->slot[i] = slot;
            n++;
        }
    }
    return n - first;
}

/* Others may have more luck, or this one later. */
static void put_back(const round_t *round, int first, int n, apr_time_t until_us)
{
    const batch_t *batch = &round->batch;

    for (int i = first; i < first + n; i++)
        etv_pending_leave(round->care->pending, batch->slot[i], &batch->what[i], 1,
                          etv_boottime_us(), until_us);
}

static int has_model(const etv_model_t *models, int n, etv_hash128_t hash)
{
    for (int i = 0; i < n; i++) {
        if (models[i].hash.lo == hash.lo && models[i].hash.hi == hash.hi)
            return 1;
    }
    return 0;
}

static apr_status_t deliver_group(round_t *round, int first, int n)
{
    etv_keeper_care_t *care = round->care;
    etv_store_t *store = round->peer->at.store;
    const batch_t *batch = &round->batch;
    const etv_change_id_t *id = &batch->what[first].id;
    etv_model_t models[ETV_MODELS_MOST];
    int n_models = 0;
    apr_status_t rv;

    for (int i = first; i < first + n; i++) {
        const etv_pending_what_t *what = &batch->what[i];

        if (!has_model(models, n_models, what->hash))
            models[n_models++] =
                (etv_model_t){.name = what->name, .name_len = what->name_len, .hash = what->hash};
    }
    rv = id->number
             ? store->ops->changes->complete(store, etv_keeper_scratch(care), models, n_models, id)
             : store->ops->bump(store, etv_keeper_scratch(care), models, n_models);
    etv_keeper_peer_note(round->peer, rv);
    if (rv != APR_SUCCESS) {
        round->failed = rv;
        round->refusals++;
        return rv;
    }
    for (int i = first; i < first + n; i++) {
        etv_pending_remove(care->pending, batch->slot[i]);
        round->foreign += strncmp(batch->what[i].id.owner, care->owner, ETV_KEEPER_OWN_CHARS) != 0;
    }
    round->delivered += n;
    round->refusals = 0;
    return rv;
}

/* Renewals must not be late for this. */
static int is_time_over(const round_t *round)
{
    return round->stopping && (atomic_load(round->stopping) ||
                               etv_boottime_us() - round->begin_us >= ETV_KEEPER_SLICE_US);
}

/* One that the store refuses is no reason for the others to wait: it is searched for by halves. */
static void deliver_some(round_t *round, int first, int n)
{
    const etv_keeper_peer_t *peer = round->peer;
    apr_status_t rv;

    if (etv_keeper_peer_waits(peer)) {
        put_back(round, first, n, peer->retry_us);
        return;
    }
    if (is_time_over(round)) {
        put_back(round, first, n, 0);
        return;
    }
    rv = deliver_group(round, first, n);
    if (rv == APR_SUCCESS)
        return;
    if (!etv_keeper_is_refusal(rv)) {
        put_back(round, first, n, peer->retry_us);
    } else if (n == 1) {
        put_back(round, first, n,
                 etv_boottime_us() + (round->delivered ? ETV_KEEPER_RETRY_US
                                                       : etv_keeper_pause_us(peer->refusals)));
    } else {
        deliver_some(round, first, n / 2);
        deliver_some(round, first + n / 2, n - n / 2);
    }
}

static void deliver_batch(round_t *round)
{
    for (int first = 0, n; first < round->batch.n; first += n) {
        n = group(&round->batch, first);
        deliver_some(round, first, n);
    }
}

static __attribute__((format(printf, 4, 5))) void
say(etv_keeper_care_t *care, etv_log_level_e level, apr_status_t rv, const char *format, ...)
{
    char line[256];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    care->log.fn(care->log.baton, level, rv, line);
}

static void tell(const round_t *round)
{
    etv_keeper_care_t *care = round->care;
    const etv_keeper_peer_t *peer = round->peer;
    apr_time_t now_us = etv_boottime_us();

    if (round->foreign)
        say(care, ETV_LOG_INFO, APR_SUCCESS,
            "ETV0153: delivered %d bumps that other processes had left to do", round->foreign);
    if (round->failed != APR_SUCCESS) {
        if (etv_pending_may_warn(care->pending, peer->at.scope, now_us))
            say(care, ETV_LOG_WARNING, round->failed,
                "ETV0151: the store takes no bumps: %d models are changing or wait to be bumped, "
                "and until then nothing that depends on them is answered 304 on this host",
                etv_pending_count(care->pending));
    } else if (etv_pending_may_calm(care->pending, peer->at.scope, now_us)) {
        say(care, ETV_LOG_NOTICE, APR_SUCCESS,
            "ETV0152: the store takes bumps again; %d models are changing or wait",
            etv_pending_count(care->pending));
    }
}

/* @return whether there is something of this store to deliver, now or later */
static int deliver(etv_keeper_care_t *care, etv_keeper_peer_t *peer, const atomic_int *stopping)
{
    round_t round = {
        .care = care, .peer = peer, .stopping = stopping, .begin_us = etv_boottime_us()};
    int any = 0;

    if (round.begin_us < peer->deliver_us)
        return 1;
    while (!etv_keeper_peer_waits(peer) && round.refusals < REFUSALS_MOST && take_batch(&round)) {
        any = 1;
        deliver_batch(&round);
        if (is_time_over(&round))
            break;
    }
    if (round.delivered || !round.refusals)
        peer->refusals = 0;
    else
        peer->refusals += peer->refusals < 32;
    if (peer->refusals)
        peer->deliver_us = etv_boottime_us() + etv_keeper_pause_us(peer->refusals - 1);
    if (any)
        tell(&round);
    return any || peer->failures;
}

static int is_due(const etv_keeper_care_t *care)
{
    apr_time_t next_us = etv_pending_next_due(care->pending);

    return next_us && next_us <= etv_boottime_us();
}

void etv_keeper_deliver(etv_keeper_care_t *care, const atomic_int *stopping)
{
    int any = 0;

    if (!etv_pending_any(care->pending))
        return;
    if (etv_boottime_us() >= care->tidy_us) {
        care->tidy_us = etv_boottime_us() + TIDY_GAP_US;
        etv_pending_tidy(care->pending, etv_boottime_us());
    }
    if (!is_due(care))
        return;
    for (int i = 0; i < care->n_peers; i++)
        any |= deliver(care, &care->peers[i], stopping);
    if (!any) /* of a store that was in the configuration once, or somebody else is at it */
        care->alien_us = etv_boottime_us() + ALIEN_GAP_US;
}
