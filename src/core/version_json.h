/* SPDX-License-Identifier: Apache-2.0 */
/** How a version token is told to people and programs. Pure. */
#ifndef ETV_CORE_VERSION_JSON_H
#define ETV_CORE_VERSION_JSON_H

#include <apr.h>
#include <jansson.h>

#include "core/token.h"

/** Room for a time as in RFC 3339, and the end of the string. */
#define ETV_VERSION_TIME_ROOM 40

/**
 * The time that a token of this project's own making tells (core/token.h), as of RFC 3339 in UTC.
 * Any client may have written such a number, so it is what the token says and nothing more.
 * @return 1, or 0 when it is no such number of a plausible time
 */
int etv_version_time(char text[ETV_VERSION_TIME_ROOM], const void *token, apr_size_t len);

/**
 * Add to a JSON object what is known of a version:
 * "version", a string of visible ASCII characters; or null and one of "version_base64", "opaque"
 * (true: it is longer than what is kept of it, and only its digest is known);
 * "token_time" where etv_version_time knows it.
 * @param token  its short form (etv_token_shorten)
 */
void etv_version_json_add(json_t *object, const void *token, apr_size_t len);

#endif
