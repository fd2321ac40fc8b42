/* SPDX-License-Identifier: Apache-2.0 */
#include "core/duration.h"

#include <string.h>

#define MOST_US (apr_time_from_sec(APR_INT64_C(3650) * 24 * 3600))

int etv_duration_parse(const char *text, apr_interval_time_t *us)
{
    static const struct {
        const char *name;
        apr_interval_time_t us;
    } units[] = {
        {"", APR_USEC_PER_SEC},         {"ms", 1000},
        {"s", APR_USEC_PER_SEC},        {"m", 60 * APR_USEC_PER_SEC},
        {"h", 3600 * APR_USEC_PER_SEC}, {"d", 24 * 3600 * APR_USEC_PER_SEC},
    };
    const char *at = text;
    apr_interval_time_t n = 0;

    if (!at || *at < '0' || *at > '9') {
        return 0;
    }
    for (; *at >= '0' && *at <= '9'; at++) {
        n = n * 10 + (*at - '0');
        if (n > MOST_US) {
            return 0; /* too much in any unit */
        }
    }
    for (apr_size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(at, units[i].name) == 0) {
            if (n > MOST_US / units[i].us) {
                return 0;
            }
            *us = n * units[i].us;
            return 1;
        }
    }
    return 0;
}
