/* SPDX-License-Identifier: Apache-2.0 */
#include "store/redis_conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/boottime.h"

/** A unix socket whose backlog is full refuses at once; it is asked again after this time. */
#define BACKLOG_RETRY_US 2000

etv_redis_conn_t *etv_redis_conn_make(void)
{
    etv_redis_conn_t *c = calloc(1, sizeof(*c));

    if (c) {
        c->fd = -1;
        c->in = etv_resp_in_make();
        if (!c->in) {
            free(c);
            c = NULL;
        }
    }
    return c;
}

static void hang_up(etv_redis_conn_t *c)
{
    etv_tls_link_free(c->tls);
    c->tls = NULL;
    if (c->fd >= 0) {
        close(c->fd);
        c->fd = -1;
    }
}

void etv_redis_conn_free(etv_redis_conn_t *c)
{
    if (c) {
        hang_up(c);
        etv_resp_out_free(&c->out);
        etv_resp_in_free(c->in);
        free(c);
    }
}

static etv_conn_e fail(etv_redis_conn_t *c, etv_conn_e what, apr_status_t status)
{
    c->status = status;
    return what;
}

/** Sleep once, at most `left`. @return as ppoll */
static int sleep_once(struct pollfd *fds, nfds_t n, apr_interval_time_t left)
{
    struct timespec t = {.tv_sec = (time_t)(left / APR_USEC_PER_SEC),
                         .tv_nsec = (long)(left % APR_USEC_PER_SEC) * 1000};

    return ppoll(fds, n, &t, NULL);
}

/** Sleep until the socket is ready or the deadline passed. Spurious wake-ups are harmless. */
static etv_conn_e await(etv_redis_conn_t *c, int fd, short events, apr_time_t deadline_us)
{
    const etv_conn_watch_t *watch = c->watch;
    struct pollfd fds[2] = {{.fd = fd, .events = events},
                            {.fd = watch ? watch->wake_fd : -1, .events = POLLIN}};

    for (;;) {
        apr_interval_time_t left = deadline_us - etv_boottime_us();
        int ready;

        if (left <= 0) {
            return fail(c, ETV_CONN_TIMEOUT, APR_TIMEUP);
        }
        if (watch && left > watch->every_us) {
            left = watch->every_us;
        }
        ready = sleep_once(fds, 2, left);
        if (watch) { /* also when a peer drips */
            watch->tick(watch->baton);
        }
        if (ready < 0 && errno != EINTR) {
            return fail(c, ETV_CONN_LOST, errno);
        }
        if (ready > 0 && fds[1].revents) {
            return fail(c, ETV_CONN_STOPPED, APR_EINTR);
        }
        if (!watch || ready > 0) {
            return ETV_CONN_OK;
        }
    }
}

/** Wait for a connect that was begun. */
static etv_conn_e finish_connect(etv_redis_conn_t *c, apr_time_t deadline_us)
{
    for (;;) {
        struct pollfd p = {.fd = c->fd, .events = POLLOUT};
        etv_conn_e state = await(c, c->fd, POLLOUT, deadline_us);
        socklen_t len = sizeof(int);
        int error = 0;

        if (state != ETV_CONN_OK) {
            return state;
        }
        if (poll(&p, 1, 0) <= 0) {
            continue;
        }
        if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0) {
            error = errno;
        }
        return error ? fail(c, ETV_CONN_LOST, error) : ETV_CONN_OK;
    }
}

etv_conn_e etv_redis_conn_open(etv_redis_conn_t *c, const etv_redis_addr_t *to,
                               apr_time_t deadline_us)
{
    int family = to->addr.ss_family;
    int on = 1;

    hang_up(c);
    c->peer = *to;
    c->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        return fail(c, ETV_CONN_LOST, errno);
    }
    if (family != AF_UNIX) {
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        setsockopt(c->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    }
    for (;;) {
        if (connect(c->fd, (const struct sockaddr *)&to->addr, to->len) == 0) {
            return ETV_CONN_OK;
        }
        if (errno == EAGAIN && family == AF_UNIX) {
            apr_time_t again = etv_boottime_us() + BACKLOG_RETRY_US;

            if (again >= deadline_us) {
                return fail(c, ETV_CONN_TIMEOUT, APR_TIMEUP);
            }
            if (await(c, -1, 0, again) == ETV_CONN_STOPPED) {
                return ETV_CONN_STOPPED;
            }
        } else if (errno == EINPROGRESS || errno == EINTR) {
            return finish_connect(c, deadline_us);
        } else {
            return fail(c, ETV_CONN_LOST, errno);
        }
    }
}

