/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Version tokens of the module's own bumps: a decimal integer below 2^63, so that clients can read
 * and INCR it; unique without a script. Pure: time and chance are arguments.
 */
#ifndef ETV_CORE_TOKEN_H
#define ETV_CORE_TOKEN_H

#include <apr.h>
#include <apr_time.h>

/** Room for the decimal digits of any token and the end of the string. */
#define ETV_TOKEN_TEXT_ROOM 21

/** @return now_us × 1000 + random mod 1000; a time before 1970 counts as 1970 */
apr_uint64_t etv_token_make(apr_time_t now_us, apr_uint32_t random);

/**
 * The token that follows `last`: what etv_token_make gives, or last + 1 where the clock stepped
 * back or stood still. Never equal to or less than `last`.
 * @param last  0 when there was none
 */
apr_uint64_t etv_token_after(apr_uint64_t last, apr_time_t now_us, apr_uint32_t random);

/** Write the digits of a token, terminated. @return their number */
apr_size_t etv_token_format(char text[ETV_TOKEN_TEXT_ROOM], apr_uint64_t token);

/** Bytes of a token's short form. */
#define ETV_TOKEN_SHORT_MOST 48

/**
 * The short form of a token: itself up to 47 bytes, else a digest of 48. Different tokens have
 * different short forms, so tables and tags can do with these.
 * @return the length of `out`
 */
apr_size_t etv_token_shorten(unsigned char out[ETV_TOKEN_SHORT_MOST], const void *token,
                             apr_size_t len);

#endif
