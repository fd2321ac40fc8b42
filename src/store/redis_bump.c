/* SPDX-License-Identifier: Apache-2.0 */
/* Bumps, and the changes that end with one. */
#include <string.h>

#include "core/token.h"
#include "store/redis_change.h"

/** New tokens as C strings in `p`. @return NULL without randomness */
static const char **make_tokens(apr_pool_t *p, int n)
{
    const char **tokens = apr_palloc(p, ((apr_size_t)n + 1) * sizeof(*tokens));

    for (int i = 0; i < n; i++) {
        char *text = apr_palloc(p, ETV_TOKEN_TEXT_ROOM);
        apr_uint64_t token = etv_redis_token();

        if (!token) {
            return NULL;
        }
        etv_token_format(text, token);
        tokens[i] = text;
    }
    return tokens;
}

void etv_redis_set_found(etv_model_t *model, const char *token, apr_size_t len)
{
    model->state = ETV_MODEL_FOUND;
    model->token = model->kept.token;
    model->token_len = etv_token_shorten(model->kept.token, token, len);
}

void etv_redis_talk_set(etv_redis_talk_t *talk, const etv_model_t *model, const char *token)
{
    etv_redis_talk_command(talk, "SET", 3);
    etv_redis_talk_key(talk, ETV_REDIS_KEY_MODEL, model->name, model->name_len);
    etv_redis_talk_word(talk, token, strlen(token));
}

typedef struct {
    apr_pool_t *p;
    etv_model_t *models;
    int n;
    const char **tokens;       /* of the last attempt */
    const etv_change_id_t *id; /* NULL: no change ends */
} bump_t;

/**
 * An etv_redis_talk_fn. Each attempt has tokens of its own: one that was lost with its connection
 * may have been done, and somebody's bump may have followed, whose data an old token must not name.
 */
static apr_status_t bump_on(etv_redis_talk_t *talk, void *baton)
{
    bump_t *bump = baton;
    etv_resp_t *const *replies;

    bump->tokens = make_tokens(bump->p, bump->n);
    if (!bump->tokens) {
        return APR_EGENERAL;
    }
    etv_redis_talk_begin(talk, 1);
    for (int i = 0; i < bump->n; i++) {
        etv_redis_talk_set(talk, &bump->models[i], bump->tokens[i]);
    }
    if (bump->id) {
        etv_redis_talk_members(talk, "SREM", bump->models, bump->n, bump->id);
    }
    replies = etv_redis_talk_send(talk, 0);
    if (!replies) {
        return etv_redis_talk_status(talk);
    }
    for (int i = 0; i < bump->n; i++) {
        if (!etv_resp_is(replies[i], "OK")) {
            return etv_redis_talk_garbled(talk);
        }
    }
    /* In what is no set there is nothing to remove: the change has ended all the same. */
    if (bump->id) {
        etv_redis_talk_judge_members(talk, replies + bump->n, bump->models, bump->n);
    }
    return APR_SUCCESS;
}

static apr_status_t bump(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n,
                         const etv_change_id_t *id)
{
    bump_t b = {.p = p, .models = models, .n = n, .id = id};
    apr_status_t status;

    if (n < 1 || n > ETV_REDIS_CHANGED_MOST) {
        return n ? APR_EINVAL : APR_SUCCESS;
    }
    status = etv_redis_talk((etv_redis_t *)store, bump_on, &b);
    for (int i = 0; status == APR_SUCCESS && i < n; i++) {
        etv_redis_set_found(&models[i], b.tokens[i], strlen(b.tokens[i]));
    }
    return status;
}

apr_status_t etv_redis_bump(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n)
{
    return bump(store, p, models, n, NULL);
}

apr_status_t etv_redis_complete(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n,
                                const etv_change_id_t *id)
{
    return bump(store, p, models, n, id);
}
