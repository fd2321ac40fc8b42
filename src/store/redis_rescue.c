/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes whose owners are gone. What stands in the set is anybody's text: what no change can have
 * left there would stay for ever, so it is removed like what the dead left. Of a large set some are
 * looked at, others the next time.
 */
#include <apr_strings.h>
#include <string.h>

#include "core/token.h"
#include "store/redis_change.h"

/** Members that are looked at in one round. */
#define MEMBERS_MOST 256
#define MEMBERS_TEXT "256"
/** Rounds, as long as all that was seen could be removed. */
#define ROUNDS_MOST 4

/** One member. */
typedef struct {
    const char *text;
    apr_size_t len;
    int owner; /* index; -1: it has none */
} member_t;

typedef struct {
    etv_model_t *model;
    apr_pool_t *p;
    int n; /* members */
    int owners;
    int dead;                        /* members to be removed */
    int open;                        /* 1: others are there */
    const char *owner[MEMBERS_MOST]; /* ETV_OWNER_CHARS each */
    unsigned char gone[MEMBERS_MOST];
    member_t member[MEMBERS_MOST];
} rescue_t;

static int owner_of(rescue_t *rescue, const char *text)
{
    for (int i = 0; i < rescue->owners; i++) {
        if (memcmp(rescue->owner[i], text, ETV_OWNER_CHARS) == 0) {
            return i;
        }
    }
    rescue->owner[rescue->owners] = text;
    return rescue->owners++;
}

/** Take over a member; the reply's memory goes with the next exchange. @return 0: it is too long */
static int take_member(rescue_t *rescue, const etv_resp_t *reply)
{
    member_t *m = &rescue->member[rescue->n];

    if (reply->len > ETV_RESP_STRING_KEPT) {
        return 0;
    }
    m->text = apr_pmemdup(rescue->p, reply->str, reply->len + 1);
    m->len = reply->len;
    m->owner = etv_redis_member_is_right(m->text, m->len) ? owner_of(rescue, m->text) : -1;
    rescue->n++;
    return 1;
}

/** Read members of the set. @return APR_SUCCESS, or why that cannot be */
static apr_status_t read_members(etv_redis_talk_t *talk, rescue_t *rescue)
{
    const etv_model_t *m = rescue->model;
    etv_resp_t *const *replies;

    etv_redis_talk_begin(talk, 1);
    etv_redis_talk_command(talk, "SRANDMEMBER", 3);
    etv_redis_talk_key(talk, ETV_REDIS_KEY_OPEN, m->name, m->name_len);
    etv_redis_talk_word(talk, MEMBERS_TEXT, sizeof(MEMBERS_TEXT) - 1);
    replies = etv_redis_talk_send(talk, 0);
    if (!replies) {
        return etv_redis_talk_status(talk);
    }
    rescue->n = rescue->owners = 0;
    if (etv_redis_is_foreign(replies[0])) {
        etv_redis_say_foreign(talk->r, m);
        return APR_EGENERAL;
    }
    if (replies[0]->type != ETV_RESP_ARRAY || replies[0]->elements > MEMBERS_MOST) {
        return etv_redis_talk_garbled(talk);
    }
    for (apr_size_t i = 0; i < replies[0]->elements; i++) {
        const etv_resp_t *member = replies[0]->element[i];

        if (member->type != ETV_RESP_STRING) {
            return etv_redis_talk_garbled(talk);
        }
        if (!take_member(rescue, member)) {
            etv_redis_say_foreign(talk->r, m);
            return APR_EGENERAL;
        }
    }
    return APR_SUCCESS;
}

/** Ask which owners live, and have the removal fail should one show life in between. */
static apr_status_t read_owners(etv_redis_talk_t *talk, rescue_t *rescue)
{
    etv_resp_t *const *replies;

    if (!rescue->owners) {
        return APR_SUCCESS;
    }
    etv_redis_talk_begin(talk, 0);
    etv_redis_talk_command(talk, "WATCH", 1 + (apr_size_t)rescue->owners);
    for (int i = 0; i < rescue->owners; i++) {
        etv_redis_talk_key(talk, ETV_REDIS_KEY_ALIVE, rescue->owner[i], ETV_OWNER_CHARS);
    }
    for (int i = 0; i < rescue->owners; i++) {
        etv_redis_talk_command(talk, "EXISTS", 2);
        etv_redis_talk_key(talk, ETV_REDIS_KEY_ALIVE, rescue->owner[i], ETV_OWNER_CHARS);
    }
    replies = etv_redis_talk_send(talk, 0);
    if (!replies) {
        return etv_redis_talk_status(talk);
    }
    for (int i = 0; i < rescue->owners; i++) {
        if (replies[1 + i]->type != ETV_RESP_INTEGER) {
            return etv_redis_talk_garbled(talk);
        }
        rescue->gone[i] = replies[1 + i]->integer == 0;
    }
    return APR_SUCCESS;
}

