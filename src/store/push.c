/* SPDX-License-Identifier: Apache-2.0 */
#include "store/push.h"

#include <poll.h>
#include <string.h>

#include <apr_strings.h>

#include "store/boottime.h"
#include "store/redis_txn.h"

#define CHANNEL "__redis__:invalidate"

/** What one reading may bring, and the most keys of one message: all that changed in one turn of
 *  the server come together. What is more costs a new connection. */
#define BYTES_MOST (64 * 1024 * 1024)
#define KEYS_MOST  (1024 * 1024)

/** Replies to INFO and CLIENT ID. */
#define INTRODUCTION_BYTES_MOST 65536

#define RUN_ID "\nrun_id:"

void etv_push_init(etv_push_t *push, etv_redis_t *r)
{
    memset(push, 0, sizeof(*push));
    push->r = r;
}

void etv_push_close(etv_push_t *push)
{
    etv_redis_conn_free(push->conn);
    push->conn = NULL;
    push->subscribed = push->pings = 0;
}

int etv_push_fd(const etv_push_t *push)
{
    return push->conn ? push->conn->fd : -1;
}

short etv_push_events(const etv_push_t *push)
{
    return (short)(push->conn && etv_redis_conn_unsent(push->conn) ? POLLIN | POLLOUT : POLLIN);
}

/* --- opening --- */

/** Whether an error will be the same next time. */
static int is_final(const etv_resp_t *error)
{
    return strncmp(error->str, "NOPERM", 6) == 0 || strncmp(error->str, "ERR", 3) == 0;
}

/** "No versions at all" would be wrong: they are asked for as under `strict`. */
static etv_push_open_e refused(etv_push_t *push, const char *command, const etv_resp_t *error)
{
    int permission = strncmp(error->str, "NOPERM", 6) == 0;

    if (!is_final(error)) { /* it is loading, or busy */
        etv_redis_refused(push->r, command, error);
        return ETV_PUSH_FAILED;
    }
    etv_redis_say(
        &push->r->log, ETV_REDIS_SAYS_NO_PUSHES, permission ? ETV_LOG_ERR : ETV_LOG_WARNING,
        permission ? APR_EACCES : APR_ENOTIMPL,
        permission ? "%s: the user may not run %s: changes are not pushed, and every request "
                     "asks the server, as under ETagVersionFreshness strict. The user's ACL "
                     "needs &" CHANNEL " +client|id +client|tracking +subscribe +ping"
                   : "%s: the server does not know %s: changes are not pushed, and every "
                     "request asks the server, as under ETagVersionFreshness strict (Redis 6 "
                     "and Valkey can push)",
        push->r->shown, command);
    return ETV_PUSH_REFUSED;
}

static etv_push_open_e failed(etv_push_t *push, etv_conn_e state)
{
    etv_redis_exchange_failed(push->r, push->conn, state);
    return ETV_PUSH_FAILED;
}

/** Whether INFO's run id is the one that the other connection's identity begins with. */
static int same_server(const etv_resp_t *info, const etv_redis_conn_t *like)
{
    const char *id = info->type == ETV_RESP_STRING ? strstr(info->str, RUN_ID) : NULL;

    if (!id || !like->run_id_len) {
        return 0;
    }
    id += sizeof(RUN_ID) - 1;
    /* the identity ends its lines with \n alone */
    return strcspn(id, "\r\n") == like->run_id_len - 1 &&
           memcmp(id, like->identity, like->run_id_len - 1) == 0;
}

/** Who the server is, and the number of this connection. */
static etv_push_open_e introduce(etv_push_t *push, const etv_redis_conn_t *like,
                                 apr_time_t deadline_us, long long *id)
{
    etv_redis_conn_t *c = push->conn;
    etv_resp_t **replies = NULL;
    etv_conn_e state;

    etv_resp_out_command(&c->out, 2);
    etv_resp_out_text(&c->out, "INFO");
    etv_resp_out_text(&c->out, "server");
    etv_resp_out_command(&c->out, 2);
    etv_resp_out_text(&c->out, "CLIENT");
    etv_resp_out_text(&c->out, "ID");
    state = etv_redis_conn_exchange(c, 2, INTRODUCTION_BYTES_MOST, deadline_us, &replies);
    if (state != ETV_CONN_OK) {
        return failed(push, state);
    }
    if (replies[0]->type == ETV_RESP_ERROR) {
        return refused(push, "INFO", replies[0]);
    }
    if (replies[1]->type == ETV_RESP_ERROR) {
        return refused(push, "CLIENT ID", replies[1]);
    }
    if (replies[1]->type != ETV_RESP_INTEGER) {
        return failed(push, ETV_CONN_GARBLED);
    }
    if (!same_server(replies[0], like)) {
        etv_redis_say(&push->r->log, ETV_REDIS_SAYS_TWO, ETV_LOG_WARNING, APR_SUCCESS,
                      "%s: two connections to the address lead to two servers: it has just "
                      "restarted, or something between distributes connections",
                      push->r->shown);
        return ETV_PUSH_FAILED;
    }
    *id = replies[1]->integer;
    return ETV_PUSH_OPEN;
}

