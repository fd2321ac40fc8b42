/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The header fields that a `u` tag names: what the 200 carried beyond what configuration gives, so
 * that an early 304 to that tag carries the same, on any host.
 */
#ifndef ETV_HTTPD_FIELD_SETS_H
#define ETV_HTTPD_FIELD_SETS_H

#include <httpd.h>

#include "core/field_set.h"
#include "core/text_id.h"
#include "httpd/policy.h"
#include "httpd/request.h"

struct etv_field_sets_found_t {
    int n;
    etv_field_set_field_t fields[ETV_FIELD_SET_FIELDS_MOST];
};

/**
 * Name what a response carries, and have it remembered.
 * @param final  what it carries
 * @param id     out
 * @return 0 when the tag can name nothing: there is none of these fields, or too much
 */
int etv_field_sets_name(request_rec *r, etv_request_t *request, const etv_freshness_t *final,
                        unsigned char id[ETV_TEXT_ID_BYTES]);

/**
 * The fields that a tag names. The tag is right, so the name is genuine.
 * @param name  ETV_TEXT_ID_CHARS characters of base64url
 * @param key   of the tag
 * @return NULL when they are not known
 */
const etv_field_sets_found_t *etv_field_sets_find(request_rec *r, etv_request_t *request,
                                                  const char *name, const unsigned char *key);

/** Give a response exactly these of the fields that a set can have. @param found  NULL: none */
void etv_field_sets_put(request_rec *r, const etv_field_sets_found_t *found);

#endif
