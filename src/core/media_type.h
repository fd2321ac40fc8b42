/* SPDX-License-Identifier: Apache-2.0 */
/** Media types (RFC 9110 §8.3.1) and patterns of them. Pure, allocates nothing. */
#ifndef ETV_CORE_MEDIA_TYPE_H
#define ETV_CORE_MEDIA_TYPE_H

#include <apr.h>

/**
 * Whether a pattern is one: `type/subtype`, `type/` followed by an asterisk, `type/` asterisk
 * `+suffix`, or a lone asterisk. Tokens of §5.6.2, no parameters. An asterisk anywhere else is a
 * mistake (`*` `/` `*`, `text/x*`), although it is a token's character.
 */
int etv_media_type_is_pattern(const char *pattern);

/**
 * Whether the media type of a Content-Type value matches a pattern; parameters and case aside. A
 * lone asterisk matches every value, also an absent one. NULL or malformed: only the lone asterisk.
 * A suffix matches what something stands before: not `application/+json`, nor `application/json`.
 * What is no pattern matches nothing.
 */
int etv_media_type_matches(const char *content_type, const char *pattern);

/**
 * Whether a response of this type is a stream by its nature, which nobody may hold back:
 * text/event-stream, multipart/x-mixed-replace, application/grpc and everything that begins with
 * it. Whatever follows the media type is not looked at, so a malformed value is a stream, too.
 * NULL: no.
 */
int etv_media_type_is_stream(const char *content_type);

#endif
