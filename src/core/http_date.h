/* SPDX-License-Identifier: Apache-2.0 */
/** HTTP-date (RFC 9110 §5.6.7), strictly. Pure, allocates nothing, safe in any thread. */
#ifndef ETV_CORE_HTTP_DATE_H
#define ETV_CORE_HTTP_DATE_H

#include <apr.h>

/**
 * A date as a number that orders dates: the same for the same second, greater for a later one. It
 * counts nothing, because a calendar's arithmetic is not needed to compare, and has no value that
 * means "none": 1970-01-01 and everything before it are dates like others.
 */
typedef apr_int64_t etv_http_date_t;

/**
 * Read a field value that is exactly one HTTP-date in one of its three forms, OWS around it aside.
 * Case matters (§5.6.7), the day and time must exist (a leap second does), and the name of the
 * weekday need not be right. A year of two digits is one of 1970 to 2069, which keeps the rule of
 * §5.6.7 (never more than 50 years ahead) without a clock.
 * @param text  NULL is no date
 * @param date  filled in on success
 * @return 1 when it is a date, 0 when not: also for several dates and for text behind one
 */
int etv_http_date_parse(const char *text, etv_http_date_t *date);

#endif
