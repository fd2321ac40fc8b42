/* SPDX-License-Identifier: Apache-2.0 */
#include "store/futex.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* On 32 bits with a 64-bit time, the first system call would misread the C library's timespec. */
#if defined(SYS_futex_time64) && !defined(__LP64__)
#define FUTEX (sizeof(time_t) > sizeof(long) ? SYS_futex_time64 : SYS_futex)
#else
#define FUTEX SYS_futex
#endif

void etv_futex_await(_Atomic apr_uint32_t *word, apr_uint32_t seen, apr_interval_time_t most_us)
{
    struct timespec t = {.tv_sec = (time_t)(most_us / APR_USEC_PER_SEC),
                         .tv_nsec = (long)(most_us % APR_USEC_PER_SEC) * 1000};

    if (most_us > 0 && syscall(FUTEX, word, FUTEX_WAIT, seen, &t, NULL, 0) < 0 && errno != EAGAIN &&
        errno != EINTR && errno != ETIMEDOUT) {
        usleep(10000); /* not allowed here: better late than busy */
    }
}

void etv_futex_wake(_Atomic apr_uint32_t *word)
{
    atomic_fetch_add(word, 1);
    syscall(FUTEX, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}
