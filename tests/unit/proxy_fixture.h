/* SPDX-License-Identifier: Apache-2.0 */
/** A proxy between stores and a server, on a unix socket: it holds back what the server says, to
 * all or to those alone who listen for changes, as a slow network does, and cuts connections. */
#ifndef ETV_TESTS_UNIT_PROXY_FIXTURE_H
#define ETV_TESTS_UNIT_PROXY_FIXTURE_H

#include "redis_fixture.h"

#define PROXY_PAIRS 64

typedef struct {
    int client, server; /* -1: free */
    int listens;        /* has subscribed */
} proxy_pair_t;

typedef struct {
    char path[100];
    const char *to;
    int fd;
    pthread_t thread;
    proxy_pair_t pair[PROXY_PAIRS];
    atomic_int stop;
    atomic_int hold_pushes; /* 1: what the server says to those who listen stays here */
    atomic_int hold_all;
    atomic_int refuse;        /* 1: closes new connections at once */
    atomic_int cut_listeners; /* 1: once */
    atomic_int cut_others;    /* 1: once */
    atomic_int accepted;
} proxy_t;

static int proxy_connect(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void proxy_close(proxy_pair_t *pair)
{
    close(pair->client);
    close(pair->server);
    *pair = (proxy_pair_t){-1, -1, 0};
}

static void proxy_accept(proxy_t *x)
{
    int client = accept4(x->fd, NULL, NULL, SOCK_CLOEXEC);
    int server_fd = client >= 0 && !atomic_load(&x->refuse) ? proxy_connect(x->to) : -1;

    atomic_fetch_add(&x->accepted, 1);
    for (int i = 0; server_fd >= 0 && i < PROXY_PAIRS; i++) {
        if (x->pair[i].client < 0) {
            x->pair[i] = (proxy_pair_t){client, server_fd, 0};
            return;
        }
    }
    close(client);
    if (server_fd >= 0) {
        close(server_fd);
    }
}

/** @return 0 when either side has left */
static int proxy_move(proxy_pair_t *pair, int up)
{
    char bytes[65536];
    ssize_t n = recv(up ? pair->client : pair->server, bytes, sizeof(bytes), MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return 1;
    }
    if (n <= 0) {
        return 0;
    }
    if (up && memmem(bytes, (size_t)n, "SUBSCRIBE", 9)) {
        pair->listens = 1;
    }
    return fake_say(up ? pair->server : pair->client, bytes, (apr_size_t)n);
}

static int proxy_holds(proxy_t *x, const proxy_pair_t *pair)
{
    return atomic_load(&x->hold_all) || (pair->listens && atomic_load(&x->hold_pushes));
}

static void proxy_serve(proxy_t *x, proxy_pair_t *pair)
{
    if (!proxy_move(pair, 1) || (!proxy_holds(x, pair) && !proxy_move(pair, 0))) {
        proxy_close(pair);
    }
}

static void proxy_cut(proxy_t *x)
{
    int listeners = atomic_exchange(&x->cut_listeners, 0);
    int others = atomic_exchange(&x->cut_others, 0);

    for (int i = 0; i < PROXY_PAIRS; i++) {
        if (x->pair[i].client >= 0 && (x->pair[i].listens ? listeners : others)) {
            proxy_close(&x->pair[i]);
        }
    }
}

static void *proxy_run(void *baton)
{
    proxy_t *x = baton;

    while (!atomic_load(&x->stop)) {
        struct pollfd fds[1 + 2 * PROXY_PAIRS];

        fds[0] = (struct pollfd){.fd = x->fd, .events = POLLIN};
        for (int i = 0; i < PROXY_PAIRS; i++) {
            int holds = x->pair[i].client >= 0 && proxy_holds(x, &x->pair[i]);

            fds[1 + 2 * i] = (struct pollfd){.fd = x->pair[i].client, .events = POLLIN};
            fds[2 + 2 * i] =
                (struct pollfd){.fd = holds ? -1 : x->pair[i].server, .events = POLLIN};
        }
        poll(fds, 1 + 2 * PROXY_PAIRS, 5);
        proxy_cut(x);
        for (int i = 0; i < PROXY_PAIRS; i++) {
            if (x->pair[i].client >= 0) {
                proxy_serve(x, &x->pair[i]);
            }
        }
        if (fds[0].revents) {
            proxy_accept(x);
        }
    }
    return NULL;
}

static UNUSED void proxy_start(proxy_t *x, const char *to)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    static int count;

    memset(x, 0, sizeof(*x));
    for (int i = 0; i < PROXY_PAIRS; i++) {
        x->pair[i].client = x->pair[i].server = -1;
    }
    x->to = to;
    snprintf(x->path, sizeof(x->path), "%s/proxy-%d-%d", run_dir, (int)getpid(), count++);
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", x->path);
    x->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(x->fd, (struct sockaddr *)&a, sizeof(a)), 0);
    ck_assert_int_eq(listen(x->fd, 64), 0);
    ck_assert_int_eq(pthread_create(&x->thread, NULL, proxy_run, x), 0);
}

static UNUSED void proxy_stop(proxy_t *x)
{
    atomic_store(&x->stop, 1);
    pthread_join(x->thread, NULL);
    for (int i = 0; i < PROXY_PAIRS; i++) {
        if (x->pair[i].client >= 0) {
            proxy_close(&x->pair[i]);
        }
    }
    close(x->fd);
}

#endif
