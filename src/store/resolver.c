/* SPDX-License-Identifier: Apache-2.0 */
#include "store/resolver.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "store/boottime.h"

#define REFRESH_US  apr_time_from_sec(30)
#define KICK_GAP_US apr_time_from_sec(1)

struct etv_resolver_t {
    atomic_int refs; /* the owner and the thread; the last one frees */
    atomic_int stopping;
    atomic_int kicked;
    int wake_fd; /* -1: no thread */
    etv_resolver_lookup_fn *lookup;
    char *host;
    apr_port_t port;

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
        free(r->host);
        free(r);
    }
}

/** getaddrinfo in the shape that is needed here. */
static int look_up(const char *host, apr_port_t port, int flags, etv_redis_addr_t *addrs,
                   int *error)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    struct addrinfo *list = NULL;
    char service[8];
    int n = 0;

    snprintf(service, sizeof(service), "%u", (unsigned)port);
    *error = getaddrinfo(host, service, &hints, &list);
    if (*error) {
        return 0;
    }
    for (struct addrinfo *i = list; i && n < ETV_RESOLVER_MOST; i = i->ai_next) {
        if (i->ai_addrlen <= sizeof(addrs[n].addr)) {
            memcpy(&addrs[n].addr, i->ai_addr, i->ai_addrlen);
            addrs[n++].len = i->ai_addrlen;
        }
    }
    freeaddrinfo(list);
    return n;
}

static int look_up_name(const char *host, apr_port_t port, etv_redis_addr_t *addrs, int *error)
{
    return look_up(host, port, AI_ADDRCONFIG | AI_NUMERICSERV, addrs, error);
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
        memcpy(r->addrs, addrs, (size_t)n * sizeof(addrs[0]));
        r->n = n;
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

static apr_status_t start_thread(etv_resolver_t *r)
{
    pthread_attr_t attr;
    sigset_t all, before;
    pthread_t thread;
    int rv;

    r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->wake_fd < 0) {
        return APR_FROM_OS_ERROR(errno);
    }
    rv = pthread_attr_init(&attr);
    if (rv) {
        return rv;
    }
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    atomic_store(&r->refs, 2);
    /* Signals are the server's business; the thread inherits the mask. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rv = pthread_create(&thread, &attr, run, r);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
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

apr_status_t etv_resolver_create(const etv_store_url_t *url, etv_resolver_lookup_fn *lookup,
                                 etv_resolver_t **resolver)
{
    etv_resolver_t *r = calloc(1, sizeof(*r));
    pthread_condattr_t attr;
    apr_status_t rv = APR_SUCCESS;
    int error;

    if (!r) {
        return APR_ENOMEM;
    }
    atomic_init(&r->refs, 1);
    r->wake_fd = -1;
    r->port = url->port;
    r->lookup = lookup ? lookup : look_up_name;
    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&r->answered, &attr);
    pthread_condattr_destroy(&attr);
    if (url->kind == ETV_STORE_URL_REDIS_UNIX) {
        rv = set_path(r, url->path);
    } else if (!(r->n = look_up(url->host, url->port, AI_NUMERICHOST | AI_NUMERICSERV, r->addrs,
                                &error))) {
        r->host = strdup(url->host);
        rv = r->host ? start_thread(r) : APR_ENOMEM;
    }
    if (rv) {
        release(r);
        return rv;
    }
    *resolver = r;
    return APR_SUCCESS;
}

int etv_resolver_addrs(etv_resolver_t *r, apr_time_t deadline_us,
                       etv_redis_addr_t addrs[ETV_RESOLVER_MOST], int *error)
{
    int n;

    pthread_mutex_lock(&r->lock);
    while (!r->n && !r->attempts) {
        apr_interval_time_t left = deadline_us - etv_boottime_us();
        struct timespec until;

        if (left <= 0) {
            break;
        }
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += (time_t)(left / APR_USEC_PER_SEC);
        until.tv_nsec += (long)(left % APR_USEC_PER_SEC) * 1000;
        if (until.tv_nsec >= 1000000000L) {
            until.tv_sec++;
            until.tv_nsec -= 1000000000L;
        }
        pthread_cond_timedwait(&r->answered, &r->lock, &until);
    }
    n = r->n;
    *error = n ? 0 : r->error;
    memcpy(addrs, r->addrs, (size_t)n * sizeof(addrs[0]));
    pthread_mutex_unlock(&r->lock);
    return n;
}

static void wake(etv_resolver_t *r)
{
    if (r->wake_fd >= 0) {
        eventfd_write(r->wake_fd, 1);
    }
}

void etv_resolver_kick(etv_resolver_t *r)
{
    if (!atomic_exchange(&r->kicked, 1)) {
        wake(r);
    }
}

void etv_resolver_destroy(etv_resolver_t *r)
{
    atomic_store(&r->stopping, 1);
    wake(r);
    release(r);
}
