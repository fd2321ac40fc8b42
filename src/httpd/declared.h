/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Models that responses declare (ETagVersionModelsHeader). A tag of such a response names the list
 * of them, so a later If-None-Match tells any host which versions to read before the backend runs.
 * Correctness needs no memory of URLs; what is remembered saves work.
 */
#ifndef ETV_HTTPD_DECLARED_H
#define ETV_HTTPD_DECLARED_H

#include <httpd.h>

#include "httpd/request.h"
#include "httpd/response.h"

/**
 * In place of etv_versions_read and etv_versions_tag, where the header is trusted: read the
 * versions of the configured models, and of the lists that the client's tags name or, without such,
 * that the URL had last. Sets request->declared.
 * @return NULL when the response may have its tag if it declares nothing; else why not
 */
const char *etv_declared_read(request_rec *r, etv_request_t *request);

/** The same for the lists that another condition names (mod_cache's own). */
void etv_declared_read_more(request_rec *r, etv_request_t *request, const char *if_none_match);

/** The tag that one of our own tags must be to be this response's: that of the list it names, or of
 *  none; NULL when its versions are not known. */
etv_tag_t *etv_declared_tag(etv_request_t *request, const etv_entity_tag_own_t *own);

/** The likeliest of these tags; NULL when there is none. */
static inline etv_tag_t *etv_declared_first(etv_request_t *request)
{
    return request->listed ? request->listed : request->tagged ? &request->tag : NULL;
}

/** Whether there is any. */
static inline int etv_declared_any(etv_request_t *request)
{
    return etv_declared_first(request) != NULL;
}

/** One of these tags has matched: the request's models are those that it was made of. */
void etv_declared_choose(request_rec *r, etv_request_t *request, etv_tag_t *tag);

/** The handler is about to run: what is known at this moment may count later. With
 *  request->declared; as are the following. */
void etv_declared_begin(request_rec *r, etv_request_t *request);

/**
 * The response is there: its tag, request->tag, is that of what it declares, if law 2 allows it
 * (request->tagged). Before anything is made of the request's models.
 */
void etv_declared_settle(request_rec *r, etv_request_t *request);

/** A list that was not known before may be read next time. @param now  what the response says */
void etv_declared_remember(request_rec *r, etv_request_t *request, const etv_response_t *now);

/** The response gets its tag: all hosts shall know the list that it names. */
void etv_declared_publish(request_rec *r, etv_request_t *request);

#endif
