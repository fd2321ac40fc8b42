/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The digest of bodies: XXH3 with 128 bits, keyed by a secret, streaming, with a vector unit that
 * the processor is found to have at run time. The result does not depend on how the bytes are cut
 * into pieces, nor on the processor. Not a cryptographic hash: content tags are not claimed to be
 * unforgeable. Pure; a digest is used by one thread at a time.
 */
#ifndef ETV_CORE_DIGEST_H
#define ETV_CORE_DIGEST_H

#include <apr.h>
#include <apr_pools.h>

#include "core/hash.h"

/** Bytes of the secret, and of the result. */
#define ETV_DIGEST_SECRET_BYTES 192
#define ETV_DIGEST_BYTES        16

typedef struct etv_digest_t etv_digest_t;

/** The secret of body digests from the key of tags (BLAKE2b). */
void etv_digest_derive(unsigned char secret[ETV_DIGEST_SECRET_BYTES],
                       const unsigned char key[ETV_HASH_KEY_BYTES]);

/** A new digest of nothing, in `p`. @param secret  is not copied: lives as long as the digest */
etv_digest_t *etv_digest_create(apr_pool_t *p, const unsigned char secret[ETV_DIGEST_SECRET_BYTES]);

/** Add bytes. @param data  may be NULL when there are none */
void etv_digest_update(etv_digest_t *digest, const void *data, apr_size_t len);

/**
 * Add one field. Its length follows it, because the length of the body before the fields is not
 * known until it ends: read from the end, what has the same number of fields can be taken apart in
 * one way only.
 */
void etv_digest_update_field(etv_digest_t *digest, const char *text);

/** Add a field that is not there, which is told apart from the empty text. */
void etv_digest_update_no_field(etv_digest_t *digest);

/** The digest of everything so far, in the canonical (big-endian) order. More can be added after.
 */
void etv_digest_result(const etv_digest_t *digest, unsigned char out[ETV_DIGEST_BYTES]);

/** The vector unit in use: "scalar", "sse2", "avx2", "avx512", "neon", "other"; for logs. */
const char *etv_digest_unit(void);

#endif
