/* SPDX-License-Identifier: Apache-2.0 */
/** Certificates of all kinds, and redis-servers that show them. Behind redis_fixture.h. */
#ifndef ETV_TESTS_TLS_FIXTURE_H
#define ETV_TESTS_TLS_FIXTURE_H

#include <openssl/err.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#include "redis_fixture.h"
#include "store/redis_conn.h"
#include "store/redis_tls.h"

#define EC "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"

static void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void shell(const char *format, ...)
{
    char command[1024];
    char line[1200];
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    snprintf(line, sizeof(line), "cd '%s' && { %s; } >>openssl.log 2>&1 </dev/null", run_dir,
             command);
    ck_assert_msg(system(line) == 0, "%s", command);
}

static void make_authority(const char *ca)
{
    shell("openssl req -x509 " EC " -keyout %s.key -out %s.crt -subj '/CN=%s' -days 2", ca, ca, ca);
}

static void make_certificate(const char *ca, const char *name, const char *alternative, int days)
{
    shell("openssl req " EC " -keyout %s.key -out %s.csr -subj '/CN=%s'", name, name, name);
    shell("printf 'subjectAltName=%s' >%s.ext", alternative, name);
    shell("openssl x509 -req -in %s.csr -CA %s.crt -CAkey %s.key -set_serial %d -extfile %s.ext "
          "-out %s.crt -days %d",
          name, ca, ca, (int)strlen(name) + 10, name, name, days);
}

static const char *file(const char *name)
{
    return apr_pstrcat(pool, run_dir, "/", name, NULL);
}

/* --- servers --- */

typedef struct {
    server_t server;
    int port;
    char name[32], cert[96], key[96], ca[96], tls_port[16];
    const char *args[16];
} tls_server_t;

/** @param clients  yes: only with a certificate of ca.crt */
static int is_listening(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int done;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    done = fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0;
    if (fd >= 0)
        close(fd);
    return done;
}

static void tls_server_start(tls_server_t *s, const char *cert, const char *clients,
                             const char *protocols)
{
    const char *args[] = {"--tls-port",
                          s->tls_port,
                          "--tls-cert-file",
                          s->cert,
                          "--tls-key-file",
                          s->key,
                          "--tls-ca-cert-file",
                          s->ca,
                          "--tls-auth-clients",
                          clients,
                          "--tls-protocols",
                          protocols,
                          NULL};

    /* Whoever else looks for a free port at that moment may get the same one. */
    for (int tries = 0; tries < 5; tries++) {
        s->port = free_port();
        snprintf(s->tls_port, sizeof(s->tls_port), "%d", s->port);
        snprintf(s->cert, sizeof(s->cert), "%s/%s.crt", run_dir, cert);
        snprintf(s->key, sizeof(s->key), "%s/%s.key", run_dir, cert);
        snprintf(s->ca, sizeof(s->ca), "%s/ca.crt", run_dir);
        memcpy(s->args, args, sizeof(args));
        /* Each has a socket of its own, also where tests share a process. */
        snprintf(s->name, sizeof(s->name), "tls-%d", s->port);
        server_start(&s->server, s->name, 0, s->args);
        if (is_listening(s->port))
            return;
        server_kill(&s->server);
    }
    ck_abort_msg("no port for a server");
}

static tls_server_t good;

static void tls_suite_setup(void)
{
    make_authority("ca");
    make_authority("other");
    make_certificate("ca", "good", "DNS:localhost,IP:127.0.0.1", 2);
    make_certificate("ca", "wrong", "DNS:elsewhere.example,DNS:*.redis.example,IP:127.0.0.2", 2);
    make_certificate("ca", "expired", "DNS:localhost", 0);
    make_certificate("other", "foreign", "DNS:localhost", 2);
    make_certificate("ca", "client", "DNS:client", 2);
    tls_server_start(&good, "good", "no", "TLSv1.2 TLSv1.3");
}

static void tls_suite_teardown(void)
{
    server_kill(&good.server);
}

static void tls_setup(void)
{
    pool_setup();
    redisFree(good.server.admin);
    good.server.admin = redisConnectUnix(good.server.path);
    tell(&good.server, "FLUSHALL");
}

static void tls_teardown(void)
{
    redisFree(good.server.admin);
    good.server.admin = NULL;
    pool_teardown();
}

static settings_t settings_tls(const char *host, int port, const char *client)
{
    settings_t s = settings_tcp(host, port);
    etv_redis_tls_t *tls = NULL;
    const char *wrong;

    if (RUNNING_ON_VALGRIND) { /* where a handshake takes seconds */
        s.config.connect_timeout_us = s.config.command_timeout_us = MS(30000);
    }
    s.url.tls = 1;
    s.url.ca = file("ca.crt");
    if (client) {
        s.url.cert = file(apr_pstrcat(pool, client, ".crt", NULL));
        s.url.key = file(apr_pstrcat(pool, client, ".key", NULL));
    }
    wrong = etv_redis_tls_load(pool, &s.url, &tls);
    ck_assert_msg(!wrong, "%s", wrong);
    s.config.tls = tls;
    return s;
}

#endif
