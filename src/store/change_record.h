/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What a change and the keeper share: the change's own thread adds to it and ends it, the keeper's
 * thread cares for it meanwhile and frees it afterwards. No locks: a change may be ended by a
 * pool's cleanup inside a signal handler that has interrupted anything.
 */
#ifndef ETV_STORE_CHANGE_RECORD_H
#define ETV_STORE_CHANGE_RECORD_H

#include <stdatomic.h>

#include "store/keeper.h"

#define ETV_RECORD_MODELS_MOST (2 * ETV_MODELS_MOST)

/** Not yet in shared memory, which was full; and: there no more, it is done. */
#define ETV_RECORD_NO_SLOT (-1)
#define ETV_RECORD_GONE    (-2)

typedef struct etv_record_model_t {
    atomic_int slot; /**< of the pending ones; or one of the above */
    etv_pending_what_t what;
    struct etv_record_model_t *next; /**< the keeper's: of those that found no room */
} etv_record_model_t;

typedef enum {
    ETV_RECORD_OPEN,   /**< the backend may be working */
    ETV_RECORD_ENDING, /**< the change's thread is telling the store */
    ETV_RECORD_DONE,   /**< the store has acknowledged the end */
    ETV_RECORD_LEFT    /**< it has not: what is not in shared memory yet must get there */
} etv_record_e;

typedef struct etv_record_t {
    struct etv_record_t *next;
    etv_store_t *store;
    etv_hash128_t scope;
    etv_change_id_t id;
    /** How many models, from the first, the store knows, or may know, as being changed. */
    atomic_int told;
    atomic_int state; /**< whoever sets DONE or LEFT uses the record no more */
    /** Open until then, and nobody else's: 0 while the change's thread has it. */
    _Atomic apr_int64_t left_until_us;
    atomic_int unsure; /**< the store was told, and did not answer: it may know, or come to know */
    atomic_int sent;   /**< 0: surely no word of it has left this process */
    atomic_int n;
    etv_record_model_t *models[ETV_RECORD_MODELS_MOST];

    /* the keeper's */
    apr_time_t renew_us, announce_us, withdraw_us;
    apr_interval_time_t announce_gap_us;
    int withdrawals; /**< how often it still is to be withdrawn */
} etv_record_t;

/** Fill in `models` with what the record says from `from` on. @return their number */
static inline int etv_record_models(const etv_record_t *record, int from, int to,
                                    etv_model_t *models)
{
    int n = 0;

    for (int i = from; i < to; i++, n++) {
        const etv_pending_what_t *what = &record->models[i]->what;

        models[n] =
            (etv_model_t){.name = what->name, .name_len = what->name_len, .hash = what->hash};
    }
    return n;
}

/**
 * Leave all models to whoever comes to deliver them, not before `until_us`. Lock-free.
 * @return 0 when there was no room for some, which have ETV_RECORD_NO_SLOT
 */
int etv_record_leave(etv_pending_t *pending, etv_record_t *record, apr_time_t until_us);

/** Whether the store may know of a model as being changed. */
static inline int etv_record_is_told(const etv_record_t *record, const etv_record_model_t *m)
{
    return m->what.id.number && atomic_load(&record->sent);
}

/** Whether there is a thread that would care for a record; starts it. */
int etv_keeper_cares(etv_keeper_t *keeper);

/** Hand over a record that was allocated with malloc, as its models are. */
void etv_keeper_track(etv_keeper_t *keeper, etv_record_t *record);

/** There is something to deliver. Safe in signal handlers. */
void etv_keeper_wake(etv_keeper_t *keeper);

/** A name for a new change of this process. */
etv_change_id_t etv_keeper_new_id(etv_keeper_t *keeper, apr_interval_time_t grace_us);

#endif
