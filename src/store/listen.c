/* SPDX-License-Identifier: Apache-2.0 */
/* Who listens, and for how long what was heard holds. What is heard is in push.c. */
#include "store/listen.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "store/boottime.h"
#include "store/push.h"
#include "store/worker.h"

/** A leader shows that it is alive this often, at least; a follower is late by up to the jitter. */
#define RENEW_US  100000
#define JITTER_US 40000

/** How often what was heard is confirmed, as a part of the lease. */
#define ROUNDS_PER_LEASE 4

/** Not more often than this, whatever happens: any client of the server can make flushes. */
#define ROUND_LEAST_US 20000

/** How long a peer may take to answer before the connection is given up. */
#define PATIENCE_LEAST_US 200000
#define PATIENCE_MOST_US  2000000

/** How long the mirror is out of use before the log says so. */
#define UNUSED_US 500000

/** Between two attempts to connect; and where the server does not let us listen. */
#define RETRY_FIRST_US   50000
#define RETRY_MOST_US    1000000
#define RETRY_REFUSED_US 30000000

/** How long the end of a child waits for the thread. */
#define STOP_MOST_MS 1000

struct etv_listener_t {
    atomic_int refs; /* the owner and the thread; the last one frees */
    atomic_int stopping;
    int wake_fd;     /* readable: stopping */
    int done_fd;     /* readable: the thread uses nothing of others any more */
    atomic_int done; /* the same: what it did before that is seen by who sees this */
    etv_redis_t *r;
    etv_channel_t *channel;
    apr_uint32_t owner;

    /* the thread's */
    etv_conn_watch_t watch;
    etv_push_t push;
    int leads;
    int published;         /* requests use the mirror, as far as this thread knows */
    int told;              /* what the log says about that */
    apr_time_t told_us[2]; /* when it last said so, either way; 0: never */
    int has_facts;         /* of the epoch */
    apr_uint32_t epoch;
    unsigned serial; /* of the address that sentinels named */
    etv_channel_facts_t facts;
    etv_redis_conn_t *check; /* NULL: not connected */
    apr_time_t asked_us;     /* when the last round began */
    apr_time_t good_us;      /* when the last one that succeeded did */
    apr_time_t round_us;     /* when to confirm next */
    apr_time_t retry_us;     /* when to connect next */
    int failures;
};

static void release(etv_listener_t *l)
{
    if (atomic_fetch_sub(&l->refs, 1) == 1) {
        close(l->wake_fd);
        close(l->done_fd);
        free(l);
    }
}

static int is_stopping(etv_listener_t *l)
{
    return atomic_load(&l->stopping);
}

static void forget_all_if(etv_listener_t *l, int wrapped)
{
    if (wrapped) { /* entries of the old epoch of this number must not come back to life */
        etv_mirror_invalidate_all(l->r->config.mirror);
    }
}

static void begin_epoch(etv_listener_t *l)
{
    int wrapped;

    l->epoch = etv_channel_raise(l->channel, &wrapped);
    l->has_facts = 0;
    forget_all_if(l, wrapped);
}

/** An etv_conn_watch_t's: also called while a peer keeps this thread waiting. */
static void renew(void *listener)
{
    etv_listener_t *l = listener;

    if (l->leads && !is_stopping(l)) {
        l->leads = etv_channel_lead(l->channel, l->owner, etv_boottime_us()) != ETV_CHANNEL_FOLLOWS;
    }
}

/* --- connections --- */

static void hang_up(etv_listener_t *l)
{
    etv_push_close(&l->push);
    etv_redis_conn_free(l->check);
    l->check = NULL;
}

static void retry_in(etv_listener_t *l, int refused)
{
    apr_interval_time_t wait = RETRY_MOST_US;

    if (refused) {
        wait = RETRY_REFUSED_US;
    } else if (l->failures < 5) {
        wait = (apr_interval_time_t)RETRY_FIRST_US << l->failures;
    }
    l->failures++;
    l->retry_us = etv_boottime_us() + wait;
}

/** What is heard from now on may have gaps: nothing that is known counts any more. */
static void give_up(etv_listener_t *l, int refused)
{
    hang_up(l);
    begin_epoch(l);
    retry_in(l, refused);
    l->published = 0;
}

