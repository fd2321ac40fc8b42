/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Announcing changes and taking that back. A change is a member of a set for each of its models, so
 * that what is told twice counts once; lookups read only whether there is such a set.
 */
#include "store/redis_change.h"

#include <apr_strings.h>
#include <string.h>

#include "core/token.h"

apr_size_t etv_redis_member_write(char member[ETV_REDIS_MEMBER_ROOM], const etv_change_id_t *id)
{
    return (apr_size_t)apr_snprintf(member, ETV_REDIS_MEMBER_ROOM, "%.*s.%" APR_UINT64_T_FMT,
                                    ETV_OWNER_CHARS, id->owner, id->number);
}

int etv_redis_member_is_right(const char *member, apr_size_t len)
{
    static const char hex[] = "0123456789abcdef";
    apr_size_t digits = len > ETV_OWNER_CHARS ? len - ETV_OWNER_CHARS - 1 : 0;

    if (digits < 1 || digits > 20 || member[ETV_OWNER_CHARS] != '.') {
        return 0;
    }
    for (apr_size_t i = 0; i < len; i++) {
        if (i != ETV_OWNER_CHARS && !memchr(hex, member[i], i < ETV_OWNER_CHARS ? 16 : 10)) {
            return 0;
        }
    }
    return 1;
}

void etv_redis_talk_members(etv_redis_talk_t *talk, const char *command, const etv_model_t *models,
                            int n, const etv_change_id_t *id)
{
    char member[ETV_REDIS_MEMBER_ROOM];
    apr_size_t len = etv_redis_member_write(member, id);

    for (int i = 0; i < n; i++) {
        etv_redis_talk_command(talk, command, 3);
        etv_redis_talk_key(talk, ETV_REDIS_KEY_OPEN, models[i].name, models[i].name_len);
        etv_redis_talk_word(talk, member, len);
    }
}

apr_status_t etv_redis_talk_judge_members(etv_redis_talk_t *talk, etv_resp_t *const *replies,
                                          const etv_model_t *models, int n)
{
    apr_status_t status = APR_SUCCESS;

    for (int i = 0; i < n; i++) {
        if (etv_redis_is_foreign(replies[i])) {
            etv_redis_say_foreign(talk->r, &models[i]);
            status = APR_EGENERAL;
        } else if (replies[i]->type != ETV_RESP_INTEGER) {
            return etv_redis_talk_garbled(talk);
        }
    }
    return status;
}

/* --- announce, withdraw --- */

typedef struct {
    const etv_model_t *models;
    int n;
    const etv_change_id_t *id;
    int as_read;
} change_t;

/** A sign of life. */
static void write_alive(etv_redis_talk_t *talk, const etv_change_id_t *id)
{
    apr_interval_time_t us = id->alive_us > id->grace_us ? id->alive_us : id->grace_us;
    char text[24];

    apr_snprintf(text, sizeof(text), "%" APR_INT64_T_FMT, us > 1000 ? us / 1000 : (apr_int64_t)1);
    etv_redis_talk_command(talk, "SET", 5);
    etv_redis_talk_key(talk, ETV_REDIS_KEY_ALIVE, id->owner, strlen(id->owner));
    etv_redis_talk_word(talk, "1", 1);
    etv_redis_talk_word(talk, "PX", 2);
    etv_redis_talk_word(talk, text, strlen(text));
}

/** Whether a model is what an earlier lookup said. */
static int is_as_read(const etv_model_t *m, const etv_resp_t *value)
{
    unsigned char token[ETV_TOKEN_SHORT_MOST];

    if (m->state == ETV_MODEL_ABSENT) {
        return value->type == ETV_RESP_NIL;
    }
    return m->state == ETV_MODEL_FOUND && value->type == ETV_RESP_STRING &&
           value->len <= ETV_TOKEN_MOST &&
           etv_token_shorten(token, value->str, value->len) == m->token_len &&
           memcmp(token, m->token, m->token_len) == 0;
}

/** WATCH of two families of keys of all models. */
static void write_watch(etv_redis_talk_t *talk, const change_t *change)
{
    etv_redis_talk_command(talk, "WATCH", 1 + 2 * (apr_size_t)change->n);
    for (int i = 0; i < change->n; i++) {
        const etv_model_t *m = &change->models[i];

        etv_redis_talk_key(talk, ETV_REDIS_KEY_MODEL, m->name, m->name_len);
        etv_redis_talk_key(talk, ETV_REDIS_KEY_OPEN, m->name, m->name_len);
    }
}

