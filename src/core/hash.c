/* SPDX-License-Identifier: Apache-2.0 */
#include "core/hash.h"

#include <string.h>

#include <sodium/crypto_generichash.h>
#include <sodium/crypto_shorthash_siphash24.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static unsigned char name_key[ETV_HASH_KEY_BYTES];

void etv_hash_use_key(const unsigned char key[ETV_HASH_KEY_BYTES])
{
    memcpy(name_key, key, sizeof(name_key));
}

etv_hash128_t etv_hash_name(const void *data, apr_size_t len)
{
    etv_hash128_t out;

    crypto_shorthash_siphashx24((unsigned char *)&out, data, len, name_key);
    return out;
}

apr_uint64_t etv_hash_index(const void *data, apr_size_t len)
{
    return XXH3_64bits(data, len);
}

void etv_hash_prf(unsigned char out[16], const void *data, apr_size_t len,
                  const unsigned char key[ETV_HASH_KEY_BYTES])
{
    crypto_shorthash_siphashx24(out, data, len, key);
}

void etv_hash_derive_key(unsigned char key[ETV_HASH_KEY_BYTES], const void *secret, apr_size_t len)
{
    static const unsigned char purpose[] = "entity-tag key 1";

    crypto_generichash(key, ETV_HASH_KEY_BYTES, secret, len, purpose, sizeof(purpose) - 1);
}

void etv_hash_digest(unsigned char *out, apr_size_t out_len, const void *data, apr_size_t len)
{
    crypto_generichash(out, out_len, data, len, NULL, 0);
}
