/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Input filters that stand directly in front of HTTP_IN, which knows how long a body is, and behind
 * all filters for content. They stay through internal redirects, and mod_proxy_http does not write
 * a body to a file because of them, as it does when any other filter is there.
 */
#ifndef ETV_HTTPD_PROTO_INPUT_H
#define ETV_HTTPD_PROTO_INPUT_H

#include <httpd.h>
#include <util_filter.h>

/** The request's filter of this kind; NULL when it has none. */
ap_filter_t *etv_proto_input_find(const request_rec *r, const ap_filter_rec_t *kind);

/** Link one; in front of those that were linked before. No effect where there is no HTTP_IN. */
void etv_proto_input_add(request_rec *r, ap_filter_rec_t *kind, void *context);

#endif
