/* SPDX-License-Identifier: Apache-2.0 */
/** The clock of deadlines and ages: it never steps, and it goes on while the host is suspended. */
#ifndef ETV_STORE_BOOTTIME_H
#define ETV_STORE_BOOTTIME_H

#include <apr_time.h>
#include <time.h>

/** Microseconds since the host started. Never fails; safe everywhere. */
static inline apr_time_t etv_boottime_us(void)
{
    struct timespec t = {0, 0};

#ifdef CLOCK_BOOTTIME
    clock_gettime(CLOCK_BOOTTIME, &t);
#else
    clock_gettime(CLOCK_MONOTONIC, &t);
#endif
    return (apr_time_t)t.tv_sec * APR_USEC_PER_SEC + t.tv_nsec / 1000;
}

#endif
