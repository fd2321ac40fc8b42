/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Conditional requests: the evaluation of RFC 9110 §13.2.2 for GET and HEAD. Pure; results live in
 * the given pool, or are the arguments.
 */
#ifndef ETV_CORE_PRECONDITION_H
#define ETV_CORE_PRECONDITION_H

#include <apr.h>
#include <apr_pools.h>

/** The fields of a request that make it conditional, and its range; NULL for absent ones. Several
 * lines of one field are one value joined with a comma. */
typedef struct {
    const char *if_match;
    const char *if_none_match;
    const char *if_modified_since;
    const char *if_unmodified_since;
    const char *range;
    const char *if_range;
} etv_conditions_t;

/** The representation that a 200 would send. */
typedef struct {
    /** Its entity-tag as it would be sent, NULL for none. */
    const char *etag;
    /** The tag that it had before httpd encoded it; NULL when there is none or it is the same. */
    const char *identity_etag;
    /** Both tags are of this project's making: a member of If-None-Match with the same letter and
     * digest and any coding that the request accepts names the same representation. */
    int own;
    int encoded;                 /**< httpd has encoded it, whether or not there is a tag */
    const char *last_modified;   /**< the field value; NULL for none */
    const char *accept_encoding; /**< of the request; NULL for none */
} etv_selected_t;

typedef enum {
    ETV_PRECONDITION_SEND,         /**< as if there were no condition */
    ETV_PRECONDITION_NOT_MODIFIED, /**< 304 */
    ETV_PRECONDITION_FAILED        /**< 412 */
} etv_precondition_e;

typedef struct {
    etv_precondition_e decision;
    /** On NOT_MODIFIED: the tag that the 304 carries. It is the one that matched, in the text that
     * a 200 would have it in; where several match, that of this 200 (§15.4.5), else the first. For
     * `*` and for dates it is that of this 200. NULL when the representation has none. */
    const char *etag;
    /** On SEND: the range may be applied to this representation (§13.1.5, §14.2): there is a Range,
     * and no If-Range or one that holds. What the range says is not looked at, and to HEAD none
     * applies. */
    int use_range;
} etv_precondition_t;

/** Whether anything of this has to be evaluated at all. */
static inline int etv_conditions_any(const etv_conditions_t *c)
{
    return c->if_match || c->if_none_match || c->if_modified_since || c->if_unmodified_since;
}

/**
 * Evaluate in the order of §13.2.2. The caller knows that the method is GET or HEAD and that the
 * response without conditions would be 2xx (§13.2.1). Without any of it nothing is parsed.
 *
 * If-Match: strong comparison with either tag (the identity one is what the encoded bytes stand
 * for); `*` holds; a list without a tag that can be read does not. If-Unmodified-Since: only
 * without If-Match; ignored without a modification date.
 *
 * If-None-Match: weak comparison with either tag; tags before a malformed member count; `*`
 * matches, also where there is no tag. For own tags letter and digest decide, and a member with a
 * coding matches only when the request accepts that coding: also the one that a backend uses
 * without being asked. Of members with a coding four are judged, the rest are passed over; a member
 * without one always may match. If-Modified-Since: only without If-None-Match; a date in the
 * future is one.
 *
 * If-Range: a tag needs the strong comparison with `etag` and never a version tag of ours (letters
 * v and u); a date must be that of `last_modified`, of what httpd did not encode, whose bytes
 * differ each time. What is neither does not hold.
 *
 * Dates: one HTTP-date (core/http_date.h), anything else is as if the field were absent. A tag that
 * is not the grammar is no tag, except that `*` and dates give it back as it is.
 */
etv_precondition_t etv_precondition_evaluate(apr_pool_t *p, const etv_conditions_t *conditions,
                                             const etv_selected_t *selected);

/** Whether an If-Range value is a content tag of this project's shape (letter c). NULL: no. */
int etv_precondition_is_content_tag(const char *if_range);

#endif
