/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "store/boottime.h"
#include "store/redis_txn.h"

/** A connection's reading of the run id and of the secret is repeated after this. */
#define SERVER_AGE_MOST_US 500000
/** Rounds of reading and creating, when others delete at the same time. */
#define ROUNDS_MOST 5

/* --- what a connection knows of its server --- */

/** Append the value of `name` in an INFO text and an end of line. @return 0 when it has none */
static int take_field(const char *info, const char *name, etv_redis_conn_t *c)
{
    const char *value = strstr(info, name);
    apr_size_t len;

    if (!value) {
        return 0;
    }
    value += strlen(name);
    len = strcspn(value, "\r\n");
    if (!len || c->identity_len + len + 1 > sizeof(c->identity)) {
        return 0;
    }
    memcpy(c->identity + c->identity_len, value, len);
    c->identity_len += len;
    c->identity[c->identity_len++] = '\n';
    return 1;
}

/**
 * The run id tells restarts apart, the replication id promotions: a primary that was demoted and
 * promoted again in one life has lost writes under the same run id, and a connection that nobody
 * used in between did not notice. So the replication id is read with the versions every time.
 */
static int take_identity(etv_redis_t *r, etv_redis_conn_t *c, const etv_redis_answer_t *answer,
                         apr_time_t now)
{
    if (answer->server) {
        c->identity_len = 0;
        c->server_read_us = now;
        if (!take_field(answer->server->str, "\nrun_id:", c)) {
            c->identity_len = 0;
        }
        c->run_id_len = c->identity_len;
    }
    c->identity_len = c->run_id_len;
    if (c->run_id_len && take_field(answer->replication->str, "\nmaster_replid:", c)) {
        return 1;
    }
    etv_redis_say(&r->log, ETV_REDIS_SAYS_IDENTITY, ETV_LOG_ERR, APR_EGENERAL,
                  "%s: INFO tells no run_id and master_replid, without which a restart cannot be "
                  "noticed: no versions",
                  r->shown);
    return 0;
}

static int unhex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/** Take over epoch and secret, which were read at one moment. @return 0 when the secret is none */
static int take_secret(etv_redis_t *r, etv_redis_conn_t *c, const etv_redis_answer_t *answer)
{
    const etv_resp_t *secret = answer->secret;
    int right = secret->type == ETV_RESP_STRING && secret->len == ETV_REDIS_HEX;

    for (int i = 0; right && i < ETV_SECRET_BYTES; i++) {
        int high = unhex(secret->str[2 * i]);
        int low = unhex(secret->str[2 * i + 1]);

        right = high >= 0 && low >= 0;
        c->secret[i] = (unsigned char)(high << 4 | low);
    }
    if (!right) {
        c->epoch_len = 0;
        etv_redis_say(
            &r->log, ETV_REDIS_SAYS_SECRET, ETV_LOG_ERR, APR_EGENERAL,
            "%s: %s%s is not %d hexadecimal digits: no versions. Delete it, and a new one "
            "is made",
            r->shown, r->config.prefix, ETV_REDIS_SECRET, ETV_REDIS_HEX);
        return 0;
    }
    memcpy(c->epoch, answer->epoch->str, answer->epoch->len);
    c->epoch_len = answer->epoch->len;
    return 1;
}

/* --- lookup --- */

typedef enum {
    ROUND_DONE,  /* every model has a state */
    ROUND_AGAIN, /* `ask` says what to do next */
    ROUND_FAILED /* was logged; `give` is set */
} round_e;

typedef struct {
    etv_redis_t *r;
    etv_redis_conn_t *c;
    etv_model_t *models;
    int n;
    int first; /* 1: nothing was exchanged for this request yet */
    apr_time_t deadline_us;
    etv_give_e give;
    etv_redis_ask_t ask;
    etv_redis_answer_t answer;
} lookup_t;

/** Whether a change of model `i` is under way. What is asked of all together answers for one. */
static int is_open(const lookup_t *l, int i)
{
    return l->answer.open[l->ask.apart ? i : 0]->integer != 0;
}

/** Whether it is still to be asked which models have a change under way. */
static int is_unclear(const lookup_t *l)
{
    return l->n > 1 && !l->ask.apart && is_open(l, 0);
}

