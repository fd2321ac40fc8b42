/* SPDX-License-Identifier: Apache-2.0 */
#include "store/resolver.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "store/boottime.h"
#include "store/worker.h"

#define REFRESH_US  apr_time_from_sec(30)
#define KICK_GAP_US apr_time_from_sec(1)

/** Sentinels are asked as long as somebody wanted to know within this time. */
#define WANTED_US apr_time_from_sec(2)
/** That somebody wants to know is written down at most this often. */
#define WANTED_GRAIN_US apr_time_from_msec(100)

/** From one question to the next: a part of the lease; longer while none of them confirms. */
#define ROUNDS_PER_LEASE 4
#define ROUND_LEAST_US   apr_time_from_msec(20)
#define ROUND_FAILING_US apr_time_from_sec(1)

struct etv_resolver_t {
    atomic_int refs; /* the owner and the thread; the last one frees */
    atomic_int stopping;
    atomic_int kicked;
    int wake_fd; /* -1: no thread */
    etv_resolver_lookup_fn *lookup;
    char *host;
    apr_port_t port;

    /* with sentinels: confirmed_us is written after all that it vouches for */
    etv_sentinels_t *sentinels; /* the thread's; NULL: there are none */
    apr_interval_time_t round_us;
    atomic_int idle;           /* the thread sleeps until somebody wants to know */
    atomic_llong wanted_us;    /* when somebody did */
    atomic_llong confirmed_us; /* 0: never */
    atomic_uint serial;
    atomic_int doubt;             /* etv_sentinel_e of the last round */
    int failures;                 /* the thread's: rounds in a row */
    etv_sentinel_primary_t named; /* the thread's: whose addresses are known */
    apr_time_t named_us;          /* the thread's: when they were looked up */

    pthread_mutex_t lock;
    pthread_cond_t answered;
    int attempts;                              /* lock */
    int error;                                 /* lock */
    int n;                                     /* lock */
    etv_redis_addr_t addrs[ETV_RESOLVER_MOST]; /* lock */
};

static void release(etv_resolver_t *r)
{
    if (atomic_fetch_sub(&r->refs, 1) == 1) {
        if (r->wake_fd >= 0) {
            close(r->wake_fd);
        }
        pthread_cond_destroy(&r->answered);
        pthread_mutex_destroy(&r->lock);
        etv_sentinels_free(r->sentinels);
        free(r->host);
        free(r);
    }
}

static int is_among(const etv_redis_addr_t *one, const etv_redis_addr_t *addrs, int n)
{
    for (int i = 0; i < n; i++) {
        if (one->len == addrs[i].len && memcmp(&one->addr, &addrs[i].addr, one->len) == 0) {
            return 1;
        }
    }
    return 0;
}

/** Lock held: whether these are other addresses; in another order they are the same. */
static int differ(const etv_resolver_t *r, const etv_redis_addr_t *addrs, int n)
{
    int same = n == r->n;

    for (int i = 0; i < n && same; i++) {
        same = is_among(&addrs[i], r->addrs, r->n);
    }
    return !same;
}

/** Lock held: these are the addresses now. What was connected to others must not be used any more;
 * of a list that is cut short, others may be among the rest. */
static void keep(etv_resolver_t *r, const etv_redis_addr_t *addrs, int n)
{
    if (r->n && differ(r, addrs, n) && (n < ETV_RESOLVER_MOST || r->n < ETV_RESOLVER_MOST)) {
        atomic_fetch_add(&r->serial, 1);
    }
    memcpy(r->addrs, addrs, (size_t)n * sizeof(addrs[0]));
    r->n = n;
}

/** Resolve once. A failure leaves the addresses of before: they are more likely right than none. */
static void refresh(etv_resolver_t *r)
{
    etv_redis_addr_t addrs[ETV_RESOLVER_MOST];
    int error = 0;
    int n = r->lookup(r->host, r->port, addrs, &error);

    pthread_mutex_lock(&r->lock);
    r->attempts++;
    r->error = n ? 0 : error;
    if (n) {
        keep(r, addrs, n);
    }
    pthread_cond_broadcast(&r->answered);
    pthread_mutex_unlock(&r->lock);
}

static void *run(void *arg)
{
    etv_resolver_t *r = arg;

    while (!atomic_load(&r->stopping)) {
        apr_time_t done;

        refresh(r);
        done = etv_boottime_us();
        while (!atomic_load(&r->stopping)) {
            apr_time_t due = done + (atomic_load(&r->kicked) ? KICK_GAP_US : REFRESH_US);
            apr_interval_time_t left = due - etv_boottime_us();
            struct pollfd p = {.fd = r->wake_fd, .events = POLLIN};
            eventfd_t count;

            if (left <= 0) {
                break;
            }
            if (poll(&p, 1, (int)(left / 1000) + 1) > 0) {
                eventfd_read(r->wake_fd, &count);
            }
        }
        atomic_store(&r->kicked, 0);
    }
    release(r);
    return NULL;
}

/* --- with sentinels --- */

