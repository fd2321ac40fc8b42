/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The transaction that reads, and what it has in common with all others (redis_talk.h): what is
 * sent, how, and what the replies mean. All hold ROLE, so that a result tells whether it came from
 * a primary at the same moment.
 */
#ifndef ETV_STORE_REDIS_TXN_H
#define ETV_STORE_REDIS_TXN_H

#include "store/redis_store.h"

/** Hexadecimal digits of an epoch or secret that is made here. */
#define ETV_REDIS_HEX 32

/** What one reading transaction shall do. Epoch and models are always read. */
typedef struct {
    const etv_model_t *models;
    int n;
    apr_uint32_t create; /**< bit i: create models[i] first, unless something is there */
    int create_epoch;
    int secret;        /**< read the secret too */
    int create_secret; /**< create it first, unless something is there */
    int server;        /**< read the run id too */
    int apart;         /**< ask of each model, not of all at once, whether a change is under way */
} etv_redis_ask_t;

/** Replies of a transaction; they live in the connection until its next exchange. */
typedef struct {
    const etv_resp_t
        *refused;        /**< the error reply that explains why there is nothing else, or NULL */
    const char *command; /**< that was refused */
    int in_step;         /**< 1: the server is out of the transaction, whatever it answered */
    int master;          /**< 1: the server was primary */
    const etv_resp_t *epoch;
    const etv_resp_t *secret;      /**< NULL unless asked for */
    etv_resp_t *const *models;     /**< n of them */
    etv_resp_t *const *open;       /**< integers: of all models together, or `apart`: of each */
    const etv_resp_t *server;      /**< INFO server; NULL unless asked for */
    const etv_resp_t *replication; /**< INFO replication */
} etv_redis_answer_t;

/** Write the transaction. @return the number of replies; 0 when there is no randomness */
apr_size_t etv_redis_ask_write(const etv_redis_t *r, const etv_redis_ask_t *ask,
                               etv_resp_out_t *out);

/** @return 1, or 0 when these are not the replies of such a transaction */
int etv_redis_ask_read(const etv_redis_ask_t *ask, etv_resp_t *const *replies,
                       etv_redis_answer_t *answer);

/** Names command `index` of the `n` in a transaction, for the log. */
typedef const char *etv_redis_name_fn(const void *what, apr_size_t n, apr_size_t index);

/**
 * The replies of MULTI, `n` commands and EXEC, up to where their results begin. The first error
 * explains all later ones.
 * @return EXEC's array of `n`, errors among them or not, or its nil; or NULL: refused, which
 *         `answer` tells, or *garbled
 */
const etv_resp_t *etv_redis_read_queue(etv_redis_name_fn *name, const void *what, apr_size_t n,
                                       etv_resp_t *const *replies, etv_redis_answer_t *answer,
                                       int *garbled);

/** Take the reply to ROLE into the answer. @return 0 when it is none */
int etv_redis_read_role(const etv_resp_t *role, etv_redis_answer_t *answer);

/**
 * Take a connection; logs why there is none.
 * @param fresh        1: after a connection was found closed: a new one
 * @param hard_us      no result comes later than this
 * @param deadline_us  out: of the command
 */
apr_status_t etv_redis_take(etv_redis_t *r, int fresh, apr_time_t now, apr_time_t hard_us,
                            etv_redis_conn_t **c, apr_time_t *deadline_us);

void etv_redis_give(etv_redis_t *r, etv_redis_conn_t *c, etv_give_e how);

/**
 * Send what c->out holds and read `n` replies with up to `values` values of models.
 * @param first  1: nothing was exchanged for this request yet
 * @return the replies, or NULL and *give, logged unless that is ETV_GIVE_STALE
 */
etv_resp_t **etv_redis_exchange(etv_redis_t *r, etv_redis_conn_t *c, apr_size_t n, int values,
                                apr_time_t deadline_us, int first, etv_give_e *give);

/**
 * Whether an answer is one to build on: right, not refused, from a primary.
 * @return 1, or 0 and *give, logged
 */
int etv_redis_accept(etv_redis_t *r, etv_redis_conn_t *c, int right,
                     const etv_redis_answer_t *answer, etv_give_e *give);

/** The next token of this process: none is ever given twice. @return 0 without randomness */
apr_uint64_t etv_redis_token(void);

#endif
