/* SPDX-License-Identifier: Apache-2.0 */
/** How the admin handler answers: JSON, and a page for people. */
#ifndef ETV_HTTPD_ADMIN_ANSWER_H
#define ETV_HTTPD_ADMIN_ANSWER_H

#include <httpd.h>
#include <jansson.h>

/** Send an answer. @param answer  is given away; NULL when there was no memory for it
 *  @return what the handler returns */
int etv_admin_answer(request_rec *r, int status, json_t *answer);

/** Send `{"error":"…"}`. @param reason  a sentence without anything that the client sent */
int etv_admin_refuse(request_rec *r, int status, const char *reason);

/** Send the page with the form. */
int etv_admin_page(request_rec *r);

#endif
