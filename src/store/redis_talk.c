/* SPDX-License-Identifier: Apache-2.0 */
#include "store/redis_talk.h"

#include <string.h>

#include "store/boottime.h"

apr_status_t etv_redis_talk(etv_redis_t *r, etv_redis_talk_fn *fn, void *baton)
{
    apr_time_t now = etv_boottime_us();
    apr_time_t hard = now + r->config.connect_timeout_us + r->config.command_timeout_us;
    apr_status_t status = APR_EGENERAL;

    for (int fresh = 0; fresh < 2; fresh++) {
        etv_redis_talk_t talk = {.r = r, .give = ETV_GIVE_SOUND};

        status = etv_redis_take(r, fresh, now, hard, &talk.c, &talk.deadline_us);
        if (status) { /* APR_EAGAIN says that nothing was sent */
            return fresh && status == APR_EAGAIN ? APR_TIMEUP : status;
        }
        status = fn(&talk, baton);
        if (talk.watching && talk.give == ETV_GIVE_SOUND) {
            talk.give = ETV_GIVE_DROP;
        }
        etv_redis_give(r, talk.c, talk.give);
        if (talk.give != ETV_GIVE_STALE) {
            break;
        }
        now = etv_boottime_us();
    }
    return status;
}

apr_status_t etv_redis_talk_status(const etv_redis_talk_t *talk)
{
    return talk->aborted                                      ? APR_EBUSY
           : talk->c->status && talk->c->status != APR_EINVAL ? talk->c->status
                                                              : APR_EGENERAL;
}

/* --- writing --- */

void etv_redis_talk_begin(etv_redis_talk_t *talk, int transaction)
{
    etv_resp_out_reset(&talk->c->out);
    talk->transaction = transaction;
    talk->rows = 0;
    talk->commands = 0;
    talk->aborted = 0;
    if (transaction) {
        etv_resp_out_command(&talk->c->out, 1);
        etv_resp_out_text(&talk->c->out, "MULTI");
    }
}

void etv_redis_talk_command(etv_redis_talk_t *talk, const char *command, apr_size_t words)
{
    int last = talk->rows - 1;

    if (last >= 0 && strcmp(talk->row[last].command, command) == 0) {
        talk->row[last].n++;
    } else if (talk->rows < ETV_REDIS_TALK_ROWS) {
        talk->row[talk->rows].command = command;
        talk->row[talk->rows++].n = 1;
    }
    talk->commands++;
    if (strcmp(command, "WATCH") == 0) {
        talk->watching = 1;
    }
    etv_resp_out_command(&talk->c->out, words);
    etv_resp_out_text(&talk->c->out, command);
}

void etv_redis_talk_key(etv_redis_talk_t *talk, etv_redis_key_e family, const char *name,
                        apr_size_t len)
{
    etv_resp_out_word(&talk->c->out, talk->r->family[family].text, talk->r->family[family].len,
                      name, len);
}

void etv_redis_talk_word(etv_redis_talk_t *talk, const char *text, apr_size_t len)
{
    etv_resp_out_word(&talk->c->out, text, len, NULL, 0);
}

/* --- reading --- */

/** An etv_redis_name_fn. */
static const char *name_of(const void *what, apr_size_t n, apr_size_t index)
{
    const etv_redis_talk_t *talk = what;

    (void)n;
    for (int i = 0; i < talk->rows; i++) {
        if (index < talk->row[i].n) {
            return talk->row[i].command;
        }
        index -= talk->row[i].n;
    }
    return "ROLE";
}

int etv_redis_is_foreign(const etv_resp_t *reply)
{
    return reply->type == ETV_RESP_ERROR && strncmp(reply->str, "WRONGTYPE", 9) == 0;
}

void etv_redis_say_foreign(etv_redis_t *r, const etv_model_t *model)
{
    etv_redis_say(&r->log, ETV_REDIS_SAYS_FOREIGN, ETV_LOG_ERR, APR_EGENERAL,
                  "%s: %s%.*s is none of the module's: as long as it is there, there is no version "
                  "of that model. Delete it",
                  r->shown, r->family[ETV_REDIS_KEY_OPEN].text, (int)model->name_len, model->name);
}

/** Judge the results, of which ROLE's is the last. @return 0 when that is garbled */
static int read_results(const etv_redis_talk_t *talk, etv_resp_t *const *results,
                        etv_redis_answer_t *answer)
{
    for (apr_size_t i = 0; i < talk->commands; i++) {
        if (results[i]->type == ETV_RESP_ERROR && !etv_redis_is_foreign(results[i])) {
            answer->refused = results[i];
            answer->command = name_of(talk, talk->commands, i);
            return 1;
        }
    }
    return etv_redis_read_role(results[talk->commands - 1], answer);
}

/** @return the results, or NULL: aborted, or `answer` and `*right` tell */
static etv_resp_t *const *read_replies(etv_redis_talk_t *talk, etv_resp_t *const *replies,
                                       etv_redis_answer_t *answer, int *right)
{
    const etv_resp_t *exec;
    int garbled;

    if (!talk->transaction) {
        memset(answer, 0, sizeof(*answer));
        *right = read_results(talk, replies, answer);
        return replies;
    }
    exec = etv_redis_read_queue(name_of, talk, talk->commands, replies, answer, &garbled);
    *right = !garbled;
    if (!exec) {
        return NULL;
    }
    talk->watching = 0;
    if (exec->type == ETV_RESP_NIL) {
        talk->aborted = 1;
        return NULL;
    }
    *right = read_results(talk, exec->element, answer);
    return exec->element;
}

etv_resp_t *const *etv_redis_talk_send(etv_redis_talk_t *talk, int values)
{
    int first = !talk->begun;
    etv_redis_answer_t answer;
    etv_resp_t **replies;
    etv_resp_t *const *results;
    int right;

    etv_redis_talk_command(talk, "ROLE", 1);
    if (talk->transaction) {
        etv_resp_out_command(&talk->c->out, 1);
        etv_resp_out_text(&talk->c->out, "EXEC");
    }
    talk->begun = 1;
    talk->c->status = APR_SUCCESS;
    replies = etv_redis_exchange(talk->r, talk->c, talk->commands + (talk->transaction ? 2 : 0),
                                 values, talk->deadline_us, first, &talk->give);
    if (!replies) {
        return NULL;
    }
    results = read_replies(talk, replies, &answer, &right);
    if (talk->aborted) {
        return NULL;
    }
    return etv_redis_accept(talk->r, talk->c, right, &answer, &talk->give) ? results : NULL;
}

void etv_redis_talk_unwatch(etv_redis_talk_t *talk)
{
    etv_redis_talk_begin(talk, 0);
    etv_redis_talk_command(talk, "UNWATCH", 1);
    if (etv_redis_talk_send(talk, 0)) {
        talk->watching = 0;
    }
}

apr_status_t etv_redis_talk_garbled(etv_redis_talk_t *talk)
{
    talk->c->status = APR_EGENERAL;
    talk->give = etv_redis_exchange_failed(talk->r, talk->c, ETV_CONN_GARBLED);
    return talk->c->status;
}
