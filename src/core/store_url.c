/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store_url.h"

#include <string.h>
#include <strings.h>
#include <arpa/inet.h>
#include <sys/un.h>

#include <apr_strings.h>

#include "core/http_text.h"

#define DB_MOST       999999
#define PORT_MOST     65535
#define PORT_DEFAULT  6379
#define PORT_SENTINEL 26379
#define HOST_MOST_LEN 253 /* RFC 1035 §2.3.4, without the final dot */
#define NAME_MOST_LEN 128 /* of a primary, among sentinels */
#define PATH_MOST_LEN (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

#define ACCEPTED                                                                                   \
    "accepted are \"local\", \"redis://[user:pass@]host[:port][/db]\", "                           \
    "\"rediss://[user:pass@]host[:port][/db][?ca=file&cert=file&key=file]\" (TLS), "               \
    "\"redis+unix://[user:pass@]/path[?db=N]\" and "                                               \
    "\"redis+sentinel://[user:pass@]host[:port],.../primary-name[/db]\""

#define ESCAPED "in a user or password @ / ? # are written as %40 %2F %3F %23"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"

/* What is being parsed, and the sentence once something is wrong. */
typedef struct {
    apr_pool_t *p;
    const char *text;
    etv_store_url_t *url;
} parse_t;

static const char *wrong(const parse_t *parse, const char *what)
{
    return apr_psprintf(parse->p, "\"%s\": %s; %s", etv_store_url_redact(parse->p, parse->text),
                        what, ACCEPTED);
}

/* RFC 3986 §2.1. NULL when an escape is not % and two hex digits, or gives a NUL. */
static const char *percent_decoded(apr_pool_t *p, const char *text, apr_size_t len)
{
    char *out = apr_palloc(p, len + 1);
    char *at = out;

    for (apr_size_t i = 0; i < len; i++) {
        int high, low;

        if (text[i] != '%') {
            *at++ = text[i];
            continue;
        }
        if (len - i < 3 || (high = etv_http_text_hex(text[i + 1])) < 0 ||
            (low = etv_http_text_hex(text[i + 2])) < 0 || high + low == 0) {
            return NULL;
        }
        *at++ = (char)(high * 16 + low);
        i += 2;
    }
    *at = '\0';
    return out;
}

/* For the canonical form: whatever could be read as something else, or hurt a log, is escaped. */
static const char *percent_encoded(apr_pool_t *p, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    char *out = apr_palloc(p, 3 * strlen(text) + 1);
    char *at = out;

    for (; *text; text++) {
        if (strchr(LOWER UPPER DIGIT "/-._~", *text)) {
            *at++ = *text;
        } else {
            *at++ = '%';
            *at++ = hex[(unsigned char)*text >> 4];
            *at++ = hex[(unsigned char)*text & 15];
        }
    }
    *at = '\0';
    return out;
}

/* A whole number of digits only; -1 when it is none or more than `most`. */
static int number(const char *text, apr_size_t len, int most)
{
    int n = 0;

    if (len == 0) {
        return -1;
    }
    for (apr_size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return -1;
        }
        n = n * 10 + (text[i] - '0');
        if (n > most) {
            return -1;
        }
    }
    return n;
}

/* `user:pass`, `:pass` or `user`; the password of the last comes from elsewhere. */
static const char *parse_userinfo(const parse_t *parse, const char *info, apr_size_t len)
{
    const char *colon = memchr(info, ':', len);
    apr_size_t user_len = colon ? (apr_size_t)(colon - info) : len;
    const char *user = percent_decoded(parse->p, info, user_len);
    const char *password = NULL;

    if (colon) {
        password = percent_decoded(parse->p, colon + 1, len - user_len - 1);
    }
    if (!user || (colon && !password)) {
        return wrong(parse, "a % in the user or password must be written as %25, and %00 is not "
                            "allowed");
    }
    if (len == 0) {
        return wrong(parse, "the user and password before the @ are empty");
    }
    if (password && !*password) {
        return wrong(parse, "the password is empty");
    }
    parse->url->user = *user ? user : NULL;
    parse->url->password = password;
    return NULL;
}

static const char *parse_port(const parse_t *parse, const char *text, apr_size_t len,
                              etv_store_host_t *to)
{
    int port = number(text, len, PORT_MOST);

    if (port < 1) {
        return wrong(parse, "the port must be a whole number from 1 to 65535");
    }
    to->port = (apr_port_t)port;
    return NULL;
}

