/* SPDX-License-Identifier: Apache-2.0 */
#include "core/backoff.h"

#include <limits.h>
#include <string.h>

static int is_open(const etv_backoff_t *b)
{
    return b->open_until_us != 0;
}

void etv_backoff_init(etv_backoff_t *b, int threshold, apr_interval_time_t first_us,
                      apr_interval_time_t most_us)
{
    memset(b, 0, sizeof(*b));
    b->threshold = threshold < 1 ? 1 : threshold;
    b->first_us = first_us < 1 ? 1 : first_us;
    b->most_us = most_us < b->first_us ? b->first_us : most_us;
}

int etv_backoff_allows(etv_backoff_t *b, apr_time_t now_us)
{
    if (!is_open(b)) {
        return 1;
    }
    if (now_us < b->open_until_us) {
        return 0;
    }
    if (b->probing && now_us - b->probe_since_us < b->most_us) {
        return 0;
    }
    b->probing = 1;
    b->probe_since_us = now_us;
    return 1;
}

int etv_backoff_success(etv_backoff_t *b)
{
    int was_open = is_open(b);

    b->failures = 0;
    b->probing = 0;
    b->open_until_us = 0;
    return was_open;
}

/* How long to stay open: first_us, doubled for each failed probe, then up to 25 % more or less so
 * that many processes do not come back at the same moment. */
static apr_interval_time_t wait_us(const etv_backoff_t *b, apr_uint32_t random)
{
    apr_interval_time_t wait = b->first_us;
    apr_interval_time_t span, part = random >> 16;

    for (int i = b->threshold; i < b->failures && wait < b->most_us; i++) {
        wait = wait > b->most_us / 2 ? b->most_us : wait * 2;
    }
    /* part of 65535 parts of the span, without overflow */
    span = wait / 2;
    return wait - wait / 4 + span / 65535 * part + span % 65535 * part / 65535;
}

int etv_backoff_failure(etv_backoff_t *b, apr_time_t now_us, apr_uint32_t random)
{
    int was_open = is_open(b);

    /* A caller that was let in before it opened reports late: that says nothing new, and must not
     * make the wait longer. */
    if (was_open && !b->probing) {
        return 0;
    }
    if (b->failures < INT_MAX) {
        b->failures++;
    }
    if (b->failures < b->threshold) {
        return 0;
    }
    b->probing = 0;
    b->open_until_us = now_us + wait_us(b, random);
    if (b->open_until_us == 0) {
        b->open_until_us = 1; /* 0 means closed */
    }
    return !was_open;
}
