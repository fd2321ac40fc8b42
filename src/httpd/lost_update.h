/* SPDX-License-Identifier: Apache-2.0 */
/**
 * ETagVersionPreconditions: whether what an unsafe request changes is still what its client has
 * seen (RFC 9110 §13.1.1), told by its version tag, before the backend runs.
 */
#ifndef ETV_HTTPD_LOST_UPDATE_H
#define ETV_HTTPD_LOST_UPDATE_H

#include <httpd.h>

#include "httpd/request.h"
#include "store/change.h"

/** Whether the directive holds for a request of this method at this place.
 * @param n  names in ETagVersionModels */
int etv_lost_update_guards(const request_rec *r, const etv_dir_t *dir, int n);

/**
 * Handler hook, before any change is begun: 412, 428, 503, or DECLINED. What was found to be true
 * the backend is not asked again.
 */
int etv_lost_update_handler(request_rec *r);

/**
 * The models, as they were read, that the request may rely on: whoever announces its change does
 * so only if they are still the same (etv_change_begin with `as_read`).
 * @param n  out: how many; 0 when there is nothing to compare
 */
const etv_model_t *etv_lost_update_read(const request_rec *r, int *n);

/** They are not the same any more, or nobody knows. @param result  of etv_change_begin, not
 * ANNOUNCED
 *  @return what the handler hook returns */
int etv_lost_update_refuse(request_rec *r, etv_change_e result);

#endif