/* --- TLS --- */

/** What TLS says, as what a connection says. Waiting is no failure. */
static etv_conn_e of_tls(etv_redis_conn_t *c, etv_tls_e outcome)
{
    switch (outcome) {
    case ETV_TLS_LOST:
        return fail(c, ETV_CONN_LOST, etv_tls_link_status(c->tls));
    case ETV_TLS_FAILED:
        c->why = etv_tls_link_why(c->tls);
        return fail(c, ETV_CONN_TLS, APR_EGENERAL);
    case ETV_TLS_DONE:
    case ETV_TLS_WANTS_READ:
    case ETV_TLS_WANTS_WRITE:
        break;
    }
    return ETV_CONN_OK;
}

etv_conn_e etv_redis_conn_secure(etv_redis_conn_t *c, const etv_redis_tls_t *tls, const char *host,
                                 const char *other, apr_time_t deadline_us)
{
    c->tls = etv_tls_link_make(tls, host, other, c->fd);
    if (!c->tls) {
        return fail(c, ETV_CONN_LOST, APR_ENOMEM);
    }
    for (;;) {
        etv_tls_e outcome = etv_tls_link_handshake(c->tls);
        etv_conn_e state = of_tls(c, outcome);

        if (state != ETV_CONN_OK || outcome == ETV_TLS_DONE) {
            return state;
        }
        state = await(c, c->fd, outcome == ETV_TLS_WANTS_READ ? POLLIN : POLLOUT, deadline_us);
        if (state == ETV_CONN_TIMEOUT) {
            /* What does not speak TLS may wait for the end of a line that never comes. */
            c->why = "no answer in time to the handshake: does the server speak TLS there?";
            return fail(c, ETV_CONN_TLS, APR_TIMEUP);
        }
        if (state != ETV_CONN_OK) {
            return state;
        }
    }
}

/* --- bytes --- */

