/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The operations that a GraphQL request asks for, whichever way it was sent (GraphQL over HTTP:
 * parameters of a URL or form, JSON, batches of it, the bare document). Whatever two servers might
 * understand differently is unknown. Pure.
 */
#ifndef ETV_CORE_GRAPHQL_REQUEST_H
#define ETV_CORE_GRAPHQL_REQUEST_H

#include <apr.h>
#include <apr_pools.h>

#include "core/graphql_document.h"

/** Most operations of one request. */
#define ETV_GRAPHQL_BATCH_MOST 32
/** Longest body or query string, in bytes; what is longer is unknown. */
#define ETV_GRAPHQL_BODY_MOST 131072
/** Longest name of an operation; a longer one makes the request unknown. */
#define ETV_GRAPHQL_NAME_MOST 256

typedef enum {
    ETV_GRAPHQL_READS,   /**< every operation is a query */
    ETV_GRAPHQL_CHANGES, /**< at least one is a mutation; documents tell all of them */
    ETV_GRAPHQL_LISTENS, /**< at least one is a subscription, the others are queries */
    ETV_GRAPHQL_NAMED,   /**< at least one is known by its name alone: there is no document but a
                              hash or an id, or one that some server does not run (there is a hash
                              as well, or it also defines a mutation). The others are queries */
    ETV_GRAPHQL_UNKNOWN  /**< anything else, names by name alone beside a mutation among them */
} etv_graphql_what_e;

/** Of an operation that is known by its name alone: a fourth of the kinds. */
#define ETV_GRAPHQL_BY_NAME (ETV_GRAPHQL_SUBSCRIPTION + 1)

typedef struct {
    int present; /**< 0: a query string or form without GraphQL's parameters; it is unknown then */
    etv_graphql_what_e what;
    int n;                                       /**< operations; 0 when unknown */
    const char *names[ETV_GRAPHQL_BATCH_MOST];   /**< terminated, in the pool; "" for anonymous */
    unsigned char kinds[ETV_GRAPHQL_BATCH_MOST]; /**< etv_graphql_kind_e, or ETV_GRAPHQL_BY_NAME */
} etv_graphql_request_t;

/**
 * Read a query string: `query`, `operationName`, `variables`, `extensions`; of a persisted document
 * `id`, `documentId` or `doc_id`. Others count for nothing, unless a server has another meaning for
 * them that matters here.
 * @param request  out, whatever was in it; names in `p`
 * @param args     any bytes; need not be terminated
 */
void etv_graphql_request_args(apr_pool_t *p, etv_graphql_request_t *request, const char *args,
                              apr_size_t len);

/** The same of a body of application/x-www-form-urlencoded, which may have no other parameters: it
 *  could be read as something else. */
void etv_graphql_request_form(apr_pool_t *p, etv_graphql_request_t *request, const char *form,
                              apr_size_t len);

/** The same of a body of application/json: an object, or a batch of 1 to 32 in an array. Other
 *  members must be null. */
void etv_graphql_request_json(apr_pool_t *p, etv_graphql_request_t *request, const char *body,
                              apr_size_t len);

/** The same of a body of application/graphql: the document itself. */
void etv_graphql_request_document(apr_pool_t *p, etv_graphql_request_t *request, const char *body,
                                  apr_size_t len);

/**
 * Whether a URL's query string has any of GraphQL's parameters, `variables` included, or one that a
 * server could take for it.
 * @param args  NULL: no query string
 */
int etv_graphql_request_is_in(const char *args);

/**
 * Whether an operation's name matches a pattern: `*` is any bytes, `?` any one byte, everything
 * else itself. An anonymous operation ("") matches `*` as well.
 */
int etv_graphql_request_matches(const char *pattern, const char *name);

#endif
