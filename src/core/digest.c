/* SPDX-License-Identifier: Apache-2.0 */
#include "core/digest.h"

#include <string.h>

#include <sodium/crypto_generichash.h>

#include "core/digest_unit.h"

/* Vector units load and store the state whole, so it is aligned more than pools do. */
struct etv_digest_t {
    XXH3_state_t state;
    const etv_digest_unit_t *unit;
};

/* The length of a field that is not there; no text is that long. */
#define NO_FIELD APR_UINT64_MAX

#define WIDE_UNITS 2

/* A unit that was compiled, if this processor has it. */
static const etv_digest_unit_t *wide_unit(int nth)
{
#ifdef __x86_64__
    switch (nth) {
    case 0:
        return __builtin_cpu_supports("avx512f") ? etv_digest_avx512 : NULL;
    case 1:
        return __builtin_cpu_supports("avx2") ? etv_digest_avx2 : NULL;
    default:
        return NULL;
    }
#else
    (void)nth;
    return NULL;
#endif
}

const etv_digest_unit_t *etv_digest_usable(int nth)
{
    for (int i = 0; i < WIDE_UNITS; i++) {
        const etv_digest_unit_t *unit = wide_unit(i);

        if (unit && !nth--) {
            return unit;
        }
    }
    return nth ? NULL : etv_digest_base;
}

const char *etv_digest_unit(void)
{
    return etv_digest_usable(0)->name;
}

/* BLAKE2b keyed by the tags' key makes at most 64 bytes at a time: one part per number. */
void etv_digest_derive(unsigned char secret[ETV_DIGEST_SECRET_BYTES],
                       const unsigned char key[ETV_HASH_KEY_BYTES])
{
    const apr_size_t part = crypto_generichash_BYTES_MAX;
    unsigned char purpose[] = "body digest secret 0";

    _Static_assert(ETV_DIGEST_SECRET_BYTES % crypto_generichash_BYTES_MAX == 0, "whole parts");
    for (apr_size_t at = 0; at < ETV_DIGEST_SECRET_BYTES; at += part) {
        crypto_generichash(secret + at, part, purpose, sizeof(purpose) - 1, key,
                           ETV_HASH_KEY_BYTES);
        purpose[sizeof(purpose) - 2]++;
    }
}

etv_digest_t *etv_digest_create_with(apr_pool_t *p, const etv_digest_unit_t *unit,
                                     const unsigned char secret[ETV_DIGEST_SECRET_BYTES])
{
    const apr_uintptr_t align = _Alignof(etv_digest_t);
    char *room = apr_palloc(p, sizeof(etv_digest_t) + align - 1);
    void *aligned = room + (align - (apr_uintptr_t)room % align) % align;
    etv_digest_t *digest = aligned;

    digest->unit = unit;
    unit->reset(&digest->state, secret);
    return digest;
}

etv_digest_t *etv_digest_create(apr_pool_t *p, const unsigned char secret[ETV_DIGEST_SECRET_BYTES])
{
    return etv_digest_create_with(p, etv_digest_usable(0), secret);
}

void etv_digest_update(etv_digest_t *digest, const void *data, apr_size_t len)
{
    /* Some versions of the library refuse NULL even without a length. */
    if (len) {
        digest->unit->update(&digest->state, data, len);
    }
}

void etv_digest_update_field(etv_digest_t *digest, const char *text)
{
    apr_uint64_t len = text ? strlen(text) : NO_FIELD;
    unsigned char suffix[sizeof(len)];

    if (text) {
        etv_digest_update(digest, text, (apr_size_t)len);
    }
    for (apr_size_t i = 0; i < sizeof(suffix); i++) {
        suffix[i] = (unsigned char)(len >> (8 * (sizeof(suffix) - 1 - i)));
    }
    etv_digest_update(digest, suffix, sizeof(suffix));
}

void etv_digest_result(const etv_digest_t *digest, unsigned char out[ETV_DIGEST_BYTES])
{
    digest->unit->result(&digest->state, out);
}
