/* SPDX-License-Identifier: Apache-2.0 */
/** Whether a response may have a tag. Reasons are constants, for the note. */
#ifndef ETV_HTTPD_JUDGE_H
#define ETV_HTTPD_JUDGE_H

#include <httpd.h>
#include <apr_buckets.h>

#include "core/entity_tag.h"
#include "httpd/request.h"
#include "httpd/response.h"

/**
 * Whether the response may have the version or header tag of its request.
 * @param now  what it says now
 * @return NULL, or the reason why not
 */
const char *etv_judge_version(request_rec *r, const etv_request_t *request,
                              const etv_response_t *now);

/** Whether it may have a tag of its content, as far as its header says. NULL or the reason. */
const char *etv_judge_content(request_rec *r, const etv_request_t *request,
                              const etv_response_t *now);

/** Whether it may be held back while its content is read, by its type. NULL or the reason. */
const char *etv_judge_stream(request_rec *r, const etv_request_t *request,
                             const etv_response_t *now);

/**
 * What the first piece of a body that is not held back says against a tag: NULL, or the reason. To
 * HTTP/1.0 a body without length ends where the connection does (RFC 9112 §6.3), so a truncated one
 * looks whole, and only a body that is all here is known to be.
 */
const char *etv_judge_body(request_rec *r, apr_bucket_brigade *bb);

/**
 * The codings of a response, joined with `+`, in `coding`; empty for none.
 * @param from  its Content-Encoding; NULL for none
 * @return 0 when they cannot stand in a tag
 */
int etv_judge_codings(const char *from, char coding[ETV_ENTITY_TAG_CODING_MOST + 1]);

#endif
