/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sentinel.h"

#include <stdlib.h>
#include <string.h>

#include "store/boottime.h"

#define CONNECT_US apr_time_from_msec(200)
#define COMMAND_US apr_time_from_msec(200)

/** Names are resolved again this often; sooner when none of their addresses answered. */
#define REFRESH_US apr_time_from_sec(30)
#define RETRY_US   apr_time_from_sec(1)

/** All that is known of a primary, and its address. */
#define REPLY_BYTES_MOST 65536

enum { REPLY_QUORUM, REPLY_ADDRESS, REPLY_PRIMARY, REPLIES };

typedef struct {
    char *host;
    apr_port_t port;
    int n; /* of `addrs` */
    int failed;
    apr_time_t looked_up_us;
    etv_redis_addr_t addrs[ETV_RESOLVER_MOST];
} sentinel_t;

struct etv_sentinels_t {
    etv_resolver_lookup_fn *lookup;
    char *name; /* of the primary */
    char *user;
    char *password;
    etv_redis_conn_t *conn; /* to the one at `first`; NULL: none */
    int first;
    int n;
    sentinel_t sentinel[];
};

static int copy(char **to, const char *text)
{
    *to = text ? strdup(text) : NULL;
    return !text || *to;
}

etv_sentinels_t *etv_sentinels_make(const etv_store_url_t *url, const char *password,
                                    etv_resolver_lookup_fn *lookup)
{
    etv_sentinels_t *s = calloc(1, sizeof(*s) + (size_t)url->n_sentinels * sizeof(s->sentinel[0]));
    int right;

    if (!s) {
        return NULL;
    }
    s->lookup = lookup;
    s->n = url->n_sentinels;
    right = copy(&s->name, url->master) && copy(&s->user, url->user) &&
            copy(&s->password, password ? password : url->password);
    for (int i = 0; i < s->n; i++) {
        s->sentinel[i].port = url->sentinels[i].port;
        right = right && copy(&s->sentinel[i].host, url->sentinels[i].host);
    }
    if (!right) {
        etv_sentinels_free(s);
        s = NULL;
    }
    return s;
}

void etv_sentinels_free(etv_sentinels_t *s)
{
    if (s) {
        etv_redis_conn_free(s->conn);
        for (int i = 0; i < s->n; i++) {
            free(s->sentinel[i].host);
        }
        free(s->name);
        free(s->user);
        free(s->password);
        free(s);
    }
}

/* --- what they say --- */

static int begins(const etv_resp_t *reply, const char *text)
{
    return strncmp(reply->str, text, strlen(text)) == 0;
}

static int is_string(const etv_resp_t *reply)
{
    return reply->type == ETV_RESP_STRING && reply->len < ETV_RESP_STRING_KEPT;
}

static int wants_login(const etv_resp_t *reply)
{
    return reply->type == ETV_RESP_ERROR && (begins(reply, "NOAUTH") || begins(reply, "NOPERM"));
}

static etv_sentinel_e judge_error(const etv_resp_t *error)
{
    if (begins(error, "NOQUORUM")) {
        return ETV_SENTINEL_ALONE;
    }
    if (begins(error, "ERR No such ") || begins(error, "IDONTKNOW")) {
        return ETV_SENTINEL_NOT_WATCHED;
    }
    return wants_login(error) || begins(error, "DENIED") ? ETV_SENTINEL_REFUSES : ETV_SENTINEL_ODD;
}

static etv_sentinel_e read_address(const etv_resp_t *reply, etv_sentinel_primary_t *primary)
{
    const etv_resp_t *host, *port;
    char *end;
    long n;

    if (reply->type == ETV_RESP_NIL) {
        return ETV_SENTINEL_NOT_WATCHED;
    }
    if (reply->type != ETV_RESP_ARRAY || reply->elements != 2) {
        return ETV_SENTINEL_ODD;
    }
    host = reply->element[0];
    port = reply->element[1];
    if (!is_string(host) || !is_string(port) || !host->len || host->len >= sizeof(primary->host) ||
        strlen(host->str) != host->len || port->len > 5 || port->str[0] < '1' ||
        port->str[0] > '9') {
        return ETV_SENTINEL_ODD;
    }
    n = strtol(port->str, &end, 10);
    if (*end || n > 65535) {
        return ETV_SENTINEL_ODD;
    }
    memcpy(primary->host, host->str, host->len + 1);
    primary->port = (apr_port_t)n;
    return ETV_SENTINEL_CONFIRMS;
}

