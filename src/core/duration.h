/* SPDX-License-Identifier: Apache-2.0 */
/** Durations as administrators write them. Pure. */
#ifndef ETV_CORE_DURATION_H
#define ETV_CORE_DURATION_H

#include <apr.h>
#include <apr_time.h>

/**
 * Parse `250ms`, `2s`, `5m`, `1h`, `7d`; a bare number is seconds. Whole numbers only, no sign, no
 * white space; at most 3650 days.
 * @param us  out: microseconds
 * @return 1 when it is right, 0 otherwise (`*us` untouched)
 */
int etv_duration_parse(const char *text, apr_interval_time_t *us);

/** What etv_duration_parse accepts, for error messages. */
#define ETV_DURATION_ACCEPTED                                                                      \
    "a whole number followed by ms, s, m, h or d (a bare number is seconds)"

#endif
