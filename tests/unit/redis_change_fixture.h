/* SPDX-License-Identifier: Apache-2.0 */
/** Changes for the tests of stores that keep them in Redis. */
#ifndef ETV_TESTS_UNIT_REDIS_CHANGE_FIXTURE_H
#define ETV_TESTS_UNIT_REDIS_CHANGE_FIXTURE_H

#include "redis_fixture.h"

#include "store/change_ops.h"

#define OWNER_A "00000000000000aa"
#define OWNER_B "00000000000000bb"

/** Longer than any test. */
#define GRACE_LONG MS(600000)

static UNUSED etv_change_id_t change_id(const char *owner, apr_uint64_t number,
                                        apr_interval_time_t grace_us)
{
    etv_change_id_t id = {.number = number, .grace_us = grace_us};

    memcpy(id.owner, owner, ETV_OWNER_CHARS);
    return id;
}

static UNUSED apr_status_t announce(etv_store_t *store, const char *name, const etv_change_id_t *id)
{
    etv_model_t m = model(name, 0);

    return store->ops->changes->announce(store, pool, &m, 1, id, 0);
}

static UNUSED apr_status_t complete(etv_store_t *store, const char *name, const etv_change_id_t *id)
{
    etv_model_t m = model(name, 0);

    return store->ops->changes->complete(store, pool, &m, 1, id);
}

static UNUSED apr_status_t withdraw(etv_store_t *store, const char *name, const etv_change_id_t *id)
{
    etv_model_t m = model(name, 0);

    return store->ops->changes->withdraw(store, pool, &m, 1, id);
}

static UNUSED apr_status_t rescue(etv_store_t *store, const char *name, int *still_open)
{
    etv_model_t m = model(name, 0);

    *still_open = 99;
    return store->ops->changes->rescue(store, pool, &m, still_open);
}

/** The state that a lookup tells. */
static UNUSED etv_model_state_e state_of(etv_store_t *store, const char *name)
{
    etv_model_t m;

    ck_assert_int_eq(look(store, name, 0, &m, NULL), ETV_LOOKUP_OK);
    return m.state;
}

static UNUSED long long number_of(server_t *s, const char *words)
{
    redisReply *reply = ask(s, words);
    long long n = reply->type == REDIS_REPLY_INTEGER ? reply->integer : -1;

    freeReplyObject(reply);
    return n;
}

/** A string in the test's pool; NULL when there is none. */
static UNUSED const char *text_of(server_t *s, const char *words)
{
    redisReply *reply = ask(s, words);
    const char *text = reply->type == REDIS_REPLY_STRING ? apr_pstrdup(pool, reply->str) : NULL;

    freeReplyObject(reply);
    return text;
}

/** A store before the suite's server, patient enough for slow machines. */
static UNUSED etv_store_t *store_default(void)
{
    settings_t s = settings_unix(server.path);

    s.config.command_timeout_us = MS(5000);
    return store_make(&s);
}

static UNUSED apr_status_t announce_as_read(etv_store_t *store, etv_model_t *m, int n,
                                            const etv_change_id_t *id)
{
    return store->ops->changes->announce(store, pool, m, n, id, 1);
}

#endif
