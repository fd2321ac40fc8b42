/* SPDX-License-Identifier: Apache-2.0 */
/** What version and header tags are made of, other than versions and values. */
#ifndef ETV_HTTPD_FIELDS_H
#define ETV_HTTPD_FIELDS_H

#include <httpd.h>

#include "core/tag.h"
#include "httpd/config.h"

/** Fold in what is requested and what serves it. @param models  how many there are */
void etv_fields_add_request(etv_tag_fields_t *fields, request_rec *r, const char *host,
                            const etv_server_t *server, unsigned char models);

/** Fold in the values of the request headers that a response varies on. @param vary  or NULL */
void etv_fields_add_varied(etv_tag_fields_t *fields, request_rec *r, const char *vary);

#endif
