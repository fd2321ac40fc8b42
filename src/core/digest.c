/* SPDX-License-Identifier: Apache-2.0 */
#include "core/digest.h"

#include <endian.h>
#include <stdatomic.h>
#include <string.h>

#include <sodium/crypto_generichash.h>

#include "core/digest_unit.h"

/* Hashing what comes in a few small pieces at once is half the work. */
#define SMALL ((apr_size_t)2048)

/* Vector units load and store the state whole, so it is aligned more than pools do. */
struct etv_digest_t {
    XXH3_state_t state; /* of no meaning while everything is in `small` */
    const etv_digest_unit_t *unit;
    const unsigned char *secret;
    apr_size_t small_len;
    int streaming; /* there was more than `small` holds */
    unsigned char small[SMALL];
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
    digest->secret = secret;
    digest->small_len = 0;
    digest->streaming = 0;
    return digest;
}

etv_digest_t *etv_digest_create(apr_pool_t *p, const unsigned char secret[ETV_DIGEST_SECRET_BYTES])
{
    static _Atomic(const etv_digest_unit_t *) widest; /* the same whoever looks for it */
    const etv_digest_unit_t *unit = atomic_load_explicit(&widest, memory_order_relaxed);

    if (!unit) {
        unit = etv_digest_usable(0);
        atomic_store_explicit(&widest, unit, memory_order_relaxed);
    }
    return etv_digest_create_with(p, unit, secret);
}

static void begin_streaming(etv_digest_t *digest)
{
    digest->streaming = 1;
    digest->unit->reset(&digest->state, digest->secret);
    if (digest->small_len) {
        digest->unit->update(&digest->state, digest->small, digest->small_len);
    }
    digest->small_len = SMALL; /* nothing more goes there */
}

void etv_digest_update(etv_digest_t *digest, const void *data, apr_size_t len)
{
    if (!len) { /* some versions of the library refuse NULL even without a length */
        return;
    }
    if (len <= SMALL - digest->small_len) {
        memcpy(digest->small + digest->small_len, data, len);
        digest->small_len += len;
        return;
    }
    if (!digest->streaming) {
        begin_streaming(digest);
    }
    digest->unit->update(&digest->state, data, len);
}

/* The length of a field in network order. */
static void write_length(unsigned char *to, apr_uint64_t len)
{
    len = htobe64(len);
    memcpy(to, &len, sizeof(len));
}

/* Apart from the function below, which needs no room on the stack for it. */
__attribute__((noinline)) static void add_length(etv_digest_t *digest, apr_uint64_t told)
{
    unsigned char suffix[sizeof(told)];

    write_length(suffix, told);
    etv_digest_update(digest, suffix, sizeof(suffix));
}

void etv_digest_update_field(etv_digest_t *digest, const char *text)
{
    apr_size_t len = strlen(text);

    if (len + sizeof(apr_uint64_t) <= SMALL - digest->small_len) {
        unsigned char *to = digest->small + digest->small_len;

        memcpy(to, text, len);
        write_length(to + len, len);
        digest->small_len += len + sizeof(apr_uint64_t);
        return;
    }
    etv_digest_update(digest, text, len);
    add_length(digest, len);
}

void etv_digest_update_no_field(etv_digest_t *digest)
{
    if (sizeof(apr_uint64_t) <= SMALL - digest->small_len) {
        write_length(digest->small + digest->small_len, NO_FIELD);
        digest->small_len += sizeof(apr_uint64_t);
        return;
    }
    add_length(digest, NO_FIELD);
}

void etv_digest_result(const etv_digest_t *digest, unsigned char out[ETV_DIGEST_BYTES])
{
    if (digest->streaming) {
        digest->unit->result(&digest->state, out);
    } else {
        digest->unit->once(digest->small, digest->small_len, digest->secret, out);
    }
}
