/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The texts that tags name by an id (core/text_id.h): kept by this host, and by the store for all
 * others. Ids come from clients: only genuine ones may be asked for.
 */
#ifndef ETV_HTTPD_NAMED_H
#define ETV_HTTPD_NAMED_H

#include <httpd.h>

#include "core/text_id.h"
#include "httpd/request.h"

/**
 * The text of an id that is known to be genuine.
 * @param key  that the id was made with
 * @param len  out: its length
 * @return in the request's pool; NULL when nobody knows it, or this request has asked
 *         the store too often
 */
const char *etv_named_find(request_rec *r, etv_request_t *request, etv_text_id_kind_e kind,
                           const unsigned char id[ETV_TEXT_ID_BYTES], const unsigned char *key,
                           apr_size_t *len);

/** Remember a text on this host. */
void etv_named_keep(etv_text_id_kind_e kind, const unsigned char id[ETV_TEXT_ID_BYTES],
                    const char *text, apr_size_t len);

/** Whether this process has not yet published it to this life of the store today. */
int etv_named_is_due(request_rec *r, const etv_request_t *request,
                     const unsigned char id[ETV_TEXT_ID_BYTES]);

/** Remember it on this host, and have the store remember it for all. */
void etv_named_publish(request_rec *r, const etv_request_t *request, etv_text_id_kind_e kind,
                       const unsigned char id[ETV_TEXT_ID_BYTES], const char *text, apr_size_t len);

#endif
