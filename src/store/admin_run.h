/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Carries out, on a store, what a request to the admin handler or to the command line tool names
 * (core/admin_request.h), and says in JSON what came of it.
 */
#ifndef ETV_STORE_ADMIN_RUN_H
#define ETV_STORE_ADMIN_RUN_H

#include <jansson.h>

#include "core/admin_request.h"
#include "store/store.h"

_Static_assert(ETV_ADMIN_BUMPS_MOST % ETV_MODELS_MOST == 0, "a request is run in whole portions");

/**
 * Bump: first the models without a condition, then the others, until one cannot be told.
 * @param answer  out: `{"bumped":[…],"unchanged":[…]}`, the caller's
 * @param failed  out: the models that the store has not acknowledged, in `p`
 * @return their number
 */
int etv_admin_run_bumps(etv_store_t *store, apr_pool_t *p, const etv_admin_request_t *request,
                        json_t **answer, etv_model_t **failed);

/**
 * Look up all models; creates none.
 * @param now_us  see etv_snapshot_t
 * @return as many models as the request has, in `p`; NULL when the store does not answer
 */
etv_model_t *etv_admin_run_lookup(etv_store_t *store, apr_pool_t *p,
                                  const etv_admin_request_t *request, apr_time_t now_us);

/** A model and its version, if it has one, as an object (core/version_json.h); the caller's. */
json_t *etv_admin_run_describe(const etv_store_t *store, const etv_model_t *model);

/** "found", "absent", "unusable", "changing". */
const char *etv_admin_run_state(const etv_model_t *model);

#endif
