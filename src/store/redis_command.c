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
        if (etv_redis_moved(r, c, answer->refused, give)) {
            return 0;
        }
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

void etv_redis_say_doubt(etv_redis_t *r)
{
    etv_sentinel_e doubt = etv_resolver_doubt(r->resolver);

    if (doubt == ETV_SENTINEL_NOT_WATCHED) {
        etv_redis_say(&r->log, ETV_REDIS_SAYS_UNWATCHED, ETV_LOG_ERR, APR_EINVAL,
                      "%s: the sentinels watch no primary named \"%s\": no versions; the name is "
                      "what stands behind \"sentinel monitor\" in their configuration",
                      r->shown, r->config.url->master);
    } else {
        etv_redis_say(&r->log, ETV_REDIS_SAYS_DOUBT, ETV_LOG_WARNING, APR_TIMEUP,
                      "%s: no sentinel confirms the primary: no versions; %s", r->shown,
                      etv_sentinel_sentence(doubt));
    }
}

/** How long requests do without a confirmation once one could not be had. */
#define UNCONFIRMED_US 2000000

/**
 * A primary that was cut off does not know that another one took its place, and would go on
 * answering: it is believed no longer than a lease after a sentinel confirmed it.
 */
static int is_confirmed(etv_redis_t *r, apr_time_t now, apr_time_t hard_us)
{
    apr_interval_time_t lease = r->config.lease_us > 0 ? r->config.lease_us : apr_time_from_sec(1);
    apr_int64_t quiet = atomic_load(&r->unconfirmed_us);
    unsigned serial;

    /* While nobody confirms, one request in a while waits for it, and the others do not. */
    if (quiet && (now < quiet || !atomic_compare_exchange_strong(&r->unconfirmed_us, &quiet,
                                                                 now + UNCONFIRMED_US))) {
        hard_us = now;
    }
    if (!etv_resolver_confirmed(r->resolver, now - lease, hard_us, &serial)) {
        atomic_store(&r->unconfirmed_us, etv_boottime_us() + UNCONFIRMED_US);
        etv_redis_say_doubt(r);
        return 0;
    }
    if (quiet) {
        atomic_store(&r->unconfirmed_us, 0);
    }
    if (serial != atomic_load(&r->serial)) {
        /* Before the number: who sees the new one must find no connection of before. */
        etv_redis_pool_renounce(r->pool);
        if (atomic_exchange(&r->serial, serial) != serial) {
            etv_redis_say(&r->log, ETV_REDIS_SAYS_NAMED, ETV_LOG_NOTICE, APR_SUCCESS,
                          "%s: another primary has been named", r->shown);
        }
    }
    return 1;
}

apr_status_t etv_redis_take(etv_redis_t *r, int fresh, apr_time_t now, apr_time_t hard_us,
                            etv_redis_conn_t **c, apr_time_t *deadline_us)
{
    apr_status_t status;

    if (!is_confirmed(r, now, hard_us)) {
        return APR_TIMEUP;
    }
    if (r->config.url->kind == ETV_STORE_URL_REDIS_SENTINEL) { /* it may have taken a while */
        now = etv_boottime_us();
    }
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
        etv_redis_cluster_forget(&r->cluster, c->node);
    }
    etv_redis_pool_give(r->pool, c, how);
}
