/* SPDX-License-Identifier: Apache-2.0 */
/** Cache-Control and Vary of responses, over both header tables. */
#ifndef ETV_HTTPD_POLICY_H
#define ETV_HTTPD_POLICY_H

#include <httpd.h>

#include "core/tag_header.h"
#include "httpd/config.h"
#include "httpd/request.h"
#include "httpd/response.h"

/** The headers that caches live by, as they would be sent; NULL for absent ones. */
typedef struct {
    const char *cache_control;
    const char *expires;
    const char *vary;
    const char
        *tags[ETV_TAG_HEADER_KINDS]; /**< those that ETagVersionTagHeader names, by kind - 1 */
} etv_freshness_t;

/** All values of a response header in both tables, joined with a comma; NULL when there is none. */
const char *etv_policy_field(request_rec *r, const char *name);

/** Make `value` the only line of a header; NULL removes it. */
void etv_policy_set_field(request_rec *r, const char *name, const char *value);

/** Whether two texts are equal, or both NULL. */
static inline int etv_policy_same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/** What a response says now. */
etv_freshness_t etv_policy_freshness(request_rec *r);

/** As etv_policy_apply, where there is something to merge. */
void etv_policy_apply_all(request_rec *r, const etv_dir_t *dir, const etv_request_t *request);

/** Merge the policy for the request's method and the response's status into the headers.
 * @param request  NULL when there is none for it */
static inline void etv_policy_apply(request_rec *r, const etv_dir_t *dir,
                                    const etv_request_t *request)
{
    if (dir->policy || dir->policy_unsafe || dir->tag_header.items ||
        (request && (request->vary || request->identity.n)))
        etv_policy_apply_all(r, dir, request);
}

/** As etv_policy_unify, where there are several lines or names. */
void etv_policy_unify_lines(request_rec *r, const etv_response_t *now);

/**
 * Make one line of what other modules may have added since (strictest wins, union of Vary). Each
 * encoder names Accept-Encoding, so it may stand twice, which no early 304 would repeat; and
 * mod_cache_disk finds its variants by the very list of names.
 * @param now  what the response says
 */
static inline void etv_policy_unify(request_rec *r, const etv_response_t *now)
{
    if (now->cache_control_lines > 1 || (now->vary && strchr(now->vary, ',')))
        etv_policy_unify_lines(r, now);
}

/** Forget the media type, coding, languages and length that a handler put aside. */
void etv_policy_forget_media(request_rec *r);

/**
 * Take away what describes the representation, for a 304 (RFC 9110 §15.4.5). Not Last-Modified,
 * which may guide caches, nor Content-Location, which it names.
 */
void etv_policy_drop_representation(request_rec *r);

#endif
