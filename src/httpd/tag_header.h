/* SPDX-License-Identifier: Apache-2.0 */
/** ETagVersionTagHeader: the names of models in the headers that other caches purge by. */
#ifndef ETV_HTTPD_TAG_HEADER_H
#define ETV_HTTPD_TAG_HEADER_H

#include <httpd.h>

#include "core/tag_header.h"
#include "httpd/request.h"

/**
 * Add the names of the request's models to the headers, behind what is there already. Nothing where
 * the models are not all known, or the list would be cut off by its reader.
 */
void etv_tag_header_add(request_rec *r, const etv_request_t *request);

/** Those headers as they are now, by kind - 1; NULL for absent ones and those not configured. */
void etv_tag_header_get(request_rec *r, const char *values[ETV_TAG_HEADER_KINDS]);

/** Give those headers these values; NULL removes one. Headers not configured are not touched. */
void etv_tag_header_set(request_rec *r, const char *const values[ETV_TAG_HEADER_KINDS]);

/** Whether two sets of values are the same. */
int etv_tag_header_same(const char *const a[ETV_TAG_HEADER_KINDS],
                        const char *const b[ETV_TAG_HEADER_KINDS]);

#endif