/**
 * Say whether the mirror is used, each way once in a while only. The log shall not end with what is
 * no longer so: what may not be said now is said later, if it is still true.
 */
static void tell(etv_listener_t *l)
{
    apr_time_t last_us = l->told_us[l->published];

    if (l->told == l->published || is_stopping(l) ||
        (last_us && etv_boottime_us() - last_us < ETV_REDIS_LOG_QUIET_US)) {
        return;
    }
    if (l->published) {
        etv_redis_say(&l->r->log, ETV_REDIS_SAYS_PUSHED,
                      l->told_us[0] ? ETV_LOG_NOTICE : ETV_LOG_INFO, APR_SUCCESS,
                      "%s: the table of versions is in use", l->r->shown);
    } else {
        etv_redis_say(&l->r->log, ETV_REDIS_SAYS_UNPUSHED, ETV_LOG_WARNING, APR_SUCCESS,
                      "%s: the table of versions is not used until the server pushes changes "
                      "again; every request asks the server",
                      l->r->shown);
    }
    l->told = l->published;
    l->told_us[l->told] = etv_boottime_us();
}

static apr_interval_time_t patience(const etv_listener_t *l)
{
    apr_interval_time_t lease = l->r->config.lease_us;

    if (lease < PATIENCE_LEAST_US) {
        return PATIENCE_LEAST_US;
    }
    return lease > PATIENCE_MOST_US ? PATIENCE_MOST_US : lease;
}

static apr_time_t connect_deadline(const etv_listener_t *l)
{
    return etv_boottime_us() + l->r->config.connect_timeout_us;
}

/** Both connections go to one server, which the run id proves. */
static void connect_both(etv_listener_t *l)
{
    etv_channel_facts_t facts;
    etv_push_open_e opened = ETV_PUSH_FAILED;

    etv_resolver_confirmed(l->r->resolver, 0, 0, &l->serial);
    if (etv_redis_open_watched(l->r, NULL, &l->watch, connect_deadline(l), &l->check) !=
        APR_SUCCESS) {
        l->check = NULL;
    } else if (etv_redis_read_facts(l->r, l->check, connect_deadline(l), &facts) ==
               ETV_GIVE_SOUND) {
        opened = etv_push_open(&l->push, l->check, &l->watch);
    }
    if (opened != ETV_PUSH_OPEN) {
        give_up(l, opened == ETV_PUSH_REFUSED);
        return;
    }
    l->round_us = 0;
}

/* --- listening --- */

/** Sleep until something is to be done, at most until then. @return 1 when the push connection has
 * something to say */
static int sleep_until(etv_listener_t *l, apr_time_t until_us)
{
    struct pollfd fds[2] = {{.fd = l->wake_fd, .events = POLLIN},
                            {.fd = etv_push_fd(&l->push), .events = etv_push_events(&l->push)}};
    apr_interval_time_t left = until_us - etv_boottime_us();
    struct timespec t;
    int ready;

    if (left > RENEW_US) {
        left = RENEW_US;
    }
    if (left < 0) {
        left = 0;
    }
    t.tv_sec = 0;
    t.tv_nsec = (long)left * 1000;
    ready = ppoll(fds, 2, &t, NULL);
    renew(l);
    return ready > 0 && fds[1].revents != 0;
}

/** Take in what was pushed. @return 0 when the connection was given up */
static int listen_once(etv_listener_t *l, apr_time_t until_us)
{
    if (!sleep_until(l, until_us) || is_stopping(l) || !l->leads) {
        return 1;
    }
    switch (etv_push_read(&l->push)) {
    case ETV_PUSH_HEARD:
        return 1;
    case ETV_PUSH_FLUSHED:
        begin_epoch(l);
        l->round_us = l->asked_us + ROUND_LEAST_US;
        return 1;
    case ETV_PUSH_DENIED:
        give_up(l, 1);
        return 0;
    case ETV_PUSH_LOST:
        break;
    }
    give_up(l, 0);
    return 0;
}

