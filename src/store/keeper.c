/* SPDX-License-Identifier: Apache-2.0 */
/* The thread and what it is asked for. What it cares for is in keeper_care.c. */
#include "store/keeper.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <apr_general.h>

#include "store/boottime.h"
#include "store/keeper_care.h"
#include "store/worker.h"

/* How long it sleeps while changes are under way, and otherwise. */
#define STEP_US 25000
#define IDLE_US 1000000

/* Several steps, and calls to a store that is slow. */
#define GRACE_LEAST_US APR_USEC_PER_SEC

/* A name of the owner is in use for so long, at least. */
#define ERA_LEAST_US (5 * APR_USEC_PER_SEC)

/* How long the end of a child waits for the thread. */
#define STOP_MOST_MS 1000

/* Until a thread is tried again that could not be started. */
#define RETRY_START_US 1000000

enum { NOT_STARTED, STARTING, STARTED };

struct etv_keeper_t {
    etv_keeper_care_t care; /* of the thread, but for what its header says */
    atomic_int refs;        /* the owner and the thread; the last one frees */
    atomic_int started;
    _Atomic apr_int64_t retry_us; /* not started before this */
    atomic_int stopping;
    atomic_int idle; /* the thread sleeps for long: to be woken for a new record */
    atomic_int done; /* the thread uses nothing of others any more */
    int wake_fd;     /* readable: look */
    int done_fd;     /* readable: done */
    int ends_process;
    apr_interval_time_t alive_us;
    _Atomic apr_uint64_t number; /* of the newest change */
    _Atomic apr_uint32_t era;    /* the rest of the owner's name, random */
    _Atomic apr_int64_t era_us;  /* since when it is so named */
};

static void release(etv_keeper_t *k)
{
    if (atomic_fetch_sub(&k->refs, 1) == 1) {
        close(k->wake_fd);
        close(k->done_fd);
        etv_keeper_care_free(&k->care);
        free(k);
    }
}

/* --- the thread --- */

static void sleep_for(etv_keeper_t *k, apr_interval_time_t left_us)
{
    struct pollfd wake = {.fd = k->wake_fd, .events = POLLIN};
    struct timespec t = {.tv_sec = (time_t)(left_us / APR_USEC_PER_SEC),
                         .tv_nsec = (long)(left_us % APR_USEC_PER_SEC) * 1000};
    eventfd_t count;

    if (left_us > 0 && ppoll(&wake, 1, &t, NULL) > 0)
        eventfd_read(k->wake_fd, &count);
}

/* Whoever adds something says so before looking whether this thread sleeps. */
static void rest(etv_keeper_t *k)
{
    apr_interval_time_t left_us;

    if (etv_keeper_care_is_busy(&k->care)) {
        sleep_for(k, STEP_US);
        return;
    }
    atomic_store(&k->idle, 1);
    if (!etv_keeper_care_is_busy(&k->care) && !atomic_load(&k->stopping)) {
        left_us = etv_keeper_care_next_us(&k->care) - etv_boottime_us();
        sleep_for(k, left_us < IDLE_US ? left_us : IDLE_US);
    }
    atomic_store(&k->idle, 0);
}

static void *run(void *keeper)
{
    etv_keeper_t *k = keeper;

    while (!atomic_load(&k->stopping)) {
        etv_keeper_care_step(&k->care, &k->stopping);
        rest(k);
    }
    etv_keeper_care_leave(&k->care);
    atomic_store(&k->done, 1);
    eventfd_write(k->done_fd, 1);
    release(k);
    return NULL;
}

int etv_keeper_cares(etv_keeper_t *k)
{
    int expected = NOT_STARTED;
    apr_status_t rv;

    if (atomic_load(&k->started) != NOT_STARTED)
        return 1;
    if (etv_boottime_us() < atomic_load(&k->retry_us) || atomic_load(&k->stopping) ||
        !atomic_compare_exchange_strong(&k->started, &expected, STARTING))
        return atomic_load(&k->started) == STARTED;
    atomic_fetch_add(&k->refs, 1);
    rv = etv_worker_start(run, k);
    if (rv == APR_SUCCESS) {
        atomic_store(&k->started, STARTED);
        return 1;
    }
    atomic_fetch_sub(&k->refs, 1);
    atomic_store(&k->retry_us, etv_boottime_us() + RETRY_START_US);
    atomic_store(&k->started, NOT_STARTED);
    k->care.log.fn(k->care.log.baton, ETV_LOG_WARNING, rv,
                   "ETV0150: no thread that could care for changes in this process");
    return 0;
}

/* --- the end --- */

