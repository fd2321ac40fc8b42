/* SPDX-License-Identifier: Apache-2.0 */
/** What the tests of sentinels share: sentinels that say what they are told to say. */
#ifndef ETV_TESTS_SENTINEL_FIXTURE_H
#define ETV_TESTS_SENTINEL_FIXTURE_H

#include <netdb.h>

#include "redis_fixture.h"

#include "etv_check.h"
#include "store/resolver.h"

#define NAME "m"

/* --- what they say --- */

#define FINE    "+OK 1 usable Sentinels.\r\n"
#define ADDRESS "*2\r\n$9\r\n127.0.0.1\r\n$4\r\n7001\r\n"
#define PRIMARY "*4\r\n$4\r\nname\r\n$1\r\nm\r\n$5\r\nflags\r\n$6\r\nmaster\r\n"
#define FLAGS(n, text)                                                                             \
    FINE ADDRESS "*4\r\n$4\r\nname\r\n$1\r\nm\r\n$5\r\nflags\r\n$" n "\r\n" text "\r\n"
#define UNKNOWN "-ERR No such master with that name\r\n"
#define NO_CMD  "-ERR unknown command 'SENTINEL'\r\n"
#define DENIED  "-NOPERM this user has no permissions\r\n"

/* --- sentinels --- */

typedef struct {
    fake_t fake;
    pthread_mutex_t lock;
    char says[1024];  /* lock; empty: nothing, ever */
    char login[256];  /* lock; what AUTH must hold; empty: none is needed */
    atomic_int asked; /* complete questions */
} sentinel_t;

static UNUSED void say_on(sentinel_t *s, int fd, int *let_in, const char *heard)
{
    char text[1024];

    pthread_mutex_lock(&s->lock);
    if (strstr(heard, "$4\r\nAUTH\r\n")) {
        *let_in = *s->login && strstr(heard, s->login);
        snprintf(text, sizeof(text), *let_in ? "+OK\r\n" : "-WRONGPASS no\r\n");
    } else if (*s->login && !*let_in) {
        snprintf(text, sizeof(text),
                 "-NOAUTH Authentication required.\r\n-NOAUTH x\r\n-NOAUTH x\r\n");
    } else {
        snprintf(text, sizeof(text), "%s", s->says);
    }
    pthread_mutex_unlock(&s->lock);
    atomic_fetch_add(&s->asked, 1);
    fake_say(fd, text, strlen(text));
}

/** Whether a whole question has come: it ends with that for the primary, or is a login. */
static UNUSED int is_whole(const char *heard)
{
    return strstr(heard, "$6\r\nMASTER\r\n$1\r\n" NAME "\r\n") ||
           (strstr(heard, "AUTH\r\n") && strstr(heard, "\r\n\r\n") == NULL &&
            heard[strlen(heard) - 1] == '\n');
}

static UNUSED void serve_sentinel(fake_t *f, int fd)
{
    sentinel_t *s = (sentinel_t *)f;
    char heard[4096];
    size_t len = 0;
    int let_in = 0;

    while (!atomic_load(&f->stop)) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t n;

        if (poll(&p, 1, 20) <= 0) {
            continue;
        }
        n = recv(fd, heard + len, sizeof(heard) - 1 - len, 0);
        if (n <= 0) {
            return;
        }
        len += (size_t)n;
        heard[len] = '\0';
        if (is_whole(heard)) {
            say_on(s, fd, &let_in, heard);
            len = 0;
        }
    }
}

static UNUSED void sentinel_says(sentinel_t *s, const char *text)
{
    pthread_mutex_lock(&s->lock);
    snprintf(s->says, sizeof(s->says), "%s", text);
    pthread_mutex_unlock(&s->lock);
}

/** It trusts a primary at 127.0.0.1, or a host name, with these flags. */
static UNUSED void sentinel_names(sentinel_t *s, const char *host, int port, const char *flags)
{
    char text[1024];
    char digits[8];

    snprintf(digits, sizeof(digits), "%d", port);
    snprintf(text, sizeof(text),
             "+OK 3 usable Sentinels. Quorum and failover authorization can be reached\r\n"
             "*2\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n"
             "*4\r\n$4\r\nname\r\n$1\r\n" NAME "\r\n$5\r\nflags\r\n$%zu\r\n%s\r\n",
             strlen(host), host, strlen(digits), digits, strlen(flags), flags);
    sentinel_says(s, text);
}

static UNUSED void sentinel_start(sentinel_t *s)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);

    memset(s, 0, sizeof(*s));
    pthread_mutex_init(&s->lock, NULL);
    s->fake.serve = serve_sentinel;
    s->fake.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(s->fake.fd, (struct sockaddr *)&a, sizeof(a)), 0);
    ck_assert_int_eq(getsockname(s->fake.fd, (struct sockaddr *)&a, &len), 0);
    ck_assert_int_eq(listen(s->fake.fd, 64), 0);
    s->fake.port = ntohs(a.sin_port);
    sentinel_names(s, "127.0.0.1", 7001, "master");
    ck_assert_int_eq(pthread_create(&s->fake.thread, NULL, fake_run, &s->fake), 0);
}

static UNUSED void sentinel_stop(sentinel_t *s)
{
    fake_stop(&s->fake);
    pthread_mutex_destroy(&s->lock);
}

/* --- names --- */

static atomic_int no_names;

static UNUSED int look_up(const char *host, apr_port_t port, etv_redis_addr_t *addrs, int *error)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&addrs[0].addr;

    *error = EAI_NONAME;
    if (atomic_load(&no_names) || strcmp(host, "host.test")) {
        return 0;
    }
    memset(in, 0, sizeof(*in));
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    in->sin_port = htons(port);
    addrs[0].len = sizeof(*in);
    return 1;
}

/* --- addresses of stores --- */

typedef struct {
    etv_store_url_t url;
    etv_store_host_t hosts[4];
} address_t;

static UNUSED void address_of(address_t *a, sentinel_t *const *list, const char *host)
{
    memset(a, 0, sizeof(*a));
    a->url.kind = ETV_STORE_URL_REDIS_SENTINEL;
    a->url.master = NAME;
    a->url.sentinels = a->hosts;
    for (; *list; list++) {
        a->hosts[a->url.n_sentinels].host = host;
        a->hosts[a->url.n_sentinels++].port = (apr_port_t)(*list)->fake.port;
    }
}

#endif