static const char *parse_v6(const parse_t *parse, const char *text, apr_size_t len,
                            etv_store_host_t *to, const char **after)
{
    const char *close = memchr(text, ']', len);
    unsigned char address[sizeof(struct in6_addr)];
    char *host;

    if (!close) {
        return wrong(parse, "the ] behind the IPv6 address is missing");
    }
    host = apr_pstrmemdup(parse->p, text + 1, (apr_size_t)(close - text) - 1);
    if (inet_pton(AF_INET6, host, address) != 1) {
        return wrong(parse, "between [ and ] an IPv6 address is expected");
    }
    /* One spelling for one address (RFC 5952). */
    to->host =
        inet_ntop(AF_INET6, address, apr_palloc(parse->p, INET6_ADDRSTRLEN), INET6_ADDRSTRLEN);
    *after = close + 1;
    return NULL;
}

static const char *parse_name(const parse_t *parse, const char *text, apr_size_t len,
                              etv_store_host_t *to, const char **after)
{
    char *host;

    if (len == 0) {
        return wrong(parse, "the host is missing");
    }
    if (len > HOST_MOST_LEN) {
        return wrong(parse, "the host is longer than 253 characters");
    }
    host = apr_pstrmemdup(parse->p, text, len);
    if (strspn(host, LOWER UPPER DIGIT "-._") != len) {
        return wrong(parse, "a host consists of letters, digits, \"-\", \".\" and \"_\", an IPv6 "
                            "address stands in [ ], and in a password @ / ? # are written as %40 "
                            "%2F %3F %23");
    }
    for (char *c = host; *c; c++) {
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + ('a' - 'A') : *c);
    }
    to->host = host;
    *after = text + len;
    return NULL;
}

/* `to->port` holds the port that is taken when none is given. */
static const char *parse_host_port(const parse_t *parse, const char *text, apr_size_t len,
                                   etv_store_host_t *to)
{
    const char *end = text + len;
    const char *after = end;
    const char *error;

    if (len && *text == '[') {
        error = parse_v6(parse, text, len, to, &after);
    } else {
        const char *colon = memchr(text, ':', len);

        error = parse_name(parse, text, colon ? (apr_size_t)(colon - text) : len, to, &after);
    }
    if (error || after == end) {
        return error;
    }
    if (*after != ':') {
        return wrong(parse, "behind the ] only a colon and the port may stand");
    }
    return parse_port(parse, after + 1, (apr_size_t)(end - after) - 1, to);
}

static const char *parse_db(const parse_t *parse, const char *text, apr_size_t len)
{
    parse->url->db = number(text, len, DB_MOST);
    return parse->url->db < 0 ? wrong(parse, "the database must be a whole number from 0 to 999999")
                              : NULL;
}

/*
 * What stands between `://` and the first of / ? #: user and password are read, `*hosts` is what
 * follows them, up to `*end`.
 */
static const char *parse_authority(const parse_t *parse, const char *rest, const char **hosts,
                                   const char **end)
{
    apr_size_t len = strcspn(rest, "/?#");
    const char *at = memchr(rest, '@', len);

    *end = rest + len;
    *hosts = at ? at + 1 : rest;
    if (strchr(*end, '@') || memchr(*hosts, '@', (apr_size_t)(*end - *hosts))) {
        return wrong(parse, ESCAPED);
    }
    return at ? parse_userinfo(parse, rest, (apr_size_t)(at - rest)) : NULL;
}

/* One parameter of `rediss://`. */
static const char *parse_file(const parse_t *parse, const char *text, apr_size_t len)
{
    etv_store_url_t *url = parse->url;
    const struct {
        const char *name;
        const char **to;
    } files[] = {{"ca=", &url->ca}, {"cert=", &url->cert}, {"key=", &url->key}};

    for (apr_size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        apr_size_t name_len = strlen(files[i].name);
        const char *path;

        if (len < name_len || strncmp(text, files[i].name, name_len) != 0) {
            continue;
        }
        if (*files[i].to) {
            return wrong(parse, "ca, cert and key may each stand once behind the \"?\"");
        }
        path = percent_decoded(parse->p, text + name_len, len - name_len);
        if (!path) {
            return wrong(parse, "a % in the name of a file must be written as %25, and %00 is not "
                                "allowed");
        }
        if (path[0] != '/' || path[strlen(path) - 1] == '/') {
            return wrong(parse, "ca, cert and key are absolute names of files, as in "
                                "?ca=/etc/ssl/redis.pem");
        }
        *files[i].to = path;
        return NULL;
    }
    return wrong(parse, "behind the \"?\" only ca=file, cert=file and key=file may stand");
}

