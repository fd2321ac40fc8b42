/* SPDX-License-Identifier: Apache-2.0 */
#include "store/redis_pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "core/backoff.h"
#include "store/boottime.h"

/** Consecutive failures that open the breaker, and how long it stays open. */
#define FAILURES_MOST  3
#define PAUSE_FIRST_US 100000
#define PAUSE_MOST_US  2000000

struct etv_redis_pool_t {
    etv_redis_pool_config_t config;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a slot became free, or the breaker opened */
    /* all below: lock */
    etv_redis_conn_t *idle;
    int size;            /* idle and in use, and being made */
    int waiting;         /* on `changed` */
    unsigned generation; /* connections of an older one are not used again */
    etv_backoff_t breaker;
};

apr_status_t etv_redis_pool_create(const etv_redis_pool_config_t *config, etv_redis_pool_t **pool)
{
    etv_redis_pool_t *p = calloc(1, sizeof(*p));
    pthread_condattr_t attr;
    int rv;

    if (!p) {
        return APR_ENOMEM;
    }
    p->config = *config;
    etv_backoff_init(&p->breaker, FAILURES_MOST, PAUSE_FIRST_US, PAUSE_MOST_US);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    rv = pthread_cond_init(&p->changed, &attr);
    pthread_condattr_destroy(&attr);
    if (!rv) {
        rv = pthread_mutex_init(&p->lock, NULL);
    }
    if (rv) {
        free(p);
        return rv;
    }
    *pool = p;
    return APR_SUCCESS;
}

static void free_list(etv_redis_conn_t *list)
{
    while (list) {
        etv_redis_conn_t *next = list->next;

        etv_redis_conn_free(list);
        list = next;
    }
}

/** Lock held: everything connected so far is not to be used again. @return the idle ones, to free
 */
static etv_redis_conn_t *renounce(etv_redis_pool_t *pool)
{
    etv_redis_conn_t *list = pool->idle;

    pool->generation++;
    pool->idle = NULL;
    for (etv_redis_conn_t *c = list; c; c = c->next) {
        pool->size--;
    }
    return list;
}