static void wake(etv_resolver_t *r)
{
    if (r->wake_fd >= 0) {
        eventfd_write(r->wake_fd, 1);
    }
}

/** @return whether somebody wanted to know shortly before, so that what is known is recent */
static int note_wanted(etv_resolver_t *r)
{
    apr_time_t now = etv_boottime_us();
    apr_time_t last = atomic_load(&r->wanted_us);

    if (now - last > WANTED_GRAIN_US) {
        atomic_store(&r->wanted_us, now);
    }
    if (atomic_load(&r->idle) && atomic_exchange(&r->idle, 0)) {
        wake(r);
    }
    return now - last < WANTED_US;
}

static int is_wanted(etv_resolver_t *r)
{
    return etv_boottime_us() - atomic_load(&r->wanted_us) < WANTED_US;
}

/** The addresses of a primary that a sentinel named. @return their number */
static int look_up_primary(etv_resolver_t *r, const etv_sentinel_primary_t *primary,
                           etv_redis_addr_t *addrs)
{
    apr_interval_time_t age = etv_boottime_us() - r->named_us;
    int error;
    int n = etv_resolver_lookup_number(primary->host, primary->port, addrs, &error);

    if (n) {
        return n;
    }
    if (r->n && strcmp(primary->host, r->named.host) == 0 && primary->port == r->named.port &&
        age < KICK_GAP_US) { /* no longer: what is confirmed is the name */
        memcpy(addrs, r->addrs, (size_t)r->n * sizeof(addrs[0])); /* no other thread writes them */
        return r->n;
    }
    atomic_store(&r->kicked, 0);
    r->named_us = etv_boottime_us();
    return r->lookup(primary->host, primary->port, addrs, &error);
}

static void ask_sentinels(etv_resolver_t *r)
{
    etv_redis_addr_t addrs[ETV_RESOLVER_MOST];
    etv_sentinel_primary_t primary;
    etv_sentinel_e said = etv_sentinels_ask(r->sentinels, &r->stopping, &primary);
    int n = 0;

    if (said == ETV_SENTINEL_CONFIRMS) {
        n = look_up_primary(r, &primary, addrs);
        said = n ? said : ETV_SENTINEL_NAMELESS;
    }
    r->failures = n ? 0 : r->failures + 1;
    pthread_mutex_lock(&r->lock);
    r->attempts++;
    if (n) {
        keep(r, addrs, n);
        r->named = primary;
        atomic_store(&r->confirmed_us, primary.asked_us);
    }
    atomic_store(&r->doubt, (int)said);
    pthread_cond_broadcast(&r->answered);
    pthread_mutex_unlock(&r->lock);
}

static apr_interval_time_t pace(const etv_resolver_t *r)
{
    apr_interval_time_t most = r->round_us > ROUND_FAILING_US ? r->round_us : ROUND_FAILING_US;
    apr_interval_time_t wait = r->round_us;

    for (int i = 1; i < r->failures && wait < most; i++) {
        wait *= 2;
    }
    return wait < most ? wait : most;
}

/** Sleep until woken, at most `left_us`; -1: for as long as it takes. */
static void nap(etv_resolver_t *r, apr_interval_time_t left_us)
{
    struct pollfd p = {.fd = r->wake_fd, .events = POLLIN};
    eventfd_t count;

    if (poll(&p, 1, left_us < 0 ? -1 : (int)(left_us / 1000) + 1) > 0) {
        eventfd_read(r->wake_fd, &count);
    }
}

/** Until it is time for the next round, and somebody wants it. */
static void await_round(etv_resolver_t *r, apr_time_t begun_us)
{
    while (!atomic_load(&r->stopping)) {
        apr_interval_time_t left = begun_us + pace(r) - etv_boottime_us();

        if (left > 0) {
            nap(r, left);
            continue;
        }
        if (is_wanted(r)) {
            return;
        }
        /* Whoever wants it from now on says so before looking whether this thread sleeps. */
        atomic_store(&r->idle, 1);
        if (is_wanted(r)) {
            atomic_store(&r->idle, 0);
            return;
        }
        nap(r, -1);
    }
}

static void *run_sentinels(void *arg)
{
    etv_resolver_t *r = arg;

    while (!atomic_load(&r->stopping)) {
        apr_time_t begun = etv_boottime_us();

        ask_sentinels(r);
        await_round(r, begun);
    }
    release(r);
    return NULL;
}

/* --- starting and asking --- */

static apr_status_t start_thread(etv_resolver_t *r, void *(*body)(void *))
{
    apr_status_t rv;

    r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->wake_fd < 0) {
        return APR_FROM_OS_ERROR(errno);
    }
    atomic_store(&r->refs, 2);
    rv = etv_worker_start(body, r);
    if (rv) {
        atomic_store(&r->refs, 1);
    }
    return rv;
}

static apr_status_t set_path(etv_resolver_t *r, const char *path)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&r->addrs[0].addr;
    size_t len = strlen(path);

    if (len >= sizeof(un->sun_path)) {
        return APR_ENAMETOOLONG;
    }
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, len + 1);
    r->addrs[0].len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    r->n = 1;
    return APR_SUCCESS;
}

