/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "core/token.h"
#include "store/boottime.h"
#include "store/redis_txn.h"

/** Most models of one bump: the replies of a transaction fit into one array. */
#define BUMP_MOST 1024

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

/** @return 1 when a primary acknowledged everything; *give is set in any case */
static int bump_on(etv_redis_t *r, etv_redis_conn_t *c, const etv_model_t *models,
                   const char *const *tokens, int n, apr_time_t deadline_us, etv_give_e *give)
{
    etv_redis_answer_t answer;
    etv_resp_t **replies;
    apr_size_t expected;

    etv_resp_out_reset(&c->out);
    expected = etv_redis_bump_write(r, models, tokens, n, &c->out);
    replies = etv_redis_exchange(r, c, expected, 0, deadline_us, 1, give);
    if (!replies ||
        !etv_redis_accept(r, c, etv_redis_bump_read(n, replies, &answer), &answer, give)) {
        return 0;
    }
    *give = ETV_GIVE_SOUND;
    return 1;
}

apr_status_t etv_redis_bump(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n)
{
    etv_redis_t *r = (etv_redis_t *)store;
    apr_time_t now = etv_boottime_us();
    apr_time_t hard = now + r->config.connect_timeout_us + r->config.command_timeout_us;
    const char **tokens;

    if (n < 1 || n > BUMP_MOST) {
        return n ? APR_EINVAL : APR_SUCCESS;
    }
    tokens = make_tokens(p, n);
    if (!tokens) {
        return APR_EGENERAL;
    }
    for (int fresh = 0; fresh < 2; fresh++) {
        etv_redis_conn_t *c;
        apr_time_t deadline;
        etv_give_e give;
        apr_status_t status = etv_redis_take(r, fresh, now, hard, &c, &deadline);
        int done;

        if (status) {
            return status;
        }
        done = bump_on(r, c, models, tokens, n, deadline, &give);
        status = c->status;
        etv_redis_give(r, c, give);
        for (int i = 0; done && i < n; i++) {
            models[i].state = ETV_MODEL_FOUND;
            models[i].token = models[i].kept.token;
            models[i].token_len =
                etv_token_shorten(models[i].kept.token, tokens[i], strlen(tokens[i]));
        }
        if (done || give != ETV_GIVE_STALE) {
            return done ? APR_SUCCESS : status ? status : APR_EGENERAL;
        }
        now = etv_boottime_us();
    }
    return APR_EGENERAL;
}