/** The states of the models, and which must be created first. */
static apr_uint32_t judge_models(const lookup_t *l)
{
    apr_uint32_t missing = 0;

    for (int i = 0; i < l->n; i++) {
        etv_model_t *m = &l->models[i];
        const etv_resp_t *v = l->answer.models[i];

        m->token = NULL;
        m->token_len = 0;
        if (is_open(l, i)) {
            m->state = ETV_MODEL_OPEN;
        } else if (v->type == ETV_RESP_STRING) {
            m->state = v->len <= ETV_TOKEN_MOST ? ETV_MODEL_FOUND : ETV_MODEL_UNUSABLE;
            if (m->state == ETV_MODEL_FOUND) {
                m->token = m->kept.token;
                m->token_len = etv_token_shorten(m->kept.token, v->str, v->len);
            }
        } else if (l->ask.create & 1u << i) {
            m->state = ETV_MODEL_UNUSABLE; /* MGET has nil for a key of another type as well */
        } else {
            m->state = ETV_MODEL_ABSENT;
            missing |= m->may_create ? 1u << i : 0;
        }
    }
    return missing;
}

static round_e bad_epoch(lookup_t *l)
{
    etv_redis_say(&l->r->log, ETV_REDIS_SAYS_EPOCH, ETV_LOG_ERR, APR_EGENERAL,
                  "%s: %s%s is not a short string: no versions. Delete it, and a new one is made",
                  l->r->shown, l->r->config.prefix, ETV_REDIS_EPOCH);
    l->give = ETV_GIVE_SOUND;
    return ROUND_FAILED;
}

/** What the answer means. */
static round_e judge(lookup_t *l)
{
    const etv_resp_t *epoch = l->answer.epoch;
    int epoch_there = epoch->type == ETV_RESP_STRING;
    etv_redis_ask_t next = {.models = l->models, .n = l->n};

    if (epoch_there ? !epoch->len || epoch->len > sizeof(l->c->epoch) : l->ask.create_epoch) {
        return bad_epoch(l);
    }
    next.create_epoch = !epoch_there;
    if (l->r->config.keep_secret) {
        if (l->answer.secret && epoch_there &&
            (l->answer.secret->type != ETV_RESP_NIL || l->ask.create_secret)) {
            if (!take_secret(l->r, l->c, &l->answer)) {
                l->give = ETV_GIVE_SOUND;
                return ROUND_FAILED;
            }
        } else if (l->answer.secret || !epoch_there || epoch->len != l->c->epoch_len ||
                   memcmp(epoch->str, l->c->epoch, epoch->len)) {
            next.secret = next.create_secret = 1; /* a flush took the old one */
        }
    }
    next.apart = l->ask.apart;
    if (is_unclear(l)) {
        next.apart = 1;
        l->ask = next;
        return ROUND_AGAIN;
    }
    next.create = judge_models(l);
    if (!next.create && !next.create_epoch && !next.secret) {
        return ROUND_DONE;
    }
    l->ask = next;
    return ROUND_AGAIN;
}

static round_e lookup_round(lookup_t *l)
{
    apr_size_t n;
    etv_resp_t **replies;

    etv_resp_out_reset(&l->c->out);
    n = etv_redis_ask_write(l->r, &l->ask, &l->c->out);
    if (!n) {
        l->c->status = APR_ENOMEM;
        l->give = etv_redis_exchange_failed(l->r, l->c, ETV_CONN_LOST);
        return ROUND_FAILED;
    }
    replies = etv_redis_exchange(l->r, l->c, n, l->n, l->deadline_us, l->first, &l->give);
    l->first = 0;
    if (!replies || !etv_redis_accept(l->r, l->c, etv_redis_ask_read(&l->ask, replies, &l->answer),
                                      &l->answer, &l->give)) {
        return ROUND_FAILED;
    }
    if (!take_identity(l->r, l->c, &l->answer, etv_boottime_us())) {
        l->give = ETV_GIVE_DROP;
        return ROUND_FAILED;
    }
    return judge(l);
}

