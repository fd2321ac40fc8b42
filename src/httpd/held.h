/* SPDX-License-Identifier: Apache-2.0 */
/** A response that is held back while it comes in pieces, within limits of size and time. */
#ifndef ETV_HTTPD_HELD_H
#define ETV_HTTPD_HELD_H

#include <httpd.h>
#include <apr_buckets.h>

#include "httpd/buffer.h"
#include "httpd/response.h"

typedef struct {
    etv_buffer_t buffer;
    apr_off_t declared;  /**< Content-Length, or -1 */
    apr_time_t began_us; /**< of the first byte, where the length is unknown */
} etv_held_t;

/**
 * Read the Content-Length.
 * @param declared  out: -1 when there is none
 * @return 0 when it is wrong, or more than may be held back
 */
int etv_held_read_length(const etv_response_t *now, apr_off_t *declared);

/** Begin to hold back. @param digest  of what is taken; NULL for none */
void etv_held_begin(etv_held_t *held, request_rec *r, etv_digest_t *digest, apr_off_t declared);

/**
 * Take the first bucket of a brigade, which is not the end of the stream.
 * @return NULL when it was taken; else why the response must go on as it is: a constant, for the
 * note
 */
const char *etv_held_take(request_rec *r, etv_held_t *held, apr_bucket *b);

#endif