/* What follows the "?" of `rediss://`. */
static const char *parse_files(const parse_t *parse, const char *query)
{
    const char *error = NULL;

    for (;;) {
        apr_size_t len = strcspn(query, "&");

        error = parse_file(parse, query, len);
        if (error || !query[len]) {
            break;
        }
        query += len + 1;
    }
    if (!error && !parse->url->cert != !parse->url->key) {
        error = wrong(parse, "cert (the client's certificate) and key (its private key) need each "
                             "other");
    }
    return error;
}

/* What follows `redis://` or `rediss://`. */
static const char *parse_tcp(const parse_t *parse, const char *rest)
{
    etv_store_url_t *url = parse->url;
    etv_store_host_t host = {NULL, PORT_DEFAULT};
    const char *hosts, *path, *query;
    const char *error = parse_authority(parse, rest, &hosts, &path);

    url->kind = ETV_STORE_URL_REDIS_TCP;
    if (error || (error = parse_host_port(parse, hosts, (apr_size_t)(path - hosts), &host))) {
        return error;
    }
    url->host = host.host;
    url->port = host.port;
    if (strchr(path, '#') || (!url->tls && strchr(path, '?'))) {
        return wrong(parse, url->tls ? "a # in the name of a file is written as %23"
                                     : "redis:// takes nothing behind \"?\" or \"#\", the database "
                                       "is written as /N");
    }
    query = path + strcspn(path, "?");
    if (query > path + 1 && (error = parse_db(parse, path + 1, (apr_size_t)(query - path) - 1))) {
        return error;
    }
    if (*query && (error = parse_files(parse, query + 1))) {
        return error;
    }
    url->canonical =
        apr_psprintf(parse->p, strchr(url->host, ':') ? "%s://[%s]:%d/%d" : "%s://%s:%d/%d",
                     url->tls ? "rediss" : "redis", url->host, (int)url->port, url->db);
    return NULL;
}

/* `host[:port],host[:port]…`; `*shown` becomes the same in its canonical form. */
static const char *parse_sentinels(const parse_t *parse, const char *text, const char *end,
                                   const char **shown)
{
    etv_store_host_t *list =
        apr_pcalloc(parse->p, ETV_STORE_URL_SENTINELS_MOST * sizeof(etv_store_host_t));
    int n = 0;

    *shown = "";
    parse->url->sentinels = list;
    for (;;) {
        const char *comma = memchr(text, ',', (apr_size_t)(end - text));
        const char *stop = comma ? comma : end;
        etv_store_host_t *to = &list[n];
        const char *error;

        if (n == ETV_STORE_URL_SENTINELS_MOST) {
            return wrong(parse, "these are more than 16 sentinels");
        }
        to->port = PORT_SENTINEL;
        if ((error = parse_host_port(parse, text, (apr_size_t)(stop - text), to))) {
            return error;
        }
        for (int i = 0; i < n; i++) {
            if (list[i].port == to->port && strcmp(list[i].host, to->host) == 0) {
                return wrong(parse, "one of the sentinels stands there twice");
            }
        }
        *shown = apr_psprintf(parse->p, strchr(to->host, ':') ? "%s%s[%s]:%d" : "%s%s%s:%d", *shown,
                              n ? "," : "", to->host, (int)to->port);
        parse->url->n_sentinels = ++n;
        if (!comma) {
            return NULL;
        }
        text = comma + 1;
    }
}