static etv_resolver_t *make(etv_resolver_lookup_fn *lookup)
{
    etv_resolver_t *r = calloc(1, sizeof(*r));
    pthread_condattr_t attr;

    if (r) {
        atomic_init(&r->refs, 1);
        r->wake_fd = -1;
        r->lookup = lookup ? lookup : etv_resolver_lookup_name;
        atomic_init(&r->wanted_us, -WANTED_US);
        pthread_mutex_init(&r->lock, NULL);
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&r->answered, &attr);
        pthread_condattr_destroy(&attr);
    }
    return r;
}

apr_status_t etv_resolver_create(const etv_store_url_t *url, etv_resolver_lookup_fn *lookup,
                                 etv_resolver_t **resolver)
{
    etv_resolver_t *r = make(lookup);
    apr_status_t rv = APR_SUCCESS;
    int error;

    if (!r) {
        return APR_ENOMEM;
    }
    r->port = url->port;
    if (url->kind == ETV_STORE_URL_REDIS_UNIX) {
        rv = set_path(r, url->path);
    } else if (!(r->n = etv_resolver_lookup_number(url->host, url->port, r->addrs, &error))) {
        r->host = strdup(url->host);
        rv = r->host ? start_thread(r, run) : APR_ENOMEM;
    }
    if (rv) {
        release(r);
        return rv;
    }
    *resolver = r;
    return APR_SUCCESS;
}

apr_status_t etv_resolver_create_sentinels(const etv_store_url_t *url, const char *password,
                                           apr_interval_time_t lease_us,
                                           etv_resolver_lookup_fn *lookup,
                                           etv_resolver_t **resolver)
{
    etv_resolver_t *r = make(lookup);
    apr_status_t rv;

    if (!r) {
        return APR_ENOMEM;
    }
    r->round_us = lease_us / ROUNDS_PER_LEASE;
    if (r->round_us < ROUND_LEAST_US) {
        r->round_us = ROUND_LEAST_US;
    }
    r->sentinels = etv_sentinels_make(url, password, r->lookup);
    rv = r->sentinels ? start_thread(r, run_sentinels) : APR_ENOMEM;
    if (rv) {
        release(r);
        return rv;
    }
    *resolver = r;
    return APR_SUCCESS;
}

/** Lock held: wait for an answer. @return 0 when the deadline passed */
static int wait_answered(etv_resolver_t *r, apr_time_t deadline_us)
{
    apr_interval_time_t left = deadline_us - etv_boottime_us();
    struct timespec until;

    if (left <= 0) {
        return 0;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(left / APR_USEC_PER_SEC);
    until.tv_nsec += (long)(left % APR_USEC_PER_SEC) * 1000;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pthread_cond_timedwait(&r->answered, &r->lock, &until);
    return 1;
}

int etv_resolver_addrs(etv_resolver_t *r, apr_time_t deadline_us,
                       etv_redis_addr_t addrs[ETV_RESOLVER_MOST], int *error)
{
    int n;

    if (r->sentinels) {
        note_wanted(r);
    }
    pthread_mutex_lock(&r->lock);
    while (!r->n && !r->attempts && wait_answered(r, deadline_us)) {
    }
    n = r->n;
    *error = n ? 0 : r->error;
    memcpy(addrs, r->addrs, (size_t)n * sizeof(addrs[0]));
    pthread_mutex_unlock(&r->lock);
    return n;
}

apr_time_t etv_resolver_confirmed(etv_resolver_t *r, apr_time_t since_us, apr_time_t deadline_us,
                                  unsigned *serial)
{
    apr_time_t at;
    int recent;
    int attempts;

    if (!r->sentinels) {
        *serial = atomic_load(&r->serial);
        return APR_INT64_MAX;
    }
    recent = note_wanted(r);
    at = atomic_load(&r->confirmed_us);
    if (at < since_us && !(recent && atomic_load(&r->doubt))) {
        pthread_mutex_lock(&r->lock);
        attempts = r->attempts;
        while ((at = atomic_load(&r->confirmed_us)) < since_us &&
               (r->attempts == attempts || !atomic_load(&r->doubt)) &&
               wait_answered(r, deadline_us)) {
        }
        pthread_mutex_unlock(&r->lock);
    }
    *serial = atomic_load(&r->serial);
    return at && at >= since_us ? at : 0;
}

etv_sentinel_e etv_resolver_doubt(etv_resolver_t *r)
{
    return (etv_sentinel_e)atomic_load(&r->doubt);
}

void etv_resolver_kick(etv_resolver_t *r)
{
    if (!atomic_exchange(&r->kicked, 1)) {
        wake(r);
    }
}

void etv_resolver_stop(etv_resolver_t *r)
{
    atomic_store(&r->stopping, 1);
    wake(r);
}

void etv_resolver_destroy(etv_resolver_t *r)
{
    etv_resolver_stop(r);
    release(r);
}
