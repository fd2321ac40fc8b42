/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What changes say to the server on one connection, in one or several exchanges: each a
 * transaction, or commands one by one that watch keys for the transaction that follows. Every
 * exchange ends with ROLE, and counts only when a primary answered.
 */
#ifndef ETV_STORE_REDIS_TALK_H
#define ETV_STORE_REDIS_TALK_H

#include "store/redis_txn.h"

/** Rows of equal commands in one exchange. */
#define ETV_REDIS_TALK_ROWS 8

typedef struct {
    etv_redis_t *r;
    etv_redis_conn_t *c;
    apr_time_t deadline_us;
    etv_give_e give; /* how the connection did */
    int begun;       /* 1: something was exchanged already */
    int watching;    /* 1: keys are watched for whoever uses the connection next */
    int aborted;     /* 1: the last transaction was not run, a watched key had changed */
    /* the exchange that is being written */
    int transaction;
    int rows;
    struct {
        const char *command;
        apr_size_t n;
    } row[ETV_REDIS_TALK_ROWS];
    apr_size_t commands;
} etv_redis_talk_t;

/** @return APR_SUCCESS, or why not */
typedef apr_status_t etv_redis_talk_fn(etv_redis_talk_t *talk, void *baton);

/**
 * Take a connection, talk, and give it back; once more on a new one where the first was found
 * closed, or another node is to be asked: `fn` begins anew then.
 * @return what `fn` returned, or why there was no connection
 */
apr_status_t etv_redis_talk(etv_redis_t *r, etv_redis_talk_fn *fn, void *baton);

/** Begin an exchange. @param transaction  1: what follows happens at one moment, or not at all */
void etv_redis_talk_begin(etv_redis_talk_t *talk, int transaction);
/** Begin a command of `words` words, this one included. */
void etv_redis_talk_command(etv_redis_talk_t *talk, const char *command, apr_size_t words);
void etv_redis_talk_key(etv_redis_talk_t *talk, etv_redis_key_e family, const char *name,
                        apr_size_t len);
void etv_redis_talk_word(etv_redis_talk_t *talk, const char *text, apr_size_t len);

/**
 * Send it, with ROLE behind it.
 * @param values  how many of the replies may be long
 * @return the replies, one for each command, until the next exchange. Errors among them are
 *         WRONGTYPE and those of the sets alone. NULL: talk->aborted, or it failed: was logged, and
 *         etv_redis_talk_status tells
 */
etv_resp_t *const *etv_redis_talk_send(etv_redis_talk_t *talk, int values);

/** Watch nothing any more, where no transaction follows. */
void etv_redis_talk_unwatch(etv_redis_talk_t *talk);

/** Why the last exchange failed; never APR_SUCCESS. */
apr_status_t etv_redis_talk_status(const etv_redis_talk_t *talk);

/** The replies are not those of such commands; logged. @return why */
apr_status_t etv_redis_talk_garbled(etv_redis_talk_t *talk);

/** Whether a reply says that a key has another type than changes give it. */
int etv_redis_is_foreign(const etv_resp_t *reply);

/** Log that the set of a model's changes holds what none left there, or is no set. */
void etv_redis_say_foreign(etv_redis_t *r, const etv_model_t *model);

#endif
