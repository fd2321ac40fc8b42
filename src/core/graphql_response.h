/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Whether a GraphQL response has errors (GraphQL, October 2021, section 7.1), told from its JSON as
 * it comes, in pieces of any size. Constant memory, 4 to 10 instructions per byte. Pure.
 *
 * Clean is one JSON object that is complete, or an array of one or more, where each has a member
 * `data`, and none a member `errors` other than null and the empty list. Of what is nested deeper
 * only strings and brackets are looked at. In doubt it is not clean: a member's name with an escape
 * in it, nesting beyond 512 levels, anything that is no JSON or no answer of GraphQL.
 */
#ifndef ETV_CORE_GRAPHQL_RESPONSE_H
#define ETV_CORE_GRAPHQL_RESPONSE_H

#include <apr.h>

/** Deepest nesting below a member of the answer. */
#define ETV_GRAPHQL_SCAN_DEPTH_MOST 512

/** A plain value: it may be copied, and there is nothing to free. */
typedef struct {
    unsigned char state;
    unsigned char in_batch;     /**< the root is an array */
    unsigned char in_object;    /**< in the root object, or in one of the batch */
    unsigned char has_data;     /**< that object has a member `data` */
    unsigned char matched;      /**< bytes of a name or word that are as expected */
    unsigned char data_matched; /**< the same of the word `data` */
    unsigned short depth;       /**< open brackets below the two levels that are looked at */
    char closing[ETV_GRAPHQL_SCAN_DEPTH_MOST]; /**< what ends each of them */
} etv_graphql_scan_t;

void etv_graphql_scan_init(etv_graphql_scan_t *scan);

/** The next bytes. Pieces may end anywhere. @return 0 when it cannot be clean any more */
int etv_graphql_scan_feed(etv_graphql_scan_t *scan, const char *data, apr_size_t len);

/** After the last piece. */
int etv_graphql_scan_is_clean(const etv_graphql_scan_t *scan);

#endif
