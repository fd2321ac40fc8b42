/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store_url.h"

#include <string.h>
#include <strings.h>
#include <arpa/inet.h>
#include <sys/un.h>

#include <apr_strings.h>

#define DB_MOST       999999
#define PORT_MOST     65535
#define PORT_DEFAULT  6379
#define HOST_MOST_LEN 253 /* RFC 1035 §2.3.4, without the final dot */
#define PATH_MOST_LEN (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

#define ACCEPTED                                                                                   \
    "accepted are \"local\", \"redis://[user:pass@]host[:port][/db]\" and "                        \
    "\"redis+unix://[user:pass@]/path[?db=N]\""

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

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
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
        if (len - i < 3 || (high = hex_value(text[i + 1])) < 0 ||
            (low = hex_value(text[i + 2])) < 0 || high + low == 0) {
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

static const char *parse_port(const parse_t *parse, const char *text, apr_size_t len)
{
    int port = number(text, len, PORT_MOST);

    if (port < 1) {
        return wrong(parse, "the port must be a whole number from 1 to 65535");
    }
    parse->url->port = (apr_port_t)port;
    return NULL;
}

static const char *parse_v6(const parse_t *parse, const char *text, apr_size_t len,
                            const char **after)
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
    parse->url->host =
        inet_ntop(AF_INET6, address, apr_palloc(parse->p, INET6_ADDRSTRLEN), INET6_ADDRSTRLEN);
    *after = close + 1;
    return NULL;
}

static const char *parse_name(const parse_t *parse, const char *text, apr_size_t len,
                              const char **after)
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
    parse->url->host = host;
    *after = text + len;
    return NULL;
}

static const char *parse_host_port(const parse_t *parse, const char *text, apr_size_t len)
{
    const char *end = text + len;
    const char *after = end;
    const char *error;

    if (len && *text == '[') {
        error = parse_v6(parse, text, len, &after);
    } else {
        const char *colon = memchr(text, ':', len);

        error = parse_name(parse, text, colon ? (apr_size_t)(colon - text) : len, &after);
    }
    if (error || after == end) {
        return error;
    }
    if (*after != ':') {
        return wrong(parse, "behind the ] only a colon and the port may stand");
    }
    return parse_port(parse, after + 1, (apr_size_t)(end - after) - 1);
}

static const char *parse_db(const parse_t *parse, const char *text, apr_size_t len)
{
    parse->url->db = number(text, len, DB_MOST);
    return parse->url->db < 0 ? wrong(parse, "the database must be a whole number from 0 to 999999")
                              : NULL;
}

/* What follows `redis://`. */
static const char *parse_tcp(const parse_t *parse, const char *rest)
{
    etv_store_url_t *url = parse->url;
    apr_size_t len = strcspn(rest, "/?#");
    const char *path = rest + len;
    const char *at = memchr(rest, '@', len);
    const char *error;

    url->kind = ETV_STORE_URL_REDIS_TCP;
    url->port = PORT_DEFAULT;
    if (strchr(path, '@') || (at && memchr(at + 1, '@', len - (apr_size_t)(at - rest) - 1))) {
        return wrong(parse, "in a user or password @ / ? # are written as %40 %2F %3F %23");
    }
    if (at && (error = parse_userinfo(parse, rest, (apr_size_t)(at - rest)))) {
        return error;
    }
    at = at ? at + 1 : rest;
    if ((error = parse_host_port(parse, at, (apr_size_t)(path - at)))) {
        return error;
    }
    if (strpbrk(path, "?#")) {
        return wrong(parse, "redis:// takes nothing behind \"?\" or \"#\", the database is written "
                            "as /N");
    }
    if (path[0] == '/' && path[1] && (error = parse_db(parse, path + 1, strlen(path + 1)))) {
        return error;
    }
    url->canonical =
        apr_psprintf(parse->p, strchr(url->host, ':') ? "redis://[%s]:%d/%d" : "redis://%s:%d/%d",
                     url->host, (int)url->port, url->db);
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
                                "redis+unix:///run/redis.sock; in a user or password @ / ? # are "
                                "written as %40 %2F %3F %23");
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
        return wrong(&parse, "this version does not know rediss:// (TLS)");
    }
    if (strncasecmp(text, "redis+sentinel://", 17) == 0) {
        return wrong(&parse, "this version does not know redis+sentinel://");
    }
    return wrong(&parse, "this is no address of a store");
}

/* --- redaction: prefers hiding too much --- */

/* Where what has to be hidden begins and ends; 0 when nothing has to. */
static int find_secret(const char *text, const char **from, const char **to)
{
    const char *scheme = strstr(text, "://");
    const char *begin = scheme ? scheme + 3 : text;
    const char *end = strrchr(begin, '@');
    const char *host_end = begin + strcspn(begin, "/?#");
    const char *colon, *tail;

    if (*begin == '/') {
        /* No authority, so no password; an "@" belongs to the path. */
        return 0;
    }
    if (end) {
        colon = memchr(begin, ':', (apr_size_t)(end - begin));
        *from = colon ? colon + 1 : begin;
        *to = end;
        return *from < *to;
    }
    /* The "@host" may have been forgotten: what looks like a port and database must be such. */
    colon = *begin == '[' ? strchr(begin, ']') : begin;
    colon = colon && host_end > colon ? memchr(colon, ':', (apr_size_t)(host_end - colon)) : NULL;
    if (!scheme || !colon) {
        return 0;
    }
    tail = colon + 1 + strspn(colon + 1, DIGIT);
    if (*tail == '/') {
        tail += 1 + strspn(tail + 1, DIGIT);
    }
    if (colon > begin && host_end > colon + 1 && (*tail == '\0' || *tail == '?')) {
        return 0;
    }
    *from = colon + 1;
    *to = colon + strlen(colon);
    return *from < *to;
}

/* The values of all parameters but those that are known to hold no secret. */
static const char *without_parameters(apr_pool_t *p, const char *text)
{
    static const char *const harmless[] = {"db=", "ca=", "cert=", "key="};
    const char *query = strchr(text, '?');
    const char *out;

    if (!query) {
        return text;
    }
    out = apr_pstrmemdup(p, text, (apr_size_t)(query - text));
    while (*query) {
        apr_size_t len = 1 + strcspn(query + 1, "&");
        apr_size_t shown = len;
        const char *equals = memchr(query, '=', len);

        if (equals) {
            shown = (apr_size_t)(equals + 1 - query);
            for (int i = 0; i < 4; i++) {
                if (strncmp(query + 1, harmless[i], strlen(harmless[i])) == 0) {
                    shown = len;
                }
            }
        }
        out = apr_psprintf(p, "%s%.*s%s", out, (int)shown, query, shown < len ? "***" : "");
        query += len;
    }
    return out;
}

const char *etv_store_url_redact(apr_pool_t *p, const char *text)
{
    const char *from, *to;

    if (find_secret(text, &from, &to)) {
        text = apr_pstrcat(p, apr_pstrmemdup(p, text, (apr_size_t)(from - text)), "***", to, NULL);
    }
    return without_parameters(p, text);
}