/** Wait for the answer to PING, behind which nothing older comes. @return 0 when there is none */
static int await_pong(etv_listener_t *l, apr_time_t deadline_us)
{
    while (etv_push_awaits_pong(&l->push)) {
        if (is_stopping(l) || !l->leads) {
            return 0;
        }
        if (etv_boottime_us() >= deadline_us) {
            etv_redis_say(&l->r->log, ETV_REDIS_SAYS_TIMEOUT, ETV_LOG_WARNING, APR_TIMEUP,
                          "%s: the connection for pushed changes does not answer", l->r->shown);
            give_up(l, 0);
            return 0;
        }
        if (!listen_once(l, deadline_us)) {
            return 0;
        }
    }
    return 1;
}

/**
 * When what this round found out was true: when it was asked. A primary that nobody but itself
 * takes for one may have been replaced, so where there are sentinels, one must agree; and a name
 * may lead elsewhere by now.
 * @return 0 when nobody confirms the primary now, or another one was named
 */
static apr_time_t confirmed_since(etv_listener_t *l, apr_time_t asked_us, apr_time_t deadline_us)
{
    apr_time_t wanted = asked_us - l->r->config.lease_us / 2;
    apr_time_t since, now;
    unsigned serial;

    do { /* in short waits: sentinels may be slow, and this thread must show that it lives */
        apr_time_t until;

        now = etv_boottime_us();
        until = now + RENEW_US < deadline_us ? now + RENEW_US : deadline_us;
        since = etv_resolver_confirmed(l->r->resolver, wanted, until, &serial);
        renew(l);
    } while (!since && etv_boottime_us() - now >= RENEW_US / 2 && now < deadline_us && l->leads &&
             !is_stopping(l));
    if (l->serial != serial) {
        give_up(l, 0);
        l->retry_us = 0;
        return 0;
    }
    return since < asked_us ? since : asked_us;
}

/** From now on all changes are heard; what happened since the last epoch ended is not known. */
static void tell_watchers(const etv_listener_t *l)
{
    if (l->r->config.feed) {
        etv_feed_write_gap(l->r->config.feed, l->r->config.scope);
    }
}

static void publish(etv_listener_t *l, apr_time_t since_us)
{
    int begins = !l->has_facts;

    if (begins) {
        etv_channel_set_facts(l->channel, l->epoch, &l->facts);
        l->has_facts = 1;
    }
    if (!etv_channel_publish(l->channel, l->epoch, since_us + l->r->config.lease_us)) {
        begin_epoch(l); /* somebody knew better */
        l->round_us = l->asked_us + ROUND_LEAST_US;
        return;
    }
    l->failures = 0;
    l->good_us = l->asked_us;
    l->published = 1;
    if (begins) {
        tell_watchers(l);
    }
}

/** The facts of this epoch are still what readers see: a former leader may have slept while it
 * wrote its own. */
static int facts_stand(etv_listener_t *l)
{
    etv_channel_facts_t seen;

    return etv_channel_get_facts(l->channel, l->epoch, &seen) &&
           memcmp(&seen, &l->facts, sizeof(seen)) == 0;
}

/**
 * Find out whether all that was known is still true: everything pushed before the PONG has been
 * heard by then, and the other connection tells whether it is the same server, still primary, with
 * the same data; a swap of databases and a demotion are pushed by nobody. In this order: the data
 * that were there when the question was answered have all their changes in front of the PONG.
 * Otherwise databases that are swapped away and back would confirm what was changed in between.
 */
static void confirm(etv_listener_t *l)
{
    apr_time_t asked_us = etv_boottime_us();
    apr_time_t deadline_us = asked_us + patience(l);
    apr_uint32_t epoch = l->epoch;
    etv_channel_facts_t facts;
    apr_time_t since_us;

    l->asked_us = asked_us;
    l->round_us = asked_us + l->r->config.lease_us / ROUNDS_PER_LEASE;
    if (etv_redis_read_facts(l->r, l->check, deadline_us, &facts) != ETV_GIVE_SOUND) {
        give_up(l, 0);
        return;
    }
    etv_push_ping(&l->push);
    if (!await_pong(l, deadline_us)) {
        return;
    }
    if (l->epoch != epoch) { /* a flush was heard meanwhile: look again */
        return;
    }
    since_us = confirmed_since(l, asked_us, deadline_us);
    if (!since_us || !l->leads) {
        return;
    }
    if (l->has_facts && (memcmp(&facts, &l->facts, sizeof(facts)) != 0 || !facts_stand(l))) {
        begin_epoch(l);
    }
    l->facts = facts;
    publish(l, since_us);
}