/** Lock held: wait for `changed`. @return 0 when the deadline passed */
static int wait_changed(etv_redis_pool_t *pool, apr_time_t deadline_us)
{
    apr_interval_time_t left = deadline_us - etv_boottime_us();
    struct timespec until;

    if (left <= 0) {
        return 0;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(left / APR_USEC_PER_SEC);
    until.tv_nsec += (long)(left % APR_USEC_PER_SEC) * 1000;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pool->waiting++;
    pthread_cond_timedwait(&pool->changed, &pool->lock, &until);
    pool->waiting--;
    return 1;
}

/**
 * Lock held: what belonged to `generation` has failed. Idle connections of the same age are handed
 * out to be freed; of many that fail together, the first one does that. While the breaker is open,
 * only what was begun after it opened can tell something new.
 * @return 1 when that opened the breaker
 */
static int note_failure(etv_redis_pool_t *pool, unsigned generation, etv_redis_conn_t **purged)
{
    apr_time_t now = etv_boottime_us();

    if (generation != pool->generation && pool->breaker.open_until_us) {
        return 0;
    }
    if (generation == pool->generation) {
        *purged = renounce(pool);
    }
    return etv_backoff_failure(&pool->breaker, now, (apr_uint32_t)now * 2654435761u);
}

/** Lock held: tell those who wait: all of them when there is more than one slot, or no hope. */
static void tell_waiting(etv_redis_pool_t *pool, int all)
{
    if (pool->waiting && all) {
        pthread_cond_broadcast(&pool->changed);
    } else if (pool->waiting) {
        pthread_cond_signal(&pool->changed);
    }
}

/** Make a connection in a slot that was reserved. */
static etv_take_e connect_one(etv_redis_pool_t *pool, unsigned generation, apr_time_t deadline_us,
                              etv_redis_conn_t **conn, apr_status_t *status)
{
    apr_time_t until = etv_boottime_us() + pool->config.connect_timeout_us;
    etv_redis_conn_t *purged = NULL;
    int opened;

    *status =
        pool->config.open(pool->config.baton, until < deadline_us ? until : deadline_us, conn);
    if (*status == APR_SUCCESS) {
        (*conn)->reused = 0;
        (*conn)->generation = generation;
        return ETV_TAKE_OK;
    }
    pthread_mutex_lock(&pool->lock);
    pool->size--;
    opened = note_failure(pool, generation, &purged);
    tell_waiting(pool, opened || purged);
    pthread_mutex_unlock(&pool->lock);
    free_list(purged);
    if (opened) {
        pool->config.breaker(pool->config.baton, 1);
    }
    return ETV_TAKE_FAILED;
}

/** Lock held: wait until a connection or a slot for one is there, and it is allowed to use it. */
static etv_take_e await_turn(etv_redis_pool_t *pool, apr_time_t now, apr_time_t deadline_us)
{
    apr_time_t until = now + pool->config.command_timeout_us;

    while (!pool->idle && pool->size >= pool->config.connections_most) {
        /* Asked without taking the turn to probe: whoever takes it must report. */
        if (pool->breaker.open_until_us) {
            return ETV_TAKE_PAUSED;
        }
        if (!wait_changed(pool, until < deadline_us ? until : deadline_us)) {
            return ETV_TAKE_EXHAUSTED;
        }
        now = etv_boottime_us();
    }
    return etv_backoff_allows(&pool->breaker, now) ? ETV_TAKE_OK : ETV_TAKE_PAUSED;
}

etv_take_e etv_redis_pool_take(etv_redis_pool_t *pool, int fresh, apr_time_t now_us,
                               apr_time_t deadline_us, etv_redis_conn_t **conn,
                               apr_status_t *status)
{
    etv_redis_conn_t *surplus = NULL;
    unsigned generation;
    etv_take_e result;

    *conn = NULL;
    *status = APR_SUCCESS;
    pthread_mutex_lock(&pool->lock);
    result = await_turn(pool, now_us, deadline_us);
    if (result == ETV_TAKE_OK) {
        if (pool->idle) {
            *conn = pool->idle;
            pool->idle = (*conn)->next;
        } else {
            pool->size++;
        }
    }
    generation = pool->generation;
    pthread_mutex_unlock(&pool->lock);
    if (*conn && fresh) { /* its slot is what is wanted */
        surplus = *conn;
        *conn = NULL;
        etv_redis_conn_free(surplus);
    }
    if (result != ETV_TAKE_OK || *conn) {
        return result;
    }
    return connect_one(pool, generation, deadline_us, conn, status);
}

void etv_redis_pool_give(etv_redis_pool_t *pool, etv_redis_conn_t *conn, etv_give_e how)
{
    etv_redis_conn_t *purged = NULL;
    int opened = 0;
    int closed = 0;

    pthread_mutex_lock(&pool->lock);
    if (how == ETV_GIVE_FAILED) {
        opened = note_failure(pool, conn->generation, &purged);
    } else if (how != ETV_GIVE_STALE) {
        closed = etv_backoff_success(&pool->breaker);
    } else if (conn->generation == pool->generation) {
        purged = renounce(pool);
    }
    if (how == ETV_GIVE_SOUND && conn->generation == pool->generation) {
        conn->reused = 1;
        conn->next = pool->idle;
        pool->idle = conn;
        conn = NULL;
    } else {
        pool->size--;
    }
    tell_waiting(pool, opened || purged);
    pthread_mutex_unlock(&pool->lock);
    etv_redis_conn_free(conn);
    free_list(purged);
    if (opened || closed) {
        pool->config.breaker(pool->config.baton, opened);
    }
}

void etv_redis_pool_renounce(etv_redis_pool_t *pool)
{
    etv_redis_conn_t *purged;

    pthread_mutex_lock(&pool->lock);
    purged = renounce(pool);
    tell_waiting(pool, purged != NULL);
    pthread_mutex_unlock(&pool->lock);
    free_list(purged);
}

void etv_redis_pool_destroy(etv_redis_pool_t *pool)
{
    if (pthread_mutex_trylock(&pool->lock)) {
        return;
    }
    for (const etv_redis_conn_t *conn = pool->idle; conn; conn = conn->next) {
        pool->size--;
    }
    free_list(pool->idle);
    pool->idle = NULL;
    if (pool->size || pool->waiting) {
        /* Workers of a child that is ended at once still use it: it ends with the process. */
        pthread_mutex_unlock(&pool->lock);
        return;
    }
    pthread_mutex_unlock(&pool->lock);
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->changed);
    free(pool);
}
