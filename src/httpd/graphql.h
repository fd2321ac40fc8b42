/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Requests of GraphQL, in places with ETagVersionGraphQL: what a response depends on is told by the
 * operations, which stand in the query string, or in the body of a QUERY (RFC 10008) or POST. A
 * body is read before the backend runs, up to a limit, and given back byte for byte.
 *
 * Whatever is not understood is no query and no mutation: it gets no tag, and counts as a change.
 */
#ifndef ETV_HTTPD_GRAPHQL_H
#define ETV_HTTPD_GRAPHQL_H

#include <httpd.h>

#include "core/tag.h"
#include "httpd/config.h"

/** Register the filters; once, with the hooks. */
void etv_graphql_register(void);

/** From the handler hook, before everything else: read the body, if it can matter. @return
 * DECLINED, or the status of a body that cannot be read */
int etv_graphql_handler(request_rec *r);

/** Whether the body, in which the operations stand, has not been looked at yet: nothing can be said
 *  about the request before that. */
int etv_graphql_is_awaited(const request_rec *r, const etv_dir_t *dir);

/**
 * Whether the request asks as GET does, although its method is another one: a QUERY, or where that
 * is allowed a POST, with nothing but queries in its body.
 */
int etv_graphql_asks(request_rec *r, const etv_dir_t *dir);

/** Whether it is a QUERY to a place of GraphQL, whatever it asks for. */
int etv_graphql_is_query(const request_rec *r, const etv_dir_t *dir);

/** Whether nothing but queries and subscriptions was posted: to a place of GraphQL such a request
 *  changes nothing. */
int etv_graphql_only_reads(const request_rec *r, const etv_dir_t *dir);

/**
 * The models that a response depends on: those that are configured for the place, and those of the
 * operations. Each operation must be a query that a pattern matches.
 * @param items  of ETagVersionModels
 * @param n      of `items`; out: of the result
 * @return in the request's pool; NULL when nothing is known about some operation
 */
const etv_item_t *etv_graphql_models(request_rec *r, const etv_dir_t *dir, const etv_item_t *items,
                                     int *n);

/** The models that a change there may concern: all of the place. As etv_graphql_models. */
const etv_item_t *etv_graphql_changed(request_rec *r, const etv_dir_t *dir, const etv_item_t *items,
                                      int *n);

/** Fold the method, the media type and the bytes of the body into a tag. */
void etv_graphql_add_fields(etv_tag_fields_t *fields, request_rec *r);

/** Look into the response, in front of the filter that stamps it: one with errors gets no version
 *  tag. It is held back for that, within the limits for content tags. */
void etv_graphql_insert(request_rec *r);

#endif
