/* SPDX-License-Identifier: Apache-2.0 */
/** What the keeper's thread does in each step, and the queues that fill it. For keeper.c alone. */
#ifndef ETV_STORE_KEEPER_CARE_H
#define ETV_STORE_KEEPER_CARE_H

#include <pthread.h>

#include "store/change_record.h"
#include "store/keeper.h"

/** The first digits of an owner's name are the process's, in all names that it takes. */
#define ETV_KEEPER_OWN_CHARS 8

/** Models whose open changes are to be looked at: more are dropped, and asked for again. */
#define ETV_KEEPER_LOOKS 64

/** What shares a scope: the same versions, perhaps as different users. */
typedef struct {
    etv_keeper_store_t at; /**< the one that is asked */
    etv_store_t **stores;  /**< all; after a failure it is the next one's turn */
    int n_stores, turn;
    apr_time_t retry_us; /**< not asked before this */
    int failures;
    apr_time_t deliver_us; /**< nothing is delivered before this: all was refused */
    int refusals;          /**< how often in a row */
    int from;              /**< where to look for what is due */
} etv_keeper_peer_t;

typedef struct {
    int wanted;
    apr_time_t looked_us; /**< 0: never */
    etv_hash128_t scope, hash;
    apr_size_t name_len;
    char name[ETV_MODEL_NAME_MOST];
} etv_keeper_look_t;

/** Lists of what found no room in shared memory, by the model. */
#define ETV_KEEPER_SHELTERS 256

typedef struct {
    etv_pending_t *pending;
    etv_log_t log;
    char owner[ETV_OWNER_CHARS + 1]; /**< the first; all have its ETV_KEEPER_OWN_CHARS */
    apr_pool_t *own;
    apr_pool_t *scratch; /**< cleared before each use */
    etv_keeper_peer_t *peers;
    int n_peers;

    etv_record_t *_Atomic pushed; /**< by any thread */
    etv_record_t *records;
    apr_time_t renewed_us; /**< when they were renewed last */
    int full;              /**< 1: there was no slot for one of them then */

    etv_record_model_t *shelter[ETV_KEEPER_SHELTERS];
    int sheltered;
    apr_time_t shelter_us; /**< when to look again for room */

    pthread_mutex_t lock; /**< never waited for; of the looks */
    etv_keeper_look_t looks[ETV_KEEPER_LOOKS];
    atomic_int looks_wanted;

    apr_time_t tidy_us;  /**< when to clear away what dead processes left */
    apr_time_t alien_us; /**< when to look again at what is due, and of none of these stores */
} etv_keeper_care_t;

apr_status_t etv_keeper_care_init(etv_keeper_care_t *care, etv_pending_t *pending,
                                  const etv_keeper_store_t *stores, int n, etv_log_t log);

/** No thread uses it any more. */
void etv_keeper_care_free(etv_keeper_care_t *care);

/** Any thread: a record to care for. */
void etv_keeper_care_push(etv_keeper_care_t *care, etv_record_t *record);

/** Any thread: look at the open changes of a model. @return 1 when that is to be done */
int etv_keeper_care_ask(etv_keeper_care_t *care, etv_hash128_t scope, const etv_model_t *model);

/** Whether there are records, or looks that are wanted. */
int etv_keeper_care_is_busy(etv_keeper_care_t *care);

/** When something is due next, if nobody adds anything. */
apr_time_t etv_keeper_care_next_us(const etv_keeper_care_t *care);

/** Do what is due. */
void etv_keeper_care_step(etv_keeper_care_t *care, const atomic_int *stopping);

/** The process ends: hand over what is not done, after one try. */
void etv_keeper_care_leave(etv_keeper_care_t *care);

/** Deliver what is due (keeper_deliver.c). @param stopping  NULL: go on to the end */
void etv_keeper_deliver(etv_keeper_care_t *care, const atomic_int *stopping);

/* --- what is due and has found no room in shared memory (keeper_shelter.c) --- */

/** Have a model's bump not forgotten, and the model with it: one of each is kept. */
void etv_keeper_shelter_take(etv_keeper_care_t *care, etv_record_model_t *m);

/** Look for room, and make everything pending meanwhile. */
void etv_keeper_shelter_empty(etv_keeper_care_t *care);

void etv_keeper_shelter_free(etv_keeper_care_t *care);

/* --- for the parts of it --- */

/** How long something else may take until records are renewed: an eighth of the least grace. */
#define ETV_KEEPER_SLICE_US (APR_USEC_PER_SEC / 8)

/** The longest pause between two attempts at something. */
#define ETV_KEEPER_RETRY_US APR_USEC_PER_SEC

/** How long a slot is this thread's while it is delivered. */
#define ETV_KEEPER_HOLD_US (2 * APR_USEC_PER_SEC)

/** Whether a store that has failed is not to be asked yet. */
int etv_keeper_peer_waits(const etv_keeper_peer_t *peer);

/** Whether it has answered, but will not do this: others may still be done. */
int etv_keeper_is_refusal(apr_status_t rv);

/** The pause after so many failures. */
apr_interval_time_t etv_keeper_pause_us(int failures);

/** What came of asking it. */
void etv_keeper_peer_note(etv_keeper_peer_t *peer, apr_status_t rv);

/** The pool for one call, cleared. */
apr_pool_t *etv_keeper_scratch(etv_keeper_care_t *care);

#endif
