/* SPDX-License-Identifier: Apache-2.0 */
/** What the files of bumps share. Nobody else includes this. */
#ifndef ETV_HTTPD_BUMP_STATE_H
#define ETV_HTTPD_BUMP_STATE_H

#include <httpd.h>
#include <apr_tables.h>

#include "httpd/bump.h"

/** The bumps of one chain of internal redirects, or of one subrequest. */
typedef struct {
    request_rec *ran;            /**< where the client's own method ran; NULL for nowhere */
    apr_array_header_t *changes; /**< of etv_change_t *: announced before the backend ran */
    apr_array_header_t *models;  /**< of etv_model_t: those of the changes, each once */
    apr_array_header_t *said;    /**< the same, named by backends and not in a change yet */
    int answered;                /**< the response has begun, and the first bump was made */
    int unsure;                  /**< the backend may not be done although its response is */
    int watched;                 /**< the filter that waits for the end is in the chain */

    /* What the witnesses have seen (bump_witness.c). */
    int worked;      /**< a handler before `ran` has redirected the request inside httpd */
    int began_with;  /**< the status with which `ran` itself began its response; 0: not yet */
    int body_read;   /**< the request's body is being read */
    int body_ended;  /**< its end was read */
    int body_failed; /**< it cannot be read to its end */
} etv_bump_t;

/** Of the request's chain; NULL when there is nothing to bump. */
etv_bump_t *etv_bump_peek(const request_rec *r);
/** The same, made where there is none. */
etv_bump_t *etv_bump_make(request_rec *r);

/** Take from a request's response headers what its backend wants to have bumped. */
void etv_bump_collect(request_rec *r);

/** Whether models has one of this hash. */
int etv_bump_knows(const apr_array_header_t *models, etv_hash128_t hash);

/** An unsafe handler is about to run: note what it reads, and what it says. */
void etv_bump_witness(request_rec *r, etv_bump_t *bump);
/** Whether an error may be no word of the handler, which may have changed something, or still be
 *  about to. */
int etv_bump_is_doubtful(const request_rec *r, const etv_bump_t *bump, int status);
/** Register the witnesses; once. */
void etv_bump_witness_register(void);

/** Make both filters see the response. */
void etv_bump_watch(request_rec *r, etv_bump_t *bump);
/** Make the filter see it that takes the header away. */
void etv_bump_listen(request_rec *r);

#endif
