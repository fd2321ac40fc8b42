/* SPDX-License-Identifier: Apache-2.0 */
/** UTF-8 (RFC 3629), for texts that anybody may have written. Pure. */
#ifndef ETV_CORE_UTF8_H
#define ETV_CORE_UTF8_H

#include <apr.h>

/**
 * The character that stands here.
 * @param left  bytes there are, at least 1
 * @return how many bytes it has; 0 when there is none: these bytes are not UTF-8
 */
apr_size_t etv_utf8_character(const char *text, apr_size_t left);

/**
 * The same, and whether a terminal shows it: it obeys the control characters of C1
 * (U+0080..U+009F) as it does those of ASCII.
 * @param shows  out: 0 for control characters, DEL, and bytes that are not UTF-8
 * @return how many bytes to step on, at least 1
 */
apr_size_t etv_utf8_step(const char *text, apr_size_t left, int *shows);

#endif
