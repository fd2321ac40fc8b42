/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Bumps that httpd makes by itself: of the models that ETagVersionInvalidate names, around an
 * unsafe request, and of those that a backend names in its response (ETagVersionInvalidateHeader).
 *
 * A change begins before the backend runs. It is bumped before the response's first byte leaves and
 * ends, with another bump, when the backend has said its last byte, before the client sees that it
 * was the last. In between nothing that depends on its models is answered 304 or tagged.
 */
#ifndef ETV_HTTPD_BUMP_H
#define ETV_HTTPD_BUMP_H

#include <httpd.h>

#include "store/change.h"

/** Register the filters; once, with the hooks. */
void etv_bump_register(void);

/** Whether the client asked with a method that may change something (RFC 9110 §9.2.1); whatever
 *  internal redirects have made of it. */
int etv_bump_is_unsafe(const request_rec *r);

/**
 * Begin a change of models before the backend runs; its bumps and its end are cared for. Models
 * whose change was begun for this request before are left out.
 * @param as_read  see etv_change_ops_t.announce
 */
etv_change_e etv_bump_begin(request_rec *r, const etv_model_t *models, int n, int as_read);

/** Hooks. The handler before all that have content, mod_cache's too. */
int etv_bump_handler(request_rec *r);
int etv_bump_quick_handler(request_rec *r, int lookup);
void etv_bump_insert_error(request_rec *r);
int etv_bump_log(request_rec *r);

#endif