/** Names and values in turn; of interest are the flags. */
static etv_sentinel_e read_primary(const etv_resp_t *reply)
{
    static const char *const doubts[] = {"s_down", "o_down", "disconnected"};

    for (apr_size_t i = 0; reply->type == ETV_RESP_ARRAY && i + 1 < reply->elements; i += 2) {
        const etv_resp_t *value = reply->element[i + 1];

        if (!etv_resp_is(reply->element[i], "flags") || !is_string(value)) {
            continue;
        }
        for (size_t d = 0; d < sizeof(doubts) / sizeof(doubts[0]); d++) {
            if (strstr(value->str, doubts[d])) {
                return ETV_SENTINEL_DOUBTS;
            }
        }
        return ETV_SENTINEL_CONFIRMS;
    }
    return ETV_SENTINEL_ODD;
}

static etv_sentinel_e judge(etv_resp_t **replies, etv_sentinel_primary_t *primary)
{
    etv_sentinel_e said = ETV_SENTINEL_CONFIRMS;

    for (int i = 0; i < REPLIES; i++) {
        if (replies[i]->type == ETV_RESP_ERROR) {
            etv_sentinel_e error = judge_error(replies[i]);

            said = error > said ? error : said;
        }
    }
    if (said != ETV_SENTINEL_CONFIRMS) {
        return said;
    }
    if (replies[REPLY_QUORUM]->type != ETV_RESP_STATUS || !begins(replies[REPLY_QUORUM], "OK")) {
        return ETV_SENTINEL_ODD;
    }
    said = read_address(replies[REPLY_ADDRESS], primary);
    return said == ETV_SENTINEL_CONFIRMS ? read_primary(replies[REPLY_PRIMARY]) : said;
}

const char *etv_sentinel_sentence(etv_sentinel_e what)
{
    switch (what) {
    case ETV_SENTINEL_CONFIRMS:
        return "none has answered yet";
    case ETV_SENTINEL_SILENT:
        return "none of them answers in time";
    case ETV_SENTINEL_ODD:
        return "what answers at their addresses is no sentinel";
    case ETV_SENTINEL_NAMELESS:
        return "the host name of the primary that they name cannot be resolved";
    case ETV_SENTINEL_ALONE:
        return "those that answer do not reach enough of the others (SENTINEL CKQUORUM)";
    case ETV_SENTINEL_DOUBTS:
        return "those that answer do not reach the primary themselves";
    case ETV_SENTINEL_REFUSES:
        return "they refuse the login or the commands: they take the user and password of the "
               "store, and the user needs +sentinel|ckquorum +sentinel|get-master-addr-by-name "
               "+sentinel|master";
    case ETV_SENTINEL_NOT_WATCHED:
        return "they watch no primary of this name";
    }
    return "";
}

/* --- asking --- */

static void write_question(const etv_sentinels_t *s, etv_resp_out_t *out)
{
    static const char *const question[REPLIES] = {
        [REPLY_QUORUM] = "CKQUORUM",
        [REPLY_ADDRESS] = "GET-MASTER-ADDR-BY-NAME",
        [REPLY_PRIMARY] = "MASTER",
    };

    etv_resp_out_reset(out);
    for (int i = 0; i < REPLIES; i++) {
        etv_resp_out_command(out, 3);
        etv_resp_out_text(out, "SENTINEL");
        etv_resp_out_text(out, question[i]);
        etv_resp_out_text(out, s->name);
    }
}

/** A sentinel may have a password, which is then the store's. @return whether it let us in */
static int log_in(const etv_sentinels_t *s, etv_redis_conn_t *c)
{
    etv_resp_t **replies = NULL;

    if (!s->user && !s->password) {
        return 0;
    }
    etv_resp_out_reset(&c->out);
    etv_resp_out_command(&c->out, s->user ? 3 : 2);
    etv_resp_out_text(&c->out, "AUTH");
    if (s->user) {
        etv_resp_out_text(&c->out, s->user);
    }
    etv_resp_out_text(&c->out, s->password ? s->password : "");
    return etv_redis_conn_exchange(c, 1, REPLY_BYTES_MOST, etv_boottime_us() + COMMAND_US,
                                   &replies) == ETV_CONN_OK &&
           etv_resp_is(replies[0], "OK");
}

