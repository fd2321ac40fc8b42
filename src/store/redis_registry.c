/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that tags name. Whoever asks for one proves it by its id, so nothing is proved here. */
#include <apr_strings.h>
#include <string.h>

#include "store/redis_talk.h"

/** A week, in milliseconds. */
#define KEPT_MS "604800000"

#define ID_CHARS (2 * ETV_REGISTRY_ID_BYTES)

typedef struct {
    etv_redis_key_e family;
    char id[ID_CHARS + 1];
    apr_pool_t *p;
    const char *text;
    apr_size_t len;
} text_t;

static text_t name_text(apr_pool_t *p, etv_registry_kind_e kind,
                        const unsigned char id[ETV_REGISTRY_ID_BYTES])
{
    static const char digit[] = "0123456789abcdef";
    text_t t = {.p = p};

    t.family = kind == ETV_REGISTRY_MODELS ? ETV_REDIS_KEY_MODELS : ETV_REDIS_KEY_FIELDS;
    for (int i = 0; i < ETV_REGISTRY_ID_BYTES; i++) {
        t.id[2 * i] = digit[id[i] >> 4];
        t.id[2 * i + 1] = digit[id[i] & 15];
    }
    return t;
}

/** An etv_redis_talk_fn. */
static apr_status_t put_on(etv_redis_talk_t *talk, void *baton)
{
    const text_t *t = baton;
    etv_resp_t *const *replies;

    etv_redis_talk_begin(talk, 1);
    etv_redis_talk_command(talk, "SET", 5);
    etv_redis_talk_key(talk, t->family, t->id, ID_CHARS);
    etv_redis_talk_word(talk, t->text, t->len);
    etv_redis_talk_word(talk, "PX", 2);
    etv_redis_talk_word(talk, KEPT_MS, sizeof(KEPT_MS) - 1);
    replies = etv_redis_talk_send(talk, 0);
    if (!replies) {
        return etv_redis_talk_status(talk);
    }
    return etv_resp_is(replies[0], "OK") ? APR_SUCCESS : etv_redis_talk_garbled(talk);
}

/** An etv_redis_talk_fn. MGET, for which a key of another type is absent. */
static apr_status_t get_on(etv_redis_talk_t *talk, void *baton)
{
    text_t *t = baton;
    etv_resp_t *const *replies;
    const etv_resp_t *value;

    etv_redis_talk_begin(talk, 1);
    etv_redis_talk_command(talk, "MGET", 2);
    etv_redis_talk_key(talk, t->family, t->id, ID_CHARS);
    replies = etv_redis_talk_send(talk, 1);
    if (!replies) {
        return etv_redis_talk_status(talk);
    }
    if (replies[0]->type != ETV_RESP_ARRAY || replies[0]->elements != 1) {
        return etv_redis_talk_garbled(talk);
    }
    value = replies[0]->element[0];
    if (value->type != ETV_RESP_STRING || !value->len || value->len > ETV_REGISTRY_TEXT_MOST) {
        return APR_NOTFOUND;
    }
    t->text = apr_pstrmemdup(t->p, value->str, value->len);
    t->len = value->len;
    return APR_SUCCESS;
}

apr_status_t etv_redis_put(etv_store_t *store, apr_pool_t *p, etv_registry_kind_e kind,
                           const unsigned char id[ETV_REGISTRY_ID_BYTES], const char *text,
                           apr_size_t len)
{
    text_t t = name_text(p, kind, id);

    if (!len || len > ETV_REGISTRY_TEXT_MOST) {
        return APR_EINVAL;
    }
    t.text = text;
    t.len = len;
    return etv_redis_talk((etv_redis_t *)store, put_on, &t);
}

apr_status_t etv_redis_get(etv_store_t *store, apr_pool_t *p, etv_registry_kind_e kind,
                           const unsigned char id[ETV_REGISTRY_ID_BYTES], const char **text,
                           apr_size_t *len)
{
    text_t t = name_text(p, kind, id);
    apr_status_t status = etv_redis_talk((etv_redis_t *)store, get_on, &t);

    if (status == APR_SUCCESS) {
        *text = t.text;
        *len = t.len;
    }
    return status;
}

/* --- without a mirror this host remembers nothing --- */

static void moment(etv_store_t *store, etv_moment_t *at)
{
    (void)store;
    memset(at, 0, sizeof(*at));
}

static etv_lookup_e recall(etv_store_t *store, etv_model_t *models, int n, const etv_moment_t *at,
                           etv_snapshot_t *snapshot)
{
    (void)store;
    (void)models;
    (void)n;
    (void)at;
    (void)snapshot;
    return ETV_LOOKUP_UNAVAILABLE;
}

const etv_declared_ops_t etv_redis_declared = {
    .moment = moment, .recall = recall, .put = etv_redis_put, .get = etv_redis_get};
