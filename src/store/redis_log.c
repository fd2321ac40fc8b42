/* SPDX-License-Identifier: Apache-2.0 */
#include "store/redis_log.h"

#include <apr_strings.h>
#include <stdarg.h>
#include <string.h>

#include "store/boottime.h"

apr_status_t etv_redis_log_init(etv_redis_log_t *log, const etv_log_t *to)
{
    memset(log, 0, sizeof(*log));
    log->to = *to;
    return pthread_mutex_init(&log->lock, NULL);
}

/** Whether this line may be written; `*suppressed` were not since the last one. */
static int may_say(etv_redis_log_t *log, etv_redis_says_e kind, unsigned *suppressed)
{
    apr_time_t now = etv_boottime_us();
    int may;

    pthread_mutex_lock(&log->lock);
    may = now >= log->kind[kind].quiet_until_us;
    if (may) {
        *suppressed = log->kind[kind].suppressed;
        log->kind[kind].suppressed = 0;
        log->kind[kind].quiet_until_us = now + ETV_REDIS_LOG_QUIET_US;
    } else {
        log->kind[kind].suppressed++;
    }
    pthread_mutex_unlock(&log->lock);
    return may;
}

void etv_redis_say(etv_redis_log_t *log, etv_redis_says_e kind, etv_log_level_e level,
                   apr_status_t status, const char *format, ...)
{
    char line[768];
    unsigned suppressed = 0;
    apr_size_t len;
    va_list args;

    if (!log->to.fn || !may_say(log, kind, &suppressed)) {
        return;
    }
    len = (apr_size_t)apr_snprintf(line, sizeof(line), "ETV%04d: ", 101 + (int)kind);
    va_start(args, format);
    len += (apr_size_t)apr_vsnprintf(line + len, sizeof(line) - len, format, args);
    va_end(args);
    if (suppressed) {
        apr_snprintf(line + len, sizeof(line) - len, " (%u more like this were not logged)",
                     suppressed);
    }
    log->to.fn(log->to.baton, level, status, line);
}