/* What follows `redis+sentinel://`. */
static const char *parse_sentinel(const parse_t *parse, const char *rest)
{
    etv_store_url_t *url = parse->url;
    const char *hosts, *path, *shown;
    const char *error = parse_authority(parse, rest, &hosts, &path);
    apr_size_t len;

    url->kind = ETV_STORE_URL_REDIS_SENTINEL;
    if (error || (error = parse_sentinels(parse, hosts, path, &shown))) {
        return error;
    }
    if (strpbrk(path, "?#")) {
        return wrong(parse,
                     "redis+sentinel:// takes nothing behind \"?\" or \"#\", the database is "
                     "written as /N behind the name of the primary");
    }
    len = *path ? strcspn(path + 1, "/") : 0;
    if (len == 0) {
        return wrong(parse, "behind the sentinels the name of the primary that they watch is "
                            "missing, as in redis+sentinel://a,b,c/mymaster");
    }
    url->master = apr_pstrmemdup(parse->p, path + 1, len);
    if (len > NAME_MOST_LEN || strspn(url->master, LOWER UPPER DIGIT ".-_:") != len) {
        return wrong(parse, "the name of the primary consists of at most 128 letters, digits, "
                            "\".\", \"-\", \"_\" and \":\"");
    }
    path += 1 + len;
    if (path[0] && path[1] && (error = parse_db(parse, path + 1, strlen(path + 1)))) {
        return error;
    }
    url->canonical =
        apr_psprintf(parse->p, "redis+sentinel://%s/%s/%d", shown, url->master, url->db);
    return NULL;
}

static const char *parse_query(const parse_t *parse, const char *query)
{
    if (strncmp(query, "db=", 3) != 0 || strchr(query, '&')) {
        return wrong(parse, "behind the \"?\" only db=N may stand, once");
    }
    return parse_db(parse, query + 3, strlen(query + 3));
}

/* What follows `redis+unix://`. */
static const char *parse_unix(const parse_t *parse, const char *rest)
{
    etv_store_url_t *url = parse->url;
    apr_size_t len = strcspn(rest, "/?#");
    const char *path = rest + len;
    apr_size_t path_len = strcspn(path, "?");
    const char *error;

    url->kind = ETV_STORE_URL_REDIS_UNIX;
    if (len) {
        const char *at = memchr(rest, '@', len);

        if (!at || at + 1 != path) {
            return wrong(parse, "the path of the socket must begin with \"/\", as in "
                                "redis+unix:///run/redis.sock; " ESCAPED);
        }
        if (strchr(path, '@')) {
            return wrong(parse, "beside a user or password, an @ in the path is written as %40");
        }
        if ((error = parse_userinfo(parse, rest, len - 1))) {
            return error;
        }
    }
    if (strchr(path, '#')) {
        return wrong(parse, "a # in the path is written as %23");
    }
    url->path = percent_decoded(parse->p, path, path_len);
    if (!url->path) {
        return wrong(parse, "a % in the path must be written as %25, and %00 is not allowed");
    }
    if (url->path[0] != '/' || url->path[strlen(url->path) - 1] == '/') {
        return wrong(parse, "the path of the socket must begin with \"/\" and name a file");
    }
    if (strlen(url->path) > PATH_MOST_LEN) {
        return wrong(parse, "the path is longer than the system allows for a socket");
    }
    if (path[path_len] == '?' && (error = parse_query(parse, path + path_len + 1))) {
        return error;
    }
    url->canonical = apr_psprintf(parse->p, "redis+unix://%s?db=%d",
                                  percent_encoded(parse->p, url->path), url->db);
    return NULL;
}

const char *etv_store_url_parse(apr_pool_t *p, const char *text, etv_store_url_t *url)
{
    parse_t parse = {p, text, url};

    memset(url, 0, sizeof(*url));
    if (strcasecmp(text, "local") == 0) {
        url->kind = ETV_STORE_URL_LOCAL;
        url->canonical = "local";
        return NULL;
    }
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c <= ' ' || *c == 0x7f) {
            return wrong(&parse, "white space and control characters are written as %20 and so on");
        }
    }
    /* RFC 3986 §3.1: schemes are case-insensitive. */
    if (strncasecmp(text, "redis://", 8) == 0) {
        return parse_tcp(&parse, text + 8);
    }
    if (strncasecmp(text, "redis+unix://", 13) == 0) {
        return parse_unix(&parse, text + 13);
    }
    if (strncasecmp(text, "rediss://", 9) == 0) {
        url->tls = 1;
        return parse_tcp(&parse, text + 9);
    }
    if (strncasecmp(text, "redis+sentinel://", 17) == 0) {
        return parse_sentinel(&parse, text + 17);
    }
    return wrong(&parse, "this is no address of a store");
}