/** Read what is watched from now on. @return APR_SUCCESS, APR_EEXIST, or why it is not known */
static apr_status_t compare(etv_redis_talk_t *talk, const change_t *change)
{
    apr_size_t n = (apr_size_t)change->n;
    etv_resp_t *const *replies;

    etv_redis_talk_begin(talk, 0);
    write_watch(talk, change);
    etv_redis_talk_command(talk, "MGET", 1 + n);
    for (apr_size_t i = 0; i < n; i++) {
        etv_redis_talk_key(talk, ETV_REDIS_KEY_MODEL, change->models[i].name,
                           change->models[i].name_len);
    }
    etv_redis_talk_command(talk, "EXISTS", 1 + n);
    for (apr_size_t i = 0; i < n; i++) {
        etv_redis_talk_key(talk, ETV_REDIS_KEY_OPEN, change->models[i].name,
                           change->models[i].name_len);
    }
    replies = etv_redis_talk_send(talk, change->n);
    if (!replies) {
        return etv_redis_talk_status(talk);
    }
    if (!etv_resp_is(replies[0], "OK") || replies[1]->type != ETV_RESP_ARRAY ||
        replies[1]->elements != n || replies[2]->type != ETV_RESP_INTEGER) {
        return etv_redis_talk_garbled(talk);
    }
    if (replies[2]->integer) {
        return APR_EEXIST;
    }
    for (apr_size_t i = 0; i < n; i++) {
        if (!is_as_read(&change->models[i], replies[1]->element[i])) {
            return APR_EEXIST;
        }
    }
    return APR_SUCCESS;
}

/** An etv_redis_talk_fn. */
static apr_status_t announce_on(etv_redis_talk_t *talk, void *baton)
{
    const change_t *change = baton;
    apr_status_t status = change->as_read ? compare(talk, change) : APR_SUCCESS;
    etv_resp_t *const *replies;

    if (status == APR_EEXIST) {
        etv_redis_talk_unwatch(talk);
    }
    if (status) {
        return status;
    }
    etv_redis_talk_begin(talk, 1);
    etv_redis_talk_members(talk, "SADD", change->models, change->n, change->id);
    write_alive(talk, change->id);
    replies = etv_redis_talk_send(talk, 0);
    if (!replies) {
        return talk->aborted ? APR_EEXIST : etv_redis_talk_status(talk);
    }
    if (!etv_resp_is(replies[change->n], "OK")) {
        return etv_redis_talk_garbled(talk);
    }
    return etv_redis_talk_judge_members(talk, replies, change->models, change->n);
}

static apr_status_t announce(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n,
                             const etv_change_id_t *id, int as_read)
{
    change_t change = {.models = models, .n = n, .id = id, .as_read = as_read && n};

    (void)p;
    if (n < 0 || n > ETV_REDIS_CHANGED_MOST) {
        return APR_EINVAL;
    }
    for (int i = 0; as_read && i < n; i++) {
        if (models[i].state != ETV_MODEL_FOUND && models[i].state != ETV_MODEL_ABSENT) {
            return APR_EEXIST;
        }
    }
    return etv_redis_talk((etv_redis_t *)store, announce_on, &change);
}

/** An etv_redis_talk_fn. */
static apr_status_t withdraw_on(etv_redis_talk_t *talk, void *baton)
{
    const change_t *change = baton;
    etv_resp_t *const *replies;

    etv_redis_talk_begin(talk, 1);
    etv_redis_talk_members(talk, "SREM", change->models, change->n, change->id);
    replies = etv_redis_talk_send(talk, 0);
    if (!replies) {
        return etv_redis_talk_status(talk);
    }
    etv_redis_talk_judge_members(talk, replies, change->models, change->n);
    return talk->give == ETV_GIVE_SOUND ? APR_SUCCESS : etv_redis_talk_status(talk);
}

static apr_status_t withdraw(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n,
                             const etv_change_id_t *id)
{
    change_t change = {.models = models, .n = n, .id = id};

    (void)p;
    if (n < 1 || n > ETV_REDIS_CHANGED_MOST) {
        return n ? APR_EINVAL : APR_SUCCESS;
    }
    return etv_redis_talk((etv_redis_t *)store, withdraw_on, &change);
}

const etv_change_ops_t etv_redis_changes = {.announce = announce,
                                            .complete = etv_redis_complete,
                                            .withdraw = withdraw,
                                            .rescue = etv_redis_rescue,
                                            .bump_if = etv_redis_bump_if};