/** From here on every change below the prefix is pushed; what is pushed before SUBSCRIBE was seen
 * is lost, which does not matter as long as nothing counts yet. */
static etv_push_open_e track(etv_push_t *push, long long id, apr_time_t deadline_us)
{
    etv_redis_conn_t *c = push->conn;
    etv_resp_t **replies = NULL;
    etv_conn_e state;
    char number[24];

    apr_snprintf(number, sizeof(number), "%" APR_INT64_T_FMT, (apr_int64_t)id);
    etv_resp_out_command(&c->out, 8);
    etv_resp_out_text(&c->out, "CLIENT");
    etv_resp_out_text(&c->out, "TRACKING");
    etv_resp_out_text(&c->out, "ON");
    etv_resp_out_text(&c->out, "REDIRECT");
    etv_resp_out_text(&c->out, number);
    etv_resp_out_text(&c->out, "BCAST");
    etv_resp_out_text(&c->out, "PREFIX");
    etv_resp_out_text(&c->out, push->r->config.prefix);
    state = etv_redis_conn_exchange(c, 1, INTRODUCTION_BYTES_MOST, deadline_us, &replies);
    if (state != ETV_CONN_OK) {
        return failed(push, state);
    }
    if (!etv_resp_is(replies[0], "OK")) {
        return replies[0]->type == ETV_RESP_ERROR ? refused(push, "CLIENT TRACKING", replies[0])
                                                  : failed(push, ETV_CONN_GARBLED);
    }
    etv_resp_out_command(&c->out, 2);
    etv_resp_out_text(&c->out, "SUBSCRIBE");
    etv_resp_out_text(&c->out, CHANNEL);
    return ETV_PUSH_OPEN; /* its answer comes among the pushes, before that to the first PING */
}

etv_push_open_e etv_push_open(etv_push_t *push, const etv_redis_conn_t *like,
                              const etv_conn_watch_t *watch)
{
    apr_interval_time_t timeout_us = push->r->config.connect_timeout_us;
    apr_time_t deadline_us = etv_boottime_us() + timeout_us;
    etv_push_open_e result;
    long long id = 0;

    push->subscribed = push->pings = 0;
    if (etv_redis_open_watched(push->r, &like->peer, watch, deadline_us, &push->conn)) {
        push->conn = NULL;
        return ETV_PUSH_FAILED;
    }
    deadline_us = etv_boottime_us() + timeout_us;
    result = introduce(push, like, deadline_us, &id);
    if (result == ETV_PUSH_OPEN) {
        result = track(push, id, deadline_us);
    }
    if (result != ETV_PUSH_OPEN) {
        etv_push_close(push);
        return result;
    }
    etv_resp_in_reset(push->conn->in);
    etv_resp_in_allow(push->conn->in, KEYS_MOST, BYTES_MOST);
    return result;
}

/* --- reading --- */

/** A key may have any bytes in it. */
static void tell_watchers(const etv_redis_t *r, const char *name, apr_size_t len)
{
    if (r->config.feed && !memchr(name, '\0', len) && etv_model_name_is_right(name, len)) {
        etv_feed_write(r->config.feed, r->config.scope, name, len);
    }
}

/** One key: below the prefix there are models, and what the store keeps for itself. @return 1 when
 * it says that the server has other data now */
static int hear_key(const etv_push_t *push, const etv_resp_t *key)
{
    const etv_redis_t *r = push->r;
    const char *name;
    apr_size_t len;

    if (key->type != ETV_RESP_STRING || key->len > ETV_RESP_STRING_KEPT ||
        key->len <= r->prefix_len || memcmp(key->str, r->config.prefix, r->prefix_len) != 0) {
        return 0;
    }
    name = key->str + r->prefix_len;
    len = key->len - r->prefix_len;
    if (len > sizeof(ETV_REDIS_OPEN) - 1 &&
        memcmp(name, ETV_REDIS_OPEN, sizeof(ETV_REDIS_OPEN) - 1) == 0) {
        name += sizeof(ETV_REDIS_OPEN) - 1; /* a change has begun or ended */
        len -= sizeof(ETV_REDIS_OPEN) - 1;
    } else if (*name == '%') {
        return strcmp(name, ETV_REDIS_EPOCH) == 0 || strcmp(name, ETV_REDIS_SECRET) == 0;
    }
    etv_mirror_invalidate(r->config.mirror,
                          etv_hash_scoped(etv_hash_name(name, len), r->config.scope));
    if (name == key->str + r->prefix_len) { /* behind it: who asks at once must not find the old */
        tell_watchers(r, name, len);
    }
    return 0;
}