/* --- the thread --- */

static void lead(etv_listener_t *l)
{
    begin_epoch(l);
    l->published = l->told = 0;
    l->failures = 0;
    l->retry_us = 0;
    etv_redis_say(&l->r->log, ETV_REDIS_SAYS_LEADS, ETV_LOG_INFO, APR_SUCCESS,
                  "%s: this process keeps the table of versions from now on", l->r->shown);
    while (l->leads && !is_stopping(l)) {
        apr_time_t now = etv_boottime_us();

        if (now - l->good_us > l->r->config.lease_us + UNUSED_US) {
            l->published = 0; /* what was confirmed last has run out some time ago */
        }
        tell(l);
        if (!l->check) {
            if (now >= l->retry_us) {
                connect_both(l);
            } else {
                sleep_until(l, l->retry_us);
            }
        } else if (now >= l->round_us) {
            confirm(l);
        } else {
            listen_once(l, l->round_us);
        }
    }
    hang_up(l);
}

static void resign(etv_listener_t *l)
{
    int wrapped;

    etv_channel_resign(l->channel, l->owner, &wrapped);
    forget_all_if(l, wrapped);
}

static void follow(etv_listener_t *l, apr_uint32_t handover)
{
    apr_interval_time_t jitter = (apr_interval_time_t)(l->owner * 7919 % JITTER_US);

    etv_channel_await(l->channel, handover,
                      etv_channel_leader_until(l->channel) - etv_boottime_us() + jitter);
}

static void *run(void *listener)
{
    etv_listener_t *l = listener;

    for (;;) {
        apr_uint32_t handover = etv_channel_handover(l->channel);

        if (is_stopping(l)) {
            break;
        }
        l->leads = etv_channel_lead(l->channel, l->owner, etv_boottime_us()) != ETV_CHANNEL_FOLLOWS;
        if (l->leads) {
            lead(l);
        } else {
            follow(l, handover);
        }
    }
    resign(l);
    atomic_store(&l->done, 1);
    eventfd_write(l->done_fd, 1);
    release(l);
    return NULL;
}

apr_status_t etv_listen_start(etv_redis_t *r, etv_listener_t **listener)
{
    etv_listener_t *l = calloc(1, sizeof(*l));
    apr_status_t rv = APR_SUCCESS;

    if (!l) {
        return APR_ENOMEM;
    }
    atomic_init(&l->refs, 2);
    l->r = r;
    l->channel = r->config.channel;
    l->owner = etv_channel_owner(l->channel);
    l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    l->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->wake_fd < 0 || l->done_fd < 0) {
        rv = APR_FROM_OS_ERROR(errno);
    }
    l->watch = (etv_conn_watch_t){l->wake_fd, RENEW_US, renew, l};
    etv_push_init(&l->push, r);
    if (rv == APR_SUCCESS) {
        rv = etv_worker_start(run, l);
    }
    if (rv != APR_SUCCESS) {
        atomic_store(&l->refs, 1);
        release(l);
        return rv;
    }
    *listener = l;
    return APR_SUCCESS;
}

void etv_listen_retire(etv_listener_t *l)
{
    if (l && !atomic_exchange(&l->stopping, 1)) {
        resign(l);
        eventfd_write(l->wake_fd, 1);
        etv_channel_wake(l->channel);
    }
}

static int await_end(etv_listener_t *l)
{
    struct pollfd done = {.fd = l->done_fd, .events = POLLIN};

    etv_listen_retire(l);
    return poll(&done, 1, STOP_MOST_MS) > 0 && atomic_load(&l->done);
}

int etv_listen_stop(etv_listener_t *l)
{
    if (!l) {
        return 1;
    }
    if (!await_end(l)) {
        return 0;
    }
    release(l);
    return 1;
}

void etv_listen_end(etv_listener_t *l)
{
    if (l) {
        await_end(l);
    }
}
