/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The state of a slot in shared memory: a version, counted up by every writer, the process that
 * writes or wrote it, and two bits. Only the writer that made it busy leaves that state, or one
 * that finds its process gone; so the slot has one writer at a time, and a reader that sees the
 * same live state before and after has read what one writer wrote. Nobody waits for anybody.
 *
 * A writer releases the fields one by one, so that whoever sees a field of a new writer sees that
 * the slot was busy, too.
 */
#ifndef ETV_STORE_SLOT_STATE_H
#define ETV_STORE_SLOT_STATE_H

#include <apr.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

typedef enum { ETV_SLOT_EMPTY, ETV_SLOT_BUSY, ETV_SLOT_LIVE } etv_slot_e;

#define ETV_SLOT_BITS          3u
#define ETV_SLOT_PID_SHIFT     2
#define ETV_SLOT_PID_MASK      0xffffffu
#define ETV_SLOT_VERSION_SHIFT 26

static inline etv_slot_e etv_slot_of(apr_uint64_t state)
{
    return (etv_slot_e)(state & ETV_SLOT_BITS);
}

/** Whether the writer of a busy slot died in the middle of it. One that only sleeps keeps it. */
static inline int etv_slot_is_abandoned(apr_uint64_t state)
{
    pid_t pid = (pid_t)(state >> ETV_SLOT_PID_SHIFT & ETV_SLOT_PID_MASK);

    return etv_slot_of(state) == ETV_SLOT_BUSY && kill(pid, 0) < 0 && errno == ESRCH;
}

/**
 * Make a slot this writer's own, which is empty, live, or abandoned.
 * @param seen     its state when it was chosen
 * @param claimed  out: for etv_slot_publish
 * @return 0 when somebody was faster
 */
static inline int etv_slot_claim(_Atomic apr_uint64_t *state, apr_uint64_t seen,
                                 apr_uint64_t *claimed)
{
    apr_uint64_t pid = (apr_uint64_t)getpid() & ETV_SLOT_PID_MASK;

    *claimed = ((seen >> ETV_SLOT_VERSION_SHIFT) + 1) << ETV_SLOT_VERSION_SHIFT |
               pid << ETV_SLOT_PID_SHIFT | ETV_SLOT_BUSY;
    return atomic_compare_exchange_strong(state, &seen, *claimed);
}

/** It is whole. Nothing when another process took it over, because this one seemed to be gone. */
static inline void etv_slot_publish(_Atomic apr_uint64_t *state, apr_uint64_t claimed)
{
    atomic_compare_exchange_strong(state, &claimed,
                                   (claimed & ~(apr_uint64_t)ETV_SLOT_BITS) | ETV_SLOT_LIVE);
}

/** Make it empty again. Nothing when another process took it over. */
static inline void etv_slot_release(_Atomic apr_uint64_t *state, apr_uint64_t claimed)
{
    atomic_compare_exchange_strong(state, &claimed,
                                   (claimed & ~(apr_uint64_t)ETV_SLOT_BITS) | ETV_SLOT_EMPTY);
}

#endif
