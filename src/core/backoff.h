/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The circuit breaker's decisions. Pure: the caller holds whatever lock it needs and passes the
 * time (monotonic microseconds) and a random number.
 */
#ifndef ETV_CORE_BACKOFF_H
#define ETV_CORE_BACKOFF_H

#include <apr.h>
#include <apr_time.h>

typedef struct {
    int failures;             /**< consecutive */
    int probing;              /**< 1 while one caller tries out a broken peer */
    apr_time_t open_until_us; /**< 0: closed */
    apr_time_t probe_since_us;
    /* set by init */
    int threshold;
    apr_interval_time_t first_us;
    apr_interval_time_t most_us;
} etv_backoff_t;

/**
 * @param threshold  consecutive failures that open it, at least 1
 * @param first_us   how long it is open at first; doubled by every failed probe
 * @param most_us    up to this. Each wait is up to 25 % shorter or longer, by the random number.
 */
void etv_backoff_init(etv_backoff_t *b, int threshold, apr_interval_time_t first_us,
                      apr_interval_time_t most_us);

/**
 * Whether a caller may try now. Closed: yes. Open: no, until the time is over; then exactly one
 * caller may (it must report success or failure; a probe that has not reported for most_us is
 * taken as lost and the next caller may try).
 */
int etv_backoff_allows(etv_backoff_t *b, apr_time_t now_us);

/** @return 1 when this closed an open breaker (worth a log line), else 0 */
int etv_backoff_success(etv_backoff_t *b);

/**
 * A failure while open that no probe reports (a caller let in before it opened) changes nothing.
 * @return 1 when this opened a closed breaker (worth a log line), else 0
 */
int etv_backoff_failure(etv_backoff_t *b, apr_time_t now_us, apr_uint32_t random);

#endif
