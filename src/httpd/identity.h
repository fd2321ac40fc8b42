/* SPDX-License-Identifier: Apache-2.0 */
/** What tells users apart (ETagVersionIdentity), and whether it covers what a request brings. */
#ifndef ETV_HTTPD_IDENTITY_H
#define ETV_HTTPD_IDENTITY_H

#include <httpd.h>

#include "core/tag.h"
#include "httpd/list.h"

typedef enum {
    ETV_IDENTITY_NONE = 1, /**< everyone gets the same, said explicitly */
    ETV_IDENTITY_USER,     /**< r->user and a verified client certificate */
    ETV_IDENTITY_COOKIE,   /**< cookie:NAME */
    ETV_IDENTITY_HEADER    /**< header:NAME */
} etv_identity_kind_e;

/** The identity that is in force for a request. */
typedef struct {
    const etv_item_t *items;
    int n;    /**< 0: unset */
    int none; /**< explicitly the same for everyone */
} etv_identity_t;

/** Fill in an item's kind from its text. @return 1 when it is one of the four */
int etv_identity_parse(etv_item_t *item);

/** Find mod_ssl's functions, if it is there. Once, after the configuration was read. */
void etv_identity_init(void);

/** The identity that a list says. */
etv_identity_t etv_identity_of(apr_pool_t *p, const etv_list_t *list);

/**
 * Whether every credential that the request brings (Cookie, Authorization, r->user, a verified
 * client certificate) is covered.
 * @param cookie, authorization  whether the request has these headers
 */
int etv_identity_covers_credentials(const etv_identity_t *identity, request_rec *r, int cookie,
                                    int authorization);

/** mod_ssl is loaded: requests may bring client certificates. Set by etv_identity_init. */
extern int etv_identity_has_ssl;

/** The same, without a call for the request that brings nothing at all. */
static inline int etv_identity_covers_request(const etv_identity_t *identity, request_rec *r,
                                              int cookie, int authorization)
{
    return (!cookie && !authorization && !r->user && !etv_identity_has_ssl) ||
           etv_identity_covers_credentials(identity, r, cookie, authorization);
}

/** Whether a response may vary on `Cookie` or `Authorization`. */
int etv_identity_covers_header(const etv_identity_t *identity, const request_rec *r,
                               const char *name);

/** Fold who this is into the tag. */
void etv_identity_add(const etv_identity_t *identity, request_rec *r, etv_tag_fields_t *fields);

/** The request headers that the identity is read from, united with `vary`. */
const char *etv_identity_vary(const etv_identity_t *identity, apr_pool_t *p, const char *vary);

#endif