/* Runs in a signal handler under prefork: takes no lock, and frees nothing there. */
static apr_status_t clean_up(void *keeper)
{
    etv_keeper_t *k = keeper;
    struct pollfd done = {.fd = k->done_fd, .events = POLLIN};

    atomic_store(&k->stopping, 1);
    if (atomic_load(&k->started) != NOT_STARTED) {
        eventfd_write(k->wake_fd, 1);
        if (poll(&done, 1, STOP_MOST_MS) <= 0 || !atomic_load(&k->done))
            return APR_SUCCESS; /* it may still use all of this */
    }
    if (!k->ends_process)
        release(k);
    return APR_SUCCESS;
}

/* --- for requests --- */

apr_status_t etv_keeper_create(apr_pool_t *p, etv_pending_t *pending,
                               const etv_keeper_store_t *stores, int n, etv_log_t log,
                               etv_keeper_t **keeper)
{
    etv_keeper_t *k = calloc(1, sizeof(*k));
    apr_status_t rv = APR_SUCCESS;

    if (!k)
        return APR_ENOMEM;
    atomic_init(&k->refs, 1);
    k->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    k->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (k->wake_fd < 0 || k->done_fd < 0)
        rv = APR_FROM_OS_ERROR(errno);
    if (rv == APR_SUCCESS)
        rv = etv_keeper_care_init(&k->care, pending, stores, n, log);
    if (rv != APR_SUCCESS) {
        release(k);
        return rv;
    }
    atomic_init(&k->era, (apr_uint32_t)strtoul(k->care.owner + ETV_KEEPER_OWN_CHARS, NULL, 16));
    atomic_init(&k->era_us, etv_boottime_us());
    apr_pool_cleanup_register(p, k, clean_up, apr_pool_cleanup_null);
    *keeper = k;
    if (etv_pending_any(pending))
        etv_keeper_start(k);
    return APR_SUCCESS;
}

void etv_keeper_start(etv_keeper_t *k)
{
    etv_keeper_cares(k);
}

void etv_keeper_lives(etv_keeper_t *k, apr_interval_time_t alive_us)
{
    k->alive_us = alive_us;
}

void etv_keeper_ends_process(etv_keeper_t *k)
{
    k->ends_process = 1;
}

etv_pending_t *etv_keeper_pending(const etv_keeper_t *k)
{
    return k->care.pending;
}

/*
 * The owner takes a new name from time to time. Signs of life of the old one end with its last open
 * change; so what comes back of changes that have ended (a store that was restored, or lost its
 * newest writes; a command that arrives late) is completed by whoever finds it, also while this
 * process goes on changing other things.
 */
static apr_uint32_t era_of(etv_keeper_t *k, apr_interval_time_t grace_us)
{
    apr_interval_time_t most_us = grace_us > ERA_LEAST_US ? grace_us : ERA_LEAST_US;
    apr_int64_t since_us = atomic_load(&k->era_us), now_us = etv_boottime_us();
    apr_uint32_t random;

    if (now_us - since_us >= most_us &&
        atomic_compare_exchange_strong(&k->era_us, &since_us, now_us) &&
        apr_generate_random_bytes((unsigned char *)&random, sizeof(random)) == APR_SUCCESS)
        atomic_store(&k->era, random);
    return atomic_load(&k->era);
}

etv_change_id_t etv_keeper_new_id(etv_keeper_t *k, apr_interval_time_t grace_us)
{
    etv_change_id_t id = {.number = atomic_fetch_add(&k->number, 1) + 1};

    id.grace_us = grace_us > GRACE_LEAST_US ? grace_us : GRACE_LEAST_US;
    id.alive_us = k->alive_us > id.grace_us ? k->alive_us : id.grace_us;
    snprintf(id.owner, sizeof(id.owner), "%.*s%08" PRIx32, ETV_KEEPER_OWN_CHARS, k->care.owner,
             era_of(k, id.grace_us));
    return id;
}

void etv_keeper_wake(etv_keeper_t *k)
{
    eventfd_write(k->wake_fd, 1);
}

static void wake_from_idleness(etv_keeper_t *k)
{
    if (atomic_load(&k->idle) && atomic_exchange(&k->idle, 0))
        etv_keeper_wake(k);
}

void etv_keeper_track(etv_keeper_t *k, etv_record_t *record)
{
    etv_keeper_care_push(&k->care, record);
    wake_from_idleness(k);
}

void etv_keeper_look(etv_keeper_t *k, etv_hash128_t scope, const etv_model_t *model)
{
    if (k && etv_keeper_care_ask(&k->care, scope, model) && etv_keeper_cares(k))
        wake_from_idleness(k);
}

void etv_keeper_retire(etv_keeper_t *k)
{
    if (k)
        etv_keeper_wake(k); /* it goes on: this process still has requests */
}
