/* SPDX-License-Identifier: Apache-2.0 */
/** Accept-Encoding (RFC 9110 §12.5.3). Pure, allocates nothing, safe in any thread. */
#ifndef ETV_CORE_ACCEPT_ENCODING_H
#define ETV_CORE_ACCEPT_ENCODING_H

#include <apr.h>

/** Codings that one response may have; more are never accepted, and never stand in a tag. */
#define ETV_CODINGS_MOST 4

/**
 * Whether a request accepts a content coding. Stricter than §12.5.3 in one point: an absent field
 * accepts none, because no server here would encode for such a client. `x-gzip` and `x-compress`
 * are the same as `gzip` and `compress` (§8.4.1); weights of 0 refuse; `*` stands for what is not
 * named. Several codings joined with `+`, as our tags write them, must all be accepted. Where the
 * field is in doubt the answer is no: a member that is not the grammar refuses the coding it begins
 * with, and of several members for one coding the refusing one counts. `identity` is accepted by
 * every field that does not refuse it. An empty coding or part of one is never accepted.
 * @param field  the field value, NULL when the request has none
 */
int etv_accept_encoding_allows(const char *field, const char *coding, apr_size_t coding_len);

#endif