/** An invalidation: keys, or nil when a whole database went. */
static etv_push_read_e hear_message(const etv_push_t *push, const etv_resp_t *what)
{
    int flushed = what->type == ETV_RESP_NIL;

    if (what->type == ETV_RESP_ARRAY) {
        for (apr_size_t i = 0; i < what->elements; i++) {
            flushed |= hear_key(push, what->element[i]);
        }
    }
    return flushed ? ETV_PUSH_FLUSHED : ETV_PUSH_HEARD;
}

static etv_push_read_e hear(etv_push_t *push, const etv_resp_t *reply)
{
    if (reply->type == ETV_RESP_ERROR) {
        return refused(push, push->subscribed ? "PING" : "SUBSCRIBE", reply) == ETV_PUSH_REFUSED
                   ? ETV_PUSH_DENIED
                   : ETV_PUSH_LOST;
    }
    if (reply->type == ETV_RESP_ARRAY && reply->elements == 3) {
        if (etv_resp_is(reply->element[0], "message") && push->subscribed &&
            etv_resp_is(reply->element[1], CHANNEL)) {
            return hear_message(push, reply->element[2]);
        }
        if (etv_resp_is(reply->element[0], "subscribe")) {
            push->subscribed = 1;
            return ETV_PUSH_HEARD;
        }
    }
    if (reply->type == ETV_RESP_ARRAY && reply->elements >= 1 && push->subscribed && push->pings &&
        etv_resp_is(reply->element[0], "pong")) {
        push->pings--;
        return ETV_PUSH_HEARD;
    }
    etv_redis_exchange_failed(push->r, push->conn, ETV_CONN_GARBLED);
    return ETV_PUSH_LOST;
}

static etv_push_read_e too_many(etv_push_t *push)
{
    etv_redis_say(&push->r->log, ETV_REDIS_SAYS_TOO_MANY, ETV_LOG_WARNING, APR_ENOSPC,
                  "%s: more keys changed at once than can be listed: the table of versions begins "
                  "anew",
                  push->r->shown);
    return ETV_PUSH_LOST;
}

static etv_push_read_e hear_all(etv_push_t *push)
{
    etv_push_read_e result = ETV_PUSH_HEARD;
    etv_resp_t *reply;
    etv_resp_next_e next;

    while ((next = etv_resp_in_next(push->conn->in, &reply)) == ETV_RESP_ONE) {
        etv_push_read_e heard = hear(push, reply);

        if (heard == ETV_PUSH_DENIED || heard == ETV_PUSH_LOST) {
            return heard;
        }
        result = heard == ETV_PUSH_FLUSHED ? heard : result;
        etv_resp_in_reset(push->conn->in); /* between two replies nothing refers to it */
    }
    if (etv_resp_in_is_over(push->conn->in) || etv_resp_in_left(push->conn->in) > BYTES_MOST) {
        return too_many(push);
    }
    if (next == ETV_RESP_GARBLED) {
        etv_redis_exchange_failed(push->r, push->conn, ETV_CONN_GARBLED);
        return ETV_PUSH_LOST;
    }
    return result;
}

etv_push_read_e etv_push_read(etv_push_t *push)
{
    etv_redis_conn_t *c = push->conn;
    etv_conn_e state = etv_redis_conn_send(c);

    if (state == ETV_CONN_OK) {
        if (!etv_redis_conn_unsent(c)) {
            etv_resp_out_reset(&c->out);
            c->sent = 0;
        }
        state = etv_redis_conn_receive(c, BYTES_MOST);
    }
    if (state == ETV_CONN_OVERSIZE) {
        return too_many(push);
    }
    if (state != ETV_CONN_OK) {
        etv_redis_exchange_failed(push->r, c, state);
        return ETV_PUSH_LOST;
    }
    return hear_all(push);
}

void etv_push_ping(etv_push_t *push)
{
    etv_resp_out_command(&push->conn->out, 1);
    etv_resp_out_text(&push->conn->out, "PING");
    push->pings++;
    etv_redis_conn_send(push->conn); /* a failure shows when it is read next */
}

int etv_push_awaits_pong(const etv_push_t *push)
{
    return push->pings > 0 || etv_resp_in_is_inside(push->conn->in);
}
