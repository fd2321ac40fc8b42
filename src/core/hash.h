/* SPDX-License-Identifier: Apache-2.0 */
/** Hashes by well-kept libraries, under the names of this project. Pure. */
#ifndef ETV_CORE_HASH_H
#define ETV_CORE_HASH_H

#include <apr.h>

#define ETV_HASH_KEY_BYTES 16

/** 128 bits. */
typedef struct {
    apr_uint64_t lo, hi;
} etv_hash128_t;

/**
 * The hash of a name for tables that keep the hash alone (SipHash-2-4, 128 bits). Clients choose
 * names: with the key unknown they cannot choose two of one hash. Never in a tag.
 */
etv_hash128_t etv_hash_name(const void *data, apr_size_t len);

/** The key of etv_hash_name, once per process, before the first name; 0 until then. All processes
 *  that share a table share the key. */
void etv_hash_use_key(const unsigned char key[ETV_HASH_KEY_BYTES]);

/** The key of a name within a scope, both already hashed: cheap, and different for each scope. */
static inline etv_hash128_t etv_hash_scoped(etv_hash128_t name, etv_hash128_t scope)
{
    etv_hash128_t key = {name.lo ^ scope.lo, name.hi + scope.hi};

    return key;
}

/** A hash for choosing a place in a small table: XXH3, 64 bits. */
apr_uint64_t etv_hash_index(const void *data, apr_size_t len);

/** The keyed PRF of tags: SipHash-2-4 with 128 bits of output. */
void etv_hash_prf(unsigned char out[16], const void *data, apr_size_t len,
                  const unsigned char key[ETV_HASH_KEY_BYTES]);

/** What stands for longer bytes wherever only equality matters (BLAKE2b). @param out_len  16 to 64
 */
void etv_hash_digest(unsigned char *out, apr_size_t out_len, const void *data, apr_size_t len);

/** A key from a secret of any length (BLAKE2b). */
void etv_hash_derive_key(unsigned char key[ETV_HASH_KEY_BYTES], const void *secret, apr_size_t len);

#endif
