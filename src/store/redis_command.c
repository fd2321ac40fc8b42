/* SPDX-License-Identifier: Apache-2.0 */
/* What lookups and bumps have in common: a connection for a while, an exchange, its judgement. */
#include "store/boottime.h"
#include "store/redis_txn.h"

/** Bytes per value that are read before the connection is given up; more than ETV_TOKEN_MOST, so
 *  that a value which is merely wrong costs no connection. */
#define VALUE_BYTES_MOST 65536

/** Whether the failure only means that the peer closed the connection while it was idle. */
static int was_stale(const etv_redis_conn_t *c, etv_conn_e state, int first)
{
    return state == ETV_CONN_LOST && first && c->reused && !c->received;
}

etv_resp_t **etv_redis_exchange(etv_redis_t *r, etv_redis_conn_t *c, apr_size_t n, int values,
                                apr_time_t deadline_us, int first, etv_give_e *give)
{
    apr_size_t most = ((apr_size_t)values + 2) * VALUE_BYTES_MOST;
    etv_resp_t **replies = NULL;
    etv_conn_e state = etv_redis_conn_exchange(c, n, most, deadline_us, &replies);

    if (state == ETV_CONN_OK) {
        return replies;
    }
    *give = was_stale(c, state, first) ? ETV_GIVE_STALE : etv_redis_exchange_failed(r, c, state);
    return NULL;
}

int etv_redis_accept(etv_redis_t *r, etv_redis_conn_t *c, int right,
                     const etv_redis_answer_t *answer, etv_give_e *give)
{
    if (!right) {
        c->status = APR_EGENERAL;
        *give = etv_redis_exchange_failed(r, c, ETV_CONN_GARBLED);
        return 0;
    }
    if (answer->refused) {
        *give = etv_redis_refused(r, answer->command, answer->refused);
        if (*give == ETV_GIVE_DROP && answer->in_step) {
            *give = ETV_GIVE_SOUND;
        }
        return 0;
    }
    if (!answer->master) {
        etv_redis_say(&r->log, ETV_REDIS_SAYS_ROLE, ETV_LOG_WARNING, APR_EGENERAL,
                      "%s: the server is not a primary; versions are read from the primary only",
                      r->shown);
        *give = ETV_GIVE_FAILED;
        return 0;
    }
    return 1;
}

apr_status_t etv_redis_take(etv_redis_t *r, int fresh, apr_time_t now, apr_time_t hard_us,
                            etv_redis_conn_t **c, apr_time_t *deadline_us)
{
    apr_status_t status;

    switch (etv_redis_pool_take(r->pool, fresh, now, hard_us, c, &status)) {
    case ETV_TAKE_OK:
        if (!(*c)->reused) {
            now = etv_boottime_us();
        }
        *deadline_us = now + r->config.command_timeout_us;
        if (*deadline_us > hard_us) {
            *deadline_us = hard_us;
        }
        return APR_SUCCESS;
    case ETV_TAKE_PAUSED: /* what led there was logged */
        return APR_EAGAIN;
    case ETV_TAKE_EXHAUSTED:
        etv_redis_say(&r->log, ETV_REDIS_SAYS_EXHAUSTED, ETV_LOG_WARNING, APR_TIMEUP,
                      "%s: all %d connections of this process stayed busy", r->shown,
                      r->config.connections_most);
        return APR_TIMEUP;
    case ETV_TAKE_FAILED:
        break;
    }
    return status ? status : APR_EGENERAL;
}

void etv_redis_give(etv_redis_t *r, etv_redis_conn_t *c, etv_give_e how)
{
    if (how == ETV_GIVE_FAILED) {
        etv_resolver_kick(r->resolver); /* the primary may have moved */
    }
    etv_redis_pool_give(r->pool, c, how);
}
