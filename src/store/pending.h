/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Changes of models that are under way on this host, and bumps that could not be delivered yet: in
 * shared memory, so that all children of all generations know. While one is there, nothing that
 * depends on its model is answered 304 or tagged on this host, whatever the store says.
 *
 * Each has a time until which somebody cares for it. Its owner renews it while the backend works;
 * when the time has passed (the owner died, or gave up on a store that is down), any process may
 * take it, deliver the bump, and remove it. No locks: one word per slot says what it is and until
 * when, and changes by compare-and-swap. A process that dies between any two steps leaves a slot
 * that others take over.
 *
 * A slot that waits is nobody's: its change has ended, or was left for its time, and all that is to
 * come is the bump when that has passed. One such slot stands for all that is left of its model, so
 * that those of an outage are few.
 *
 * When there is no free slot, everything counts as pending for the time that was asked for.
 */
#ifndef ETV_STORE_PENDING_H
#define ETV_STORE_PENDING_H

#include <apr.h>
#include <apr_time.h>
#include <stdatomic.h>

#include "core/hash.h"
#include "core/model_name.h"
#include "store/change_ops.h"

#define ETV_PENDING_SLOTS 4096

typedef struct etv_pending_t etv_pending_t;

/** Bytes of shared memory. */
apr_size_t etv_pending_bytes(void);

/** Lay it out in zeroed memory that is aligned to 64 bytes, before the first fork. */
etv_pending_t *etv_pending_init(void *memory);

/** What is pending. */
typedef struct {
    etv_hash128_t scope; /**< of the store (etv_server_t.scope) */
    etv_hash128_t hash;  /**< of the model's name */
    etv_change_id_t id;  /**< number 0: the store was told nothing that must end with it */
    /** 1: it is open whether it will be, because it depends on there being no other one. Pending
     *  all the same; only etv_pending_has_other overlooks it. */
    int tentative;
    apr_size_t name_len;
    char name[ETV_MODEL_NAME_MOST];
} etv_pending_what_t;

/** Whether there may be any: one load, for every request. */
int etv_pending_any(const etv_pending_t *pending);

/** Whether a model of a store has a change under way or not delivered. */
int etv_pending_has(const etv_pending_t *pending, etv_hash128_t scope, etv_hash128_t hash,
                    apr_time_t now_us);

/**
 * Whether another change of the model is under way, or not delivered, than `id`: of two that are
 * tentative, none is in the way of the other.
 */
int etv_pending_has_other(const etv_pending_t *pending, etv_hash128_t scope, etv_hash128_t hash,
                          const etv_change_id_t *id, apr_time_t now_us);

/** Whether everything counts as pending, because something had no slot. */
int etv_pending_overflows(const etv_pending_t *pending, apr_time_t now_us);

/** Have it be so until then. */
void etv_pending_overflow(etv_pending_t *pending, apr_time_t until_us);

/** What was tentative of this change of the model is certain from now on. */
void etv_pending_confirm(etv_pending_t *pending, etv_hash128_t scope, etv_hash128_t hash,
                         const etv_change_id_t *id);

/**
 * @return a slot, which stands for this use of it alone: what is done with it when somebody else
 *         has taken it is nothing; -1 when there is none, and everything counts as pending until
 *         then
 */
int etv_pending_add(etv_pending_t *pending, const etv_pending_what_t *what, apr_time_t until_us);

/** Somebody cares for it until then; 0: nobody does, any process may take it at once.
 *  @return 0 when somebody else has taken the slot */
int etv_pending_renew(etv_pending_t *pending, int slot, apr_time_t until_us);

/**
 * Nobody's any more: the model is pending until it is delivered, and that begins after this moment
 * and not before `until_us`. What waits for the same model may stand for it from now on; of such
 * changes as the store was told of a few keep their names for it, the others are forgotten here,
 * and the store's rescue finds them once their owner's name has come out of use.
 * @param slot  is used up; one that somebody else has taken, or -1: as if there was none
 * @param what  of the slot
 * @param told  0: the store surely knows nothing of the change
 * @return 0 when there is no room for what had no slot: everything counts as pending for a while
 */
int etv_pending_leave(etv_pending_t *pending, int slot, const etv_pending_what_t *what, int told,
                      apr_time_t now_us, apr_time_t until_us);

/** It is done. Nothing when somebody else has taken the slot, or it is -1. */
void etv_pending_remove(etv_pending_t *pending, int slot);

/**
 * Take one whose time has passed; it is the caller's until `until_us`, then anybody's again.
 * @param scope  only of this store
 * @param from   in: where to begin (0), out: where to go on
 * @return a slot and `*what`; -1 when there is none
 */
int etv_pending_take_due(etv_pending_t *pending, etv_hash128_t scope, apr_time_t now_us,
                         apr_time_t until_us, int *from, etv_pending_what_t *what);

/** Clear away what processes left that died inside these functions. */
void etv_pending_tidy(etv_pending_t *pending, apr_time_t now_us);

/** When the next one will be due; 0 when there is none. */
apr_time_t etv_pending_next_due(const etv_pending_t *pending);

/** How many there are. For people. */
int etv_pending_count(const etv_pending_t *pending);

/**
 * The parent: which stores there are from now on, each once. When they have been others before,
 * changes may still be under way there, and of one that has another address only now; so from then
 * on, a change of a model is pending for all stores, and what is due for one that is not there any
 * more is for etv_pending_move alone: old children, that have it yet, do not hold it.
 */
void etv_pending_use_stores(etv_pending_t *pending, const etv_hash128_t *scopes, int n);

/**
 * What is due for a store that is none of these: nobody could deliver it. Have it due for each of
 * these instead, as a bump.
 * @return how many
 */
int etv_pending_move(etv_pending_t *pending, const etv_hash128_t *scopes, int n, apr_time_t now_us);

/** Whether this process shall tell people that bumps of a store wait: one of the host, and not too
 *  often. */
int etv_pending_may_warn(etv_pending_t *pending, etv_hash128_t scope, apr_time_t now_us);

/** Whether this process shall tell people that they do not any more: once after each warning. */
int etv_pending_may_calm(etv_pending_t *pending, etv_hash128_t scope, apr_time_t now_us);

#endif
