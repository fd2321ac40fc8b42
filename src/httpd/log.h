/* SPDX-License-Identifier: Apache-2.0 */
/** Logging of the glue: httpd's log under this module's name, messages with own tags. */
#ifndef ETV_HTTPD_LOG_H
#define ETV_HTTPD_LOG_H

#include <httpd.h>
#include <http_config.h>
#include <http_log.h>
#include <apr_atomic.h>

#include "store/boottime.h"

APLOG_USE_MODULE(etag_version);

/**
 * Whether a line that may be due for every request shall be seen: once a minute and child.
 * @param next  of this kind of line; 0 at first
 */
static inline int etv_log_is_due(apr_uint32_t *next)
{
    apr_uint32_t now = (apr_uint32_t)apr_time_sec(etv_boottime_us());
    apr_uint32_t due = apr_atomic_read32(next);

    return now >= due && apr_atomic_cas32(next, now + 60, due) == due;
}

#endif