static etv_sentinel_e ask_on(const etv_sentinels_t *s, etv_redis_conn_t *c, int may_log_in,
                             etv_sentinel_primary_t *primary)
{
    etv_resp_t **replies = NULL;
    etv_conn_e state;

    write_question(s, &c->out);
    primary->asked_us = etv_boottime_us();
    state = etv_redis_conn_exchange(c, REPLIES, REPLY_BYTES_MOST, primary->asked_us + COMMAND_US,
                                    &replies);
    if (state == ETV_CONN_LOST && c->replied && replies[0]->type == ETV_RESP_ERROR) {
        return judge_error(replies[0]); /* one sentence for all, then closed: protected mode */
    }
    if (state != ETV_CONN_OK) {
        return state == ETV_CONN_GARBLED || state == ETV_CONN_OVERSIZE ? ETV_SENTINEL_ODD
                                                                       : ETV_SENTINEL_SILENT;
    }
    if (!wants_login(replies[REPLY_QUORUM])) {
        return judge(replies, primary);
    }
    return may_log_in && log_in(s, c) ? ask_on(s, c, 0, primary) : ETV_SENTINEL_REFUSES;
}

/** Its addresses; those of before when they cannot be found now. */
static void refresh(const etv_sentinels_t *s, sentinel_t *one)
{
    apr_interval_time_t age = etv_boottime_us() - one->looked_up_us;
    etv_redis_addr_t addrs[ETV_RESOLVER_MOST];
    int error;
    int n;

    if (one->looked_up_us && age < (one->failed ? RETRY_US : REFRESH_US)) {
        return;
    }
    n = etv_resolver_lookup_number(one->host, one->port, addrs, &error);
    if (!n) {
        n = s->lookup(one->host, one->port, addrs, &error);
    }
    one->looked_up_us = etv_boottime_us();
    if (n) {
        memcpy(one->addrs, addrs, (size_t)n * sizeof(addrs[0]));
        one->n = n;
    }
}

/** On a new connection, which is kept when it was of use. */
static etv_sentinel_e ask_one(etv_sentinels_t *s, int index, atomic_int *stopping,
                              etv_sentinel_primary_t *primary)
{
    sentinel_t *one = &s->sentinel[index];
    etv_sentinel_e said = ETV_SENTINEL_SILENT;

    refresh(s, one);
    one->failed = 1;
    for (int i = 0; i < one->n && said == ETV_SENTINEL_SILENT && !atomic_load(stopping); i++) {
        etv_redis_conn_t *c = etv_redis_conn_make();

        if (c &&
            etv_redis_conn_open(c, &one->addrs[i], etv_boottime_us() + CONNECT_US) == ETV_CONN_OK) {
            said = ask_on(s, c, 1, primary);
        }
        if (said == ETV_SENTINEL_CONFIRMS) {
            s->conn = c;
            s->first = index;
        } else {
            etv_redis_conn_free(c);
        }
    }
    one->failed = said == ETV_SENTINEL_SILENT;
    return said;
}

/** On the connection that was kept. @return `*lost`: that may have been the connection's end only
 */
static etv_sentinel_e ask_again(etv_sentinels_t *s, etv_sentinel_primary_t *primary, int *lost)
{
    etv_sentinel_e said = ask_on(s, s->conn, 1, primary);

    *lost = said == ETV_SENTINEL_SILENT && s->conn->status != APR_TIMEUP;
    if (said != ETV_SENTINEL_CONFIRMS) {
        etv_redis_conn_free(s->conn);
        s->conn = NULL;
    }
    return said;
}

etv_sentinel_e etv_sentinels_ask(etv_sentinels_t *s, atomic_int *stopping,
                                 etv_sentinel_primary_t *primary)
{
    etv_sentinel_e most = ETV_SENTINEL_SILENT;
    int first = s->first;
    int lost;

    if (s->conn) {
        most = ask_again(s, primary, &lost);
        if (most == ETV_SENTINEL_CONFIRMS) {
            return most;
        }
        first += !lost; /* what failed to convince just now is the last to be asked again */
    }
    for (int i = 0; i < s->n && !atomic_load(stopping); i++) {
        etv_sentinel_e said = ask_one(s, (first + i) % s->n, stopping, primary);

        if (said == ETV_SENTINEL_CONFIRMS) {
            return said;
        }
        most = said > most ? said : most;
    }
    return most;
}
