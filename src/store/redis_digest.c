/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bumps by the digest of data. Beside the version stands what it was made for, digest and version
 * together: whoever changes the version alone makes that void.
 */
#include <apr_strings.h>
#include <string.h>

#include "core/token.h"
#include "store/boottime.h"
#include "store/redis_change.h"

/** How often it is tried again when others change the version in between. */
#define ROUNDS_MOST 8

/** The digest's length in front tells where it ends: a version may have any bytes. */
#define RECORD_ROOM (8 + ETV_DATA_DIGEST_MOST + ETV_TOKEN_MOST)

typedef struct {
    etv_model_t *model;
    const char *digest;
    apr_size_t digest_len;
    int bumped;
} bump_if_t;

static apr_size_t write_record(const bump_if_t *b, const char *token, apr_size_t len,
                               char record[RECORD_ROOM])
{
    apr_size_t at = (apr_size_t)apr_snprintf(record, 8, "%d:", (int)b->digest_len);

    memcpy(record + at, b->digest, b->digest_len);
    memcpy(record + at + b->digest_len, token, len);
    return at + b->digest_len + len;
}

static int is_recorded(const bump_if_t *b, const etv_resp_t *token, const etv_resp_t *record)
{
    char wanted[RECORD_ROOM];
    apr_size_t len;

    if (token->type != ETV_RESP_STRING || token->len > ETV_TOKEN_MOST ||
        record->type != ETV_RESP_STRING) {
        return 0;
    }
    len = write_record(b, token->str, token->len, wanted);
    return len == record->len && memcmp(wanted, record->str, len) == 0;
}

static void write_keys(etv_redis_talk_t *talk, const char *command, const etv_model_t *m)
{
    etv_redis_talk_command(talk, command, 3);
    etv_redis_talk_key(talk, ETV_REDIS_KEY_MODEL, m->name, m->name_len);
    etv_redis_talk_key(talk, ETV_REDIS_KEY_DIGEST, m->name, m->name_len);
}

/** Read what is watched from now on. @return APR_SUCCESS: b->bumped is 0 when it is recorded */
static apr_status_t compare(etv_redis_talk_t *talk, bump_if_t *b)
{
    etv_resp_t *const *replies;
    const etv_resp_t *values;

    etv_redis_talk_begin(talk, 0);
    write_keys(talk, "WATCH", b->model);
    write_keys(talk, "MGET", b->model);
    replies = etv_redis_talk_send(talk, 2);
    if (!replies) {
        return etv_redis_talk_status(talk);
    }
    values = replies[1];
    if (!etv_resp_is(replies[0], "OK") || values->type != ETV_RESP_ARRAY || values->elements != 2) {
        return etv_redis_talk_garbled(talk);
    }
    b->bumped = !is_recorded(b, values->element[0], values->element[1]);
    if (!b->bumped) {
        etv_redis_set_found(b->model, values->element[0]->str, values->element[0]->len);
    }
    return APR_SUCCESS;
}

static apr_status_t set(etv_redis_talk_t *talk, const bump_if_t *b)
{
    char record[RECORD_ROOM];
    char text[ETV_TOKEN_TEXT_ROOM];
    apr_uint64_t token = etv_redis_token();
    apr_size_t len;
    etv_resp_t *const *replies;

    if (!token) {
        return APR_EGENERAL;
    }
    len = etv_token_format(text, token);
    etv_redis_talk_begin(talk, 1);
    etv_redis_talk_set(talk, b->model, text);
    etv_redis_talk_command(talk, "SET", 3);
    etv_redis_talk_key(talk, ETV_REDIS_KEY_DIGEST, b->model->name, b->model->name_len);
    etv_redis_talk_word(talk, record, write_record(b, text, len, record));
    replies = etv_redis_talk_send(talk, 0);
    if (!replies) {
        return etv_redis_talk_status(talk);
    }
    if (!etv_resp_is(replies[0], "OK") || !etv_resp_is(replies[1], "OK")) {
        return etv_redis_talk_garbled(talk);
    }
    etv_redis_set_found(b->model, text, len);
    return APR_SUCCESS;
}

/** An etv_redis_talk_fn. */
static apr_status_t bump_if_on(etv_redis_talk_t *talk, void *baton)
{
    bump_if_t *b = baton;

    for (int round = 0; round < ROUNDS_MOST && etv_boottime_us() < talk->deadline_us; round++) {
        apr_status_t status = compare(talk, b);

        if (status == APR_SUCCESS && b->bumped) {
            status = set(talk, b);
        } else if (status == APR_SUCCESS) {
            etv_redis_talk_unwatch(talk);
        }
        if (!talk->aborted) {
            return status;
        }
    }
    etv_redis_say(&talk->r->log, ETV_REDIS_SAYS_CONTENDED, ETV_LOG_WARNING, APR_EBUSY,
                  "%s: others change a version too often for a bump by digest", talk->r->shown);
    return APR_EBUSY;
}

apr_status_t etv_redis_bump_if(etv_store_t *store, apr_pool_t *p, etv_model_t *model,
                               const char *digest, apr_size_t digest_len, int *bumped)
{
    bump_if_t b = {.model = model, .digest = digest, .digest_len = digest_len};
    apr_status_t status;

    (void)p;
    *bumped = 0;
    if (digest_len < 1 || digest_len > ETV_DATA_DIGEST_MOST) {
        return APR_EINVAL;
    }
    status = etv_redis_talk((etv_redis_t *)store, bump_if_on, &b);
    *bumped = status == APR_SUCCESS && b.bumped;
    return status;
}
