/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/events_limit.h"

#include <stdatomic.h>

#include <ap_mpm.h>
#include <http_log.h>

#include "httpd/config.h"
#include "httpd/log.h"
#include "httpd/shared.h"

static atomic_int streams; /* of this process */

typedef struct {
    int workers;
    int of_server; /* these are processes of one thread: counted over all of them */
} pool_t;

static int ask(int what)
{
    int n = 1;

    return ap_mpm_query(what, &n) == APR_SUCCESS && n > 1 ? n : 1;
}

static pool_t find_pool(void)
{
    pool_t pool = {ask(AP_MPMQ_MAX_THREADS), 0};

    if (pool.workers == 1) {
        pool.workers = ask(AP_MPMQ_MAX_DAEMONS);
        pool.of_server = 1;
    }
    return pool;
}

static int limit_of(const pool_t *pool)
{
    int said = etv_config_events_limit(), half = pool->workers / 2;

    if (said != ETV_UNSET)
        return said;
    return half < 1 ? 1 : half < ETV_EVENTS_LIMIT_DEFAULT ? half : ETV_EVENTS_LIMIT_DEFAULT;
}

void etv_events_limit_check(const server_rec *s)
{
    pool_t pool = find_pool();
    int said = etv_config_events_limit();

    if (said != ETV_UNSET && said >= pool.workers)
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "ETV0376: ETagVersionEventsLimit %d: every worker %s may be taken by event "
                     "streams, and nothing else be served: there are %d (%s)",
                     said, pool.of_server ? "process" : "thread of a child", pool.workers,
                     pool.of_server ? "MaxRequestWorkers" : "ThreadsPerChild");
}

int etv_events_limit_enter(etv_events_place_t *place)
{
    pool_t pool = find_pool();
    int most = limit_of(&pool);

    place->seat.number = 0;
    place->counted = !pool.of_server;
    if (pool.of_server)
        return etv_seats_take(etv_shared_seats(), most, &place->seat);
    if (atomic_fetch_add(&streams, 1) < most)
        return 1;
    etv_events_limit_leave(place);
    return 0;
}

void etv_events_limit_leave(etv_events_place_t *place)
{
    if (place->counted)
        atomic_fetch_sub(&streams, 1);
    else
        etv_seats_leave(etv_shared_seats(), &place->seat);
}
