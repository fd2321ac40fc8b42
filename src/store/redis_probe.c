/* SPDX-License-Identifier: Apache-2.0 */
#include "store/redis_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/boottime.h"
#include "store/redis_conn.h"
#include "store/resolver.h"

#define REPLY_BYTES_MOST 65536

/* --- in a process of its own --- */

static void write_commands(const etv_redis_probe_t *probe, etv_resp_out_t *out)
{
    const char *user = probe->url->user;
    const char *password = probe->password ? probe->password : probe->url->password;

    if (user || password) {
        etv_resp_out_command(out, user ? 3 : 2);
        etv_resp_out_text(out, "AUTH");
        if (user) {
            etv_resp_out_text(out, user);
        }
        etv_resp_out_text(out, password ? password : "");
    }
    etv_resp_out_command(out, 2);
    etv_resp_out_text(out, "INFO");
    etv_resp_out_text(out, "cluster");
}

/** @return 1: a node of a cluster; 0: none, or no answer */
static int ask_one(const etv_redis_probe_t *probe, const etv_redis_addr_t *addr,
                   apr_time_t deadline_us)
{
    etv_redis_conn_t *c = etv_redis_conn_make();
    etv_resp_t **replies = NULL;
    apr_size_t n = probe->url->user || probe->password || probe->url->password ? 2 : 1;
    int is = 0;

    if (c && etv_redis_conn_open(c, addr, deadline_us) == ETV_CONN_OK &&
        (!probe->tls || etv_redis_conn_secure(c, probe->tls, probe->url->host, NULL, deadline_us) ==
                            ETV_CONN_OK)) {
        write_commands(probe, &c->out);
        is =
            etv_redis_conn_exchange(c, n, REPLY_BYTES_MOST, deadline_us, &replies) == ETV_CONN_OK &&
            replies[n - 1]->type == ETV_RESP_STRING &&
            strstr(replies[n - 1]->str, "\ncluster_enabled:1") != NULL;
    }
    etv_redis_conn_free(c);
    return is;
}

static int ask(const etv_redis_probe_t *probe, apr_time_t deadline_us)
{
    etv_redis_addr_t addrs[ETV_RESOLVER_MOST];
    etv_resolver_t *resolver;
    int error;
    int n;

    if (etv_resolver_create(probe->url, NULL, &resolver)) {
        return 0;
    }
    n = etv_resolver_addrs(resolver, deadline_us, addrs, &error);
    for (int i = 0; i < n; i++) {
        apr_time_t now = etv_boottime_us();

        if (ask_one(probe, &addrs[i], now + (deadline_us - now) / (n - i))) {
            return 1;
        }
    }
    return 0;
}

/** Nothing of the process that this one is a copy of may run in it, nor outlive that one. */
static void stand_alone(void)
{
    struct sigaction usual = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int number = 1; number < NSIG; number++) {
        sigaction(number, &usual, NULL);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(2 + (unsigned)apr_time_sec(ETV_REDIS_PROBE_MOST_US));
}

/* --- in the process that asks --- */

typedef struct {
    pid_t pid; /* 0: no process was made */
    int fd;    /* says a byte when the server is a node of a cluster; ends with the process */
} asker_t;

static void start(asker_t *asker, const etv_redis_probe_t *probe, apr_time_t deadline_us)
{
    sigset_t all, before;
    int pipe_fds[2];

    if (pipe2(pipe_fds, O_CLOEXEC)) {
        return;
    }
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    asker->pid = fork();
    if (!asker->pid) {
        stand_alone();
        _exit(ask(probe, deadline_us) && write(pipe_fds[1], "1", 1) == 1 ? 0 : 1);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(pipe_fds[1]);
    if (asker->pid < 0) {
        asker->pid = 0;
        close(pipe_fds[0]);
        return;
    }
    asker->fd = pipe_fds[0];
}

/** What it has said by the deadline; then it is gone. */
static int finish(asker_t *asker, apr_time_t deadline_us)
{
    apr_interval_time_t left;
    int said = 0;
    char byte;

    if (!asker->pid) {
        return 0;
    }
    while ((left = deadline_us - etv_boottime_us()) > 0) {
        struct pollfd p = {.fd = asker->fd, .events = POLLIN};

        if (poll(&p, 1, (int)(left / 1000) + 1) > 0) {
            said = read(asker->fd, &byte, 1) == 1;
            break;
        }
    }
    close(asker->fd);
    kill(asker->pid, SIGKILL);
    while (waitpid(asker->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    return said;
}

void etv_redis_probe(etv_redis_probe_t *probes, int n)
{
    asker_t *askers = calloc((size_t)n + 1, sizeof(*askers));
    apr_time_t now = etv_boottime_us();

    for (int i = 0; i < n; i++) {
        probes[i].is_cluster = 0;
        if (probes[i].timeout_us > ETV_REDIS_PROBE_MOST_US) {
            probes[i].timeout_us = ETV_REDIS_PROBE_MOST_US;
        }
        if (askers) {
            start(&askers[i], &probes[i], now + probes[i].timeout_us);
        }
    }
    for (int i = 0; askers && i < n; i++) {
        probes[i].is_cluster = finish(&askers[i], now + probes[i].timeout_us);
    }
    free(askers);
}
