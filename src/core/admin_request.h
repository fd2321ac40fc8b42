/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What a request to the admin handler names: models, and on what condition each is bumped. Two
 * notations, of which one request may use both (a query and a body). Everything is checked here:
 * what comes out are names that stores accept and that JSON can say. Pure.
 */
#ifndef ETV_CORE_ADMIN_REQUEST_H
#define ETV_CORE_ADMIN_REQUEST_H

#include <apr.h>
#include <apr_pools.h>

/** Most models of one request. */
#define ETV_ADMIN_BUMPS_MOST 128
/** Longest body, in bytes. */
#define ETV_ADMIN_BODY_MOST 65536
/** Longest digest, in bytes. */
#define ETV_ADMIN_DIGEST_MOST 128

typedef struct {
    const char *model; /**< a model's name (core/model_name.h) in UTF-8 */
    apr_size_t model_len;
    const char *digest; /**< 1 to ETV_ADMIN_DIGEST_MOST visible characters; NULL: no condition */
} etv_admin_bump_t;

/** Zeroed at first. No model is in it twice. */
typedef struct {
    int n;
    etv_admin_bump_t bumps[ETV_ADMIN_BUMPS_MOST];
} etv_admin_request_t;

/**
 * Add what a query or a body of application/x-www-form-urlencoded says: `model=a&model=b`, or
 * `model=a&if-digest=d`, where there is exactly one model.
 * @param request  names are added to it, in `p`
 * @return NULL when it is right; else why not: a sentence without any of the input. The request is
 *         of no use then
 */
const char *etv_admin_request_form(apr_pool_t *p, etv_admin_request_t *request, const char *text,
                                   apr_size_t len);

/**
 * The same for application/json: `{"models":["a","b"]}`, `{"model":"a","if-digest":"d"}`, or
 * `{"bumps":[{"model":"a","if-digest":"d"},{"model":"b"}]}`.
 */
const char *etv_admin_request_json(apr_pool_t *p, etv_admin_request_t *request, const char *text,
                                   apr_size_t len);

/**
 * Add one bump.
 * @param digest  NULL for none
 * @return as above
 */
const char *etv_admin_request_add(apr_pool_t *p, etv_admin_request_t *request, const char *model,
                                  apr_size_t model_len, const char *digest, apr_size_t digest_len);

#endif
