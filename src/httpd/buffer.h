/* SPDX-License-Identifier: Apache-2.0 */
/** A response body that is held back while it is hashed. */
#ifndef ETV_HTTPD_BUFFER_H
#define ETV_HTTPD_BUFFER_H

#include <httpd.h>
#include <apr_buckets.h>

#include "core/digest.h"

typedef struct {
    apr_bucket_brigade *held; /**< what was taken so far */
    apr_bucket *open;         /**< the last bucket of `held`, a block with room; NULL */
    apr_size_t room;          /**< bytes that are left in it */
    apr_off_t length;         /**< body bytes so far */
    apr_off_t most;           /**< more are not taken */
    etv_digest_t *digest;     /**< of them; NULL: they are not hashed */
} etv_buffer_t;

typedef enum {
    ETV_BUFFER_TAKEN, /**< the bucket is in `held`, or its bytes are and it is gone */
    ETV_BUFFER_FULL,  /**< over a limit; what was not taken is still the bucket's */
    ETV_BUFFER_FAILED /**< it cannot be read; it is untouched */
} etv_buffer_e;

void etv_buffer_init(etv_buffer_t *buffer, request_rec *r, etv_digest_t *digest, apr_off_t most);

/**
 * Take a data bucket of known length out of its brigade. Files and mapped files stay what they
 * are (sendfile); everything else is packed into blocks of core/blocks.h, however small it comes.
 */
etv_buffer_e etv_buffer_take(etv_buffer_t *buffer, request_rec *r, apr_bucket *b);

/** Take a metadata bucket out of its brigade. */
void etv_buffer_take_metadata(etv_buffer_t *buffer, apr_bucket *b);

/** As etv_buffer_hash, of a file. */
apr_status_t etv_buffer_hash_file(etv_digest_t *digest, apr_bucket *b);

/** Only hash a data bucket of known length, which stays where and what it is. */
static inline apr_status_t etv_buffer_hash(etv_digest_t *digest, apr_bucket *b)
{
    const char *data;
    apr_size_t len;
    apr_status_t rv;

    if (APR_BUCKET_IS_FILE(b))
        return etv_buffer_hash_file(digest, b);
    rv = apr_bucket_read(b, &data, &len, APR_BLOCK_READ);
    if (rv == APR_SUCCESS)
        etv_digest_update(digest, data, len);
    return rv;
}

#endif
