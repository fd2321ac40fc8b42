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

/** Sleep until the socket is ready or the deadline passed. Spurious wake-ups are harmless. */
static etv_conn_e await(etv_redis_conn_t *c, int fd, short events, apr_time_t deadline_us)
{
    apr_interval_time_t left = deadline_us - etv_boottime_us();
    struct pollfd p = {.fd = fd, .events = events};
    struct timespec t;

    if (left <= 0) {
        return fail(c, ETV_CONN_TIMEOUT, APR_TIMEUP);
    }
    t.tv_sec = (time_t)(left / APR_USEC_PER_SEC);
    t.tv_nsec = (long)(left % APR_USEC_PER_SEC) * 1000;
    if (ppoll(&p, 1, &t, NULL) < 0 && errno != EINTR) {
        return fail(c, ETV_CONN_LOST, errno);
    }
    return ETV_CONN_OK;
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
            await(c, -1, 0, again);
        } else if (errno == EINPROGRESS || errno == EINTR) {
            return finish_connect(c, deadline_us);
        } else {
            return fail(c, ETV_CONN_LOST, errno);
        }
    }
}

/** Send what is in c->out from `*sent` on, as far as the socket takes it. */
static etv_conn_e send_some(etv_redis_conn_t *c, apr_size_t *sent)
{
    while (*sent < c->out.len) {
        /* MSG_NOSIGNAL: a host process need not have silenced SIGPIPE. */
        ssize_t n = send(c->fd, c->out.data + *sent, c->out.len - *sent, MSG_NOSIGNAL);

        if (n >= 0) {
            *sent += (apr_size_t)n;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            break;
        } else if (errno != EINTR) {
            return fail(c, ETV_CONN_LOST, errno);
        }
    }
    return ETV_CONN_OK;
}

/** Feed the parser with what has arrived; nothing having arrived is no error. */
static etv_conn_e receive_some(etv_redis_conn_t *c, apr_size_t bytes_most)
{
    char buffer[8192];
    ssize_t n = recv(c->fd, buffer, sizeof(buffer), 0);

    if (n == 0) {
        return fail(c, ETV_CONN_LOST, APR_EOF);
    }
    if (n < 0) {
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR
                   ? ETV_CONN_OK
                   : fail(c, ETV_CONN_LOST, errno);
    }
    c->received += (apr_size_t)n;
    if (c->received > bytes_most) {
        return fail(c, ETV_CONN_OVERSIZE, APR_ENOSPC);
    }
    if (!etv_resp_in_feed(c->in, buffer, (apr_size_t)n)) {
        return fail(c, ETV_CONN_LOST, APR_ENOMEM);
    }
    return ETV_CONN_OK;
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

    if (receive_some(c, bytes_most) == ETV_CONN_OK) {
        parse_some(c, n, list);
    }
    return fail(c, ETV_CONN_LOST, status);
}

etv_conn_e etv_redis_conn_exchange(etv_redis_conn_t *c, apr_size_t n, apr_size_t bytes_most,
                                   apr_time_t deadline_us, etv_resp_t ***replies)
{
    apr_size_t sent = 0;
    etv_resp_t **list;

    c->received = c->replied = 0;
    etv_resp_in_reset(c->in);
    list = etv_resp_in_alloc(c->in, n * sizeof(*list));
    if (!list || c->out.broken) {
        return fail(c, ETV_CONN_LOST, APR_ENOMEM);
    }
    *replies = list;
    while (c->replied < n) {
        etv_conn_e state = send_some(c, &sent);

        if (state != ETV_CONN_OK) {
            return last_words(c, n, bytes_most, list);
        }
        state =
            await(c, c->fd, (short)(sent < c->out.len ? POLLIN | POLLOUT : POLLIN), deadline_us);
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
    return etv_resp_in_left(c->in) ? fail(c, ETV_CONN_GARBLED, APR_EGENERAL) : ETV_CONN_OK;
}