/** Send a part, without waiting. @param n  out: how much was taken; 0: nothing now */
static etv_conn_e send_part(etv_redis_conn_t *c, const char *bytes, apr_size_t len, apr_size_t *n)
{
    ssize_t sent;

    *n = 0;
    if (c->tls) {
        return of_tls(c, etv_tls_link_send(c->tls, bytes, len, n));
    }
    do {
        /* MSG_NOSIGNAL: a host process need not have silenced SIGPIPE. */
        sent = send(c->fd, bytes, len, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0) {
        *n = (apr_size_t)sent;
        return ETV_CONN_OK;
    }
    return errno == EAGAIN || errno == EWOULDBLOCK ? ETV_CONN_OK : fail(c, ETV_CONN_LOST, errno);
}

/** Take a part of what has arrived. @param n  out: how much; 0: nothing now */
static etv_conn_e receive_part(etv_redis_conn_t *c, char *buffer, apr_size_t len, apr_size_t *n)
{
    ssize_t received;

    *n = 0;
    if (c->tls) {
        return of_tls(c, etv_tls_link_receive(c->tls, buffer, len, n));
    }
    received = recv(c->fd, buffer, len, 0);
    if (received > 0) {
        *n = (apr_size_t)received;
        return ETV_CONN_OK;
    }
    if (received == 0) {
        return fail(c, ETV_CONN_LOST, APR_EOF);
    }
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR
               ? ETV_CONN_OK
               : fail(c, ETV_CONN_LOST, errno);
}

etv_conn_e etv_redis_conn_send(etv_redis_conn_t *c)
{
    while (c->sent < c->out.len) {
        apr_size_t n;
        etv_conn_e state = send_part(c, c->out.data + c->sent, c->out.len - c->sent, &n);

        if (state != ETV_CONN_OK) {
            return state;
        }
        if (!n) {
            break;
        }
        c->sent += n;
    }
    return ETV_CONN_OK;
}

/**
 * Feed the parser with what has arrived; nothing having arrived is no error. What TLS has decoded
 * already is taken in full, since nobody who waits for the socket would hear of it.
 */
static etv_conn_e receive_some(etv_redis_conn_t *c, apr_size_t bytes_most)
{
    char buffer[8192];

    do {
        apr_size_t n;
        etv_conn_e state = receive_part(c, buffer, sizeof(buffer), &n);

        if (state != ETV_CONN_OK || !n) {
            return state;
        }
        c->received += n;
        if (c->received > bytes_most) {
            return fail(c, ETV_CONN_OVERSIZE, APR_ENOSPC);
        }
        if (!etv_resp_in_feed(c->in, buffer, n)) {
            return fail(c, ETV_CONN_LOST, APR_ENOMEM);
        }
    } while (c->tls && etv_tls_link_pending(c->tls));
    return ETV_CONN_OK;
}

etv_conn_e etv_redis_conn_receive(etv_redis_conn_t *c, apr_size_t bytes_most)
{
    apr_size_t before;
    etv_conn_e state;

    c->received = 0;
    do {
        before = c->received;
        state = receive_some(c, bytes_most);
    } while (state == ETV_CONN_OK && c->received > before);
    return state;
}

/** Take complete replies out of what has arrived, up to `n` in all. */
static etv_conn_e parse_some(etv_redis_conn_t *c, apr_size_t n, etv_resp_t **list)
{
    etv_resp_next_e next = ETV_RESP_MORE;

    while (c->replied < n && (next = etv_resp_in_next(c->in, &list[c->replied])) == ETV_RESP_ONE) {
        c->replied++;
    }
    return next == ETV_RESP_GARBLED ? fail(c, ETV_CONN_GARBLED, APR_EGENERAL) : ETV_CONN_OK;
}

/** The peer closed before it read: its reason may have arrived nevertheless. */
static etv_conn_e last_words(etv_redis_conn_t *c, apr_size_t n, apr_size_t bytes_most,
                             etv_resp_t **list)
{
    apr_status_t status = c->status;

    etv_conn_e state = receive_some(c, bytes_most);

    if (state == ETV_CONN_TLS) {
        return state;
    }
    if (state == ETV_CONN_OK) {
        parse_some(c, n, list);
    }
    return fail(c, ETV_CONN_LOST, status);
}

etv_conn_e etv_redis_conn_exchange(etv_redis_conn_t *c, apr_size_t n, apr_size_t bytes_most,
                                   apr_time_t deadline_us, etv_resp_t ***replies)
{
    etv_resp_t **list;

    c->sent = 0;
    c->received = c->replied = 0;
    etv_resp_in_reset(c->in);
    list = etv_resp_in_alloc(c->in, n * sizeof(*list));
    if (!list || c->out.broken) {
        return fail(c, ETV_CONN_LOST, APR_ENOMEM);
    }
    *replies = list;
    while (c->replied < n) {
        etv_conn_e state = etv_redis_conn_send(c);

        if (state != ETV_CONN_OK) {
            return last_words(c, n, bytes_most, list);
        }
        state = await(c, c->fd, (short)(etv_redis_conn_unsent(c) ? POLLIN | POLLOUT : POLLIN),
                      deadline_us);
        if (state == ETV_CONN_OK) {
            state = receive_some(c, bytes_most);
        }
        if (state == ETV_CONN_OK) {
            state = parse_some(c, n, list);
        }
        if (state != ETV_CONN_OK) {
            return state;
        }
    }
    etv_resp_out_reset(&c->out);
    c->sent = 0;
    return etv_resp_in_left(c->in) ? fail(c, ETV_CONN_GARBLED, APR_EGENERAL) : ETV_CONN_OK;
}
