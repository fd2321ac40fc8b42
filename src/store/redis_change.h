/* SPDX-License-Identifier: Apache-2.0 */
/** What the files about changes in Redis share (etv_change_ops_t). */
#ifndef ETV_STORE_REDIS_CHANGE_H
#define ETV_STORE_REDIS_CHANGE_H

#include "store/redis_talk.h"

/** Most models of one bump or change: the replies of a transaction fit into one array. */
#define ETV_REDIS_CHANGED_MOST 1024

/** Room for `<owner>.<number>` and the end of the string. */
#define ETV_REDIS_MEMBER_ROOM (ETV_OWNER_CHARS + 1 + 20 + 1)

/** The change's name in the sets of its models. @return its length */
apr_size_t etv_redis_member_write(char member[ETV_REDIS_MEMBER_ROOM], const etv_change_id_t *id);

/** Whether a member is one that etv_redis_member_write can have written. */
int etv_redis_member_is_right(const char *member, apr_size_t len);

/** Write SADD or SREM of the change for every model. */
void etv_redis_talk_members(etv_redis_talk_t *talk, const char *command, const etv_model_t *models,
                            int n, const etv_change_id_t *id);

/** Judge and log their replies. @return APR_SUCCESS, or why a set is none */
apr_status_t etv_redis_talk_judge_members(etv_redis_talk_t *talk, etv_resp_t *const *replies,
                                          const etv_model_t *models, int n);

/** Write SET of a model's version. */
void etv_redis_talk_set(etv_redis_talk_t *talk, const etv_model_t *model, const char *token);

/** This is the model's version now. */
void etv_redis_set_found(etv_model_t *model, const char *token, apr_size_t len);

apr_status_t etv_redis_complete(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n,
                                const etv_change_id_t *id);
apr_status_t etv_redis_rescue(etv_store_t *store, apr_pool_t *p, etv_model_t *model,
                              int *still_open);
apr_status_t etv_redis_bump_if(etv_store_t *store, apr_pool_t *p, etv_model_t *model,
                               const char *digest, apr_size_t digest_len, int *bumped);

#endif