static int is_dead(const rescue_t *rescue, const member_t *m)
{
    return m->owner < 0 || rescue->gone[m->owner];
}

static int count_dead(const rescue_t *rescue)
{
    int dead = 0;

    for (int i = 0; i < rescue->n; i++) {
        dead += is_dead(rescue, &rescue->member[i]);
    }
    return dead;
}

/** Bump, and remove the dead. */
static apr_status_t complete(etv_redis_talk_t *talk, rescue_t *rescue)
{
    const etv_model_t *m = rescue->model;
    apr_uint64_t token = etv_redis_token();
    char text[ETV_TOKEN_TEXT_ROOM];
    etv_resp_t *const *replies;

    if (!token) {
        return APR_EGENERAL;
    }
    etv_token_format(text, token);
    etv_redis_talk_begin(talk, 1);
    etv_redis_talk_set(talk, m, text);
    etv_redis_talk_command(talk, "SREM", 2 + (apr_size_t)rescue->dead);
    etv_redis_talk_key(talk, ETV_REDIS_KEY_OPEN, m->name, m->name_len);
    for (int i = 0; i < rescue->n; i++) {
        if (is_dead(rescue, &rescue->member[i])) {
            etv_redis_talk_word(talk, rescue->member[i].text, rescue->member[i].len);
        }
    }
    etv_redis_talk_command(talk, "EXISTS", 2);
    etv_redis_talk_key(talk, ETV_REDIS_KEY_OPEN, m->name, m->name_len);
    replies = etv_redis_talk_send(talk, 0);
    if (!replies) {
        return etv_redis_talk_status(talk);
    }
    if (!etv_resp_is(replies[0], "OK") || replies[2]->type != ETV_RESP_INTEGER) {
        return etv_redis_talk_garbled(talk);
    }
    rescue->open = replies[2]->integer != 0;
    etv_redis_set_found(rescue->model, text, strlen(text));
    etv_redis_say(
        &talk->r->log, ETV_REDIS_SAYS_RESCUED, ETV_LOG_NOTICE, APR_SUCCESS,
        "%s: a change of \"%.*s\" was left behind (its httpd has ended or was cut off, or the "
        "store went back in time), and completed by a bump",
        talk->r->shown, (int)m->name_len, m->name);
    return APR_SUCCESS;
}

/** One round. @return APR_SUCCESS; talk->aborted or `*again`: there is more to do */
static apr_status_t rescue_round(etv_redis_talk_t *talk, rescue_t *rescue, int *again)
{
    apr_status_t status = read_members(talk, rescue);

    *again = 0;
    rescue->open = rescue->n > 0;
    if (status || !rescue->n) {
        return status;
    }
    status = read_owners(talk, rescue);
    if (status) {
        return status;
    }
    rescue->dead = count_dead(rescue);
    if (!rescue->dead) {
        etv_redis_talk_unwatch(talk);
        return APR_SUCCESS;
    }
    status = complete(talk, rescue);
    *again = rescue->open && rescue->dead == rescue->n;
    return status;
}

/** An etv_redis_talk_fn. */
static apr_status_t rescue_on(etv_redis_talk_t *talk, void *baton)
{
    apr_status_t status = APR_EBUSY;
    int again = 1;

    for (int round = 0; again && round < ROUNDS_MOST; round++) {
        status = rescue_round(talk, baton, &again);
        again = status == APR_SUCCESS ? again : talk->aborted;
    }
    return status;
}

apr_status_t etv_redis_rescue(etv_store_t *store, apr_pool_t *p, etv_model_t *model,
                              int *still_open)
{
    rescue_t *rescue = apr_pcalloc(p, sizeof(*rescue));
    apr_status_t status;

    rescue->p = p;
    rescue->model = model;
    rescue->open = 1;
    status = etv_redis_talk((etv_redis_t *)store, rescue_on, rescue);
    *still_open = status != APR_SUCCESS || rescue->open;
    return status;
}
