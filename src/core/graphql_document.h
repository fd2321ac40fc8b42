/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Which operation of a GraphQL document a server executes (GraphQL, October 2021, sections 2 and
 * 6.1). No parser: definitions are read up to their selection sets, and of what is inside the
 * brackets only the tokens. Where a server less strict than the specification, or older or newer
 * than it, might see other tokens or another operation, the document is malformed here. Pure,
 * linear in time, allocates nothing, calls itself nowhere.
 */
#ifndef ETV_CORE_GRAPHQL_DOCUMENT_H
#define ETV_CORE_GRAPHQL_DOCUMENT_H

#include <apr.h>

/** Deepest nesting of brackets; what is deeper is malformed. */
#define ETV_GRAPHQL_BRACKETS_MOST 256

typedef enum {
    ETV_GRAPHQL_QUERY,
    ETV_GRAPHQL_MUTATION,
    ETV_GRAPHQL_SUBSCRIPTION
} etv_graphql_kind_e;

/** An operation; the name is not terminated and points into the document. */
typedef struct {
    etv_graphql_kind_e kind;
    const char *name;    /**< NULL: anonymous */
    apr_size_t name_len; /**< 0: anonymous */
    int beside_mutation; /**< the document defines a mutation, this one or another */
} etv_graphql_operation_t;

typedef enum {
    ETV_GRAPHQL_FOUND,
    ETV_GRAPHQL_MALFORMED, /**< no executable document, or not beyond doubt */
    ETV_GRAPHQL_ABSENT,    /**< no operation of that name, or none at all */
    ETV_GRAPHQL_AMBIGUOUS /**< several operations and none is wanted, several of the wanted name, or
                               an anonymous one beside others */
} etv_graphql_find_e;

/**
 * Find the operation that a server executes. The whole document is looked at in any case.
 * @param text      any bytes; need not be terminated
 * @param wanted    the operation's name, any bytes; NULL: the only operation there is
 * @param operation out: when found; else undefined
 */
etv_graphql_find_e etv_graphql_document_find(const char *text, apr_size_t len, const char *wanted,
                                             apr_size_t wanted_len,
                                             etv_graphql_operation_t *operation);

/** Whether the bytes are a Name of GraphQL (section 2.1.9). */
int etv_graphql_is_name(const char *text, apr_size_t len);

#endif
