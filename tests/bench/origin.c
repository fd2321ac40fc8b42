/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The application behind the proxy in the measurements: as fast as a backend can be, and dumb. `GET
 * /json/N` answers N bytes of application/json with Content-Length, always the same ones, ready in
 * memory; each answer is handed to the kernel in one piece, as far as the socket's buffer takes it.
 * It knows no validator and no condition. One thread, epoll, connections kept.
 *
 *   origin PORT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 64, REQUEST_BYTES = 8192, ANSWERS = 16, LONGEST = 64 << 20, SEND_BUFFER = 1 << 20 };

/* Header and body as they are sent. */
typedef struct {
    size_t body_bytes;
    size_t bytes;
    char *text;
} answer_t;

typedef struct {
    int fd;
    size_t got;             /* bytes of the request so far */
    const answer_t *answer; /* what is being sent, or NULL */
    size_t sent;
    char request[REQUEST_BYTES + 1];
} connection_t;

static answer_t answers[ANSWERS];
static size_t n_answers;
static int poller;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* Records with numbers in them: about as compressible as what applications send. */
static void fill(char *to, size_t n)
{
    uint32_t seed = 1;
    size_t at = 0;
    char line[128];

    while (at < n) {
        uint32_t a = seed = seed * 1664525u + 1013904223u;
        uint32_t b = seed = seed * 1664525u + 1013904223u;
        int len = snprintf(line, sizeof(line),
                           "{\"id\": %u, \"name\": \"protein-%08x\", \"ex\": %u, \"em\": %u},\n",
                           (unsigned)at, a, a % 400 + 350, b % 400 + 350);
        size_t part = (size_t)len < n - at ? (size_t)len : n - at;

        memcpy(to + at, line, part);
        at += part;
    }
}

/* The answer of that many bytes, made when first asked for; NULL when there are too many. */
static const answer_t *answer_of(size_t body_bytes)
{
    static const char format[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                 "Cache-Control: max-age=60\r\nContent-Length: %zu\r\n\r\n";
    answer_t *a;
    int head;

    for (size_t i = 0; i < n_answers; i++)
        if (answers[i].body_bytes == body_bytes)
            return &answers[i];
    if (n_answers == ANSWERS || body_bytes > LONGEST)
        return NULL;
    a = &answers[n_answers];
    a->text = malloc(sizeof(format) + 32 + body_bytes);
    if (!a->text)
        return NULL;
    head = sprintf(a->text, format, body_bytes);
    fill(a->text + head, body_bytes);
    a->body_bytes = body_bytes;
    a->bytes = (size_t)head + body_bytes;
    n_answers++;
    return a;
}

static void close_connection(connection_t *c)
{
    close(c->fd);
    free(c);
}

static void watch(connection_t *c, int op, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};

    if (epoll_ctl(poller, op, c->fd, &event) != 0)
        die("epoll_ctl");
}

/* 0: all sent; 1: the kernel takes no more; -1: the connection is broken. */
static int send_rest(connection_t *c)
{
    while (c->sent < c->answer->bytes) {
        ssize_t n = send(c->fd, c->answer->text + c->sent, c->answer->bytes - c->sent,
                         MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0)
            return errno == EAGAIN ? 1 : -1;
        c->sent += (size_t)n;
    }
    c->answer = NULL;
    return 0;
}

static void on_writable(connection_t *c)
{
    int rest = send_rest(c);

    if (rest < 0)
        close_connection(c);
    else if (rest == 0)
        watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

static void on_readable(connection_t *c)
{
    ssize_t n = recv(c->fd, c->request + c->got, REQUEST_BYTES - c->got, MSG_DONTWAIT);
    unsigned long bytes;
    int rest;

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        close_connection(c);
        return;
    }
    c->got += (size_t)n;
    c->request[c->got] = '\0';
    if (!strstr(c->request, "\r\n\r\n")) {
        if (c->got == REQUEST_BYTES)
            close_connection(c);
        return;
    }
    if (sscanf(c->request, "GET /json/%lu ", &bytes) != 1 || !(c->answer = answer_of(bytes))) {
        close_connection(c);
        return;
    }
    c->got = c->sent = 0;
    rest = send_rest(c);
    if (rest < 0)
        close_connection(c);
    else if (rest > 0)
        watch(c, EPOLL_CTL_MOD, EPOLLOUT);
}

static void on_connection(int listener)
{
    int one = 1, size = SEND_BUFFER,
        fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    connection_t *c;

    if (fd < 0)
        return;
    c = calloc(1, sizeof(*c));
    if (!c)
        die("calloc");
    c->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
}

static int listen_on(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 511) != 0)
        die("listen");
    return fd;
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS], listening = {.events = EPOLLIN, .data.ptr = NULL};
    int listener;

    if (argc != 2) {
        fprintf(stderr, "usage: origin PORT\n");
        return 2;
    }
    listener = listen_on((uint16_t)atoi(argv[1]));
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &listening) != 0)
        die("epoll");
    for (;;) {
        int n = epoll_wait(poller, events, EVENTS, -1);

        if (n < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < n; i++) {
            connection_t *c = events[i].data.ptr;

            if (!c)
                on_connection(listener);
            else if (c->answer)
                on_writable(c);
            else
                on_readable(c);
        }
    }
}