/** The digest of what identifies the server; made again only when that has changed. */
static const unsigned char *instance_of(etv_redis_conn_t *c, const etv_resp_t *epoch)
{
    unsigned char text[sizeof(c->identity) + sizeof(c->epoch)];
    apr_size_t len = c->identity_len + epoch->len;

    memcpy(text, c->identity, c->identity_len);
    memcpy(text + c->identity_len, epoch->str, epoch->len);
    if (len != c->instance_of_len || memcmp(text, c->instance_of, len)) {
        memcpy(c->instance_of, text, len);
        c->instance_of_len = len;
        etv_hash_digest(c->instance, sizeof(c->instance), text, len);
    }
    return c->instance;
}

/** Move results from the connection, where the next lookup overwrites them, to the caller. */
static void keep_results(const lookup_t *l, etv_snapshot_t *snapshot)
{
    memcpy(snapshot->kept_instance, instance_of(l->c, l->answer.epoch), ETV_INSTANCE_BYTES);
    snapshot->instance = snapshot->kept_instance;
    snapshot->secret = NULL;
    if (l->r->config.keep_secret) {
        memcpy(snapshot->kept_secret, l->c->secret, ETV_SECRET_BYTES);
        snapshot->secret = snapshot->kept_secret;
    }
}

/** Read on a connection that was taken. @return 1 when all is known; l->give is set in any case */
static int lookup_on(lookup_t *l, apr_time_t now)
{
    apr_interval_time_t age = now - l->c->server_read_us;

    memset(&l->ask, 0, sizeof(l->ask));
    l->ask.models = l->models;
    l->ask.n = l->n;
    l->ask.server = !l->c->server_read_us || age >= SERVER_AGE_MOST_US;
    /* With the run id, so that hosts agree again soon after somebody deleted the secret alone. */
    l->ask.secret = l->r->config.keep_secret && (l->ask.server || !l->c->epoch_len);
    l->first = 1;
    for (int round = 0; round < ROUNDS_MOST; round++) {
        round_e state = lookup_round(l);

        if (state != ROUND_AGAIN) {
            l->give = state == ROUND_DONE ? ETV_GIVE_SOUND : l->give;
            return state == ROUND_DONE;
        }
    }
    etv_redis_say(&l->r->log, ETV_REDIS_SAYS_UNSTEADY, ETV_LOG_WARNING, APR_EGENERAL,
                  "%s: versions vanish as fast as they are created", l->r->shown);
    l->give = ETV_GIVE_SOUND;
    return 0;
}

etv_lookup_e etv_redis_lookup(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n,
                              etv_snapshot_t *snapshot)
{
    etv_redis_t *r = (etv_redis_t *)store;
    apr_time_t now = etv_boottime_us();
    apr_time_t hard = now + r->config.connect_timeout_us + r->config.command_timeout_us;
    lookup_t l = {.r = r, .models = models, .n = n};

    (void)p;
    if (n < 0 || n > ETV_MODELS_MOST) {
        return ETV_LOOKUP_UNAVAILABLE;
    }
    for (int fresh = 0; fresh < 2; fresh++) {
        int known;

        if (etv_redis_take(r, fresh, now, hard, &l.c, &l.deadline_us)) {
            return ETV_LOOKUP_UNAVAILABLE;
        }
        known = lookup_on(&l, now);
        if (known) {
            keep_results(&l, snapshot);
        }
        etv_redis_give(r, l.c, l.give);
        if (known) {
            return ETV_LOOKUP_OK;
        }
        if (l.give != ETV_GIVE_STALE) {
            break;
        }
        now = etv_boottime_us();
    }
    return ETV_LOOKUP_UNAVAILABLE;
}

etv_give_e etv_redis_read_facts(etv_redis_t *r, etv_redis_conn_t *c, apr_time_t deadline_us,
                                etv_channel_facts_t *facts)
{
    lookup_t l = {.r = r, .c = c, .deadline_us = deadline_us, .give = ETV_GIVE_DROP};

    memset(facts, 0, sizeof(*facts));
    c->server_read_us = 0; /* the run id, too */
    if (!lookup_on(&l, etv_boottime_us())) {
        return l.give == ETV_GIVE_SOUND ? ETV_GIVE_DROP : l.give;
    }
    memcpy(facts->instance, instance_of(c, l.answer.epoch), sizeof(facts->instance));
    if (r->config.keep_secret) {
        memcpy(facts->secret, c->secret, sizeof(facts->secret));
    }
    return ETV_GIVE_SOUND;
}
