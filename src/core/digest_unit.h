/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The same digest compiled once for each vector unit: digest_base.c, digest_avx2.c and
 * digest_avx512.c define ETV_DIGEST_COMPILE and include this; the Makefile's flags tell the
 * compiler that it may use the unit. libxxhash has a choice at run time of its own, in some
 * distributions on some processors.
 */
#ifndef ETV_CORE_DIGEST_UNIT_H
#define ETV_CORE_DIGEST_UNIT_H

#include "core/digest.h"

/* All of the library becomes static: code for one unit can never take the place of another's. */
#define XXH_INLINE_ALL
#define XXH_NO_PREFETCH /* what is hashed was just read or copied */
#include <xxhash.h>

/** The digest by one unit. The state is the same for all. */
typedef struct {
    const char *name;
    void (*reset)(XXH3_state_t *state, const unsigned char *secret);
    void (*update)(XXH3_state_t *state, const void *data, apr_size_t len);
    void (*result)(const XXH3_state_t *state, unsigned char *out);
    void (*once)(const void *data, apr_size_t len, const unsigned char *secret, unsigned char *out);
} etv_digest_unit_t;

/** The unit that every processor of this architecture has. */
extern const etv_digest_unit_t *const etv_digest_base;

/** NULL where it could not be compiled. To be used only on a processor that has it. */
extern const etv_digest_unit_t *const etv_digest_avx2;
extern const etv_digest_unit_t *const etv_digest_avx512;

/** The units that can be used on this processor, the widest first. @return NULL after the last */
const etv_digest_unit_t *etv_digest_usable(int nth);

/** etv_digest_create with a unit of one's choice: for tests. */
etv_digest_t *etv_digest_create_with(apr_pool_t *p, const etv_digest_unit_t *unit,
                                     const unsigned char secret[ETV_DIGEST_SECRET_BYTES]);

#ifdef ETV_DIGEST_COMPILE

#if XXH_VECTOR == XXH_SCALAR
#define ETV_DIGEST_UNIT_NAME "scalar"
#elif XXH_VECTOR == XXH_SSE2
#define ETV_DIGEST_UNIT_NAME "sse2"
#elif XXH_VECTOR == XXH_AVX2
#define ETV_DIGEST_UNIT_NAME "avx2"
#elif XXH_VECTOR == XXH_AVX512
#define ETV_DIGEST_UNIT_NAME "avx512"
#elif XXH_VECTOR == XXH_NEON
#define ETV_DIGEST_UNIT_NAME "neon"
#else
#define ETV_DIGEST_UNIT_NAME "other"
#endif

static void unit_reset(XXH3_state_t *state, const unsigned char *secret)
{
    (void)XXH3_128bits_reset_withSecret(state, secret, ETV_DIGEST_SECRET_BYTES);
}

static void unit_update(XXH3_state_t *state, const void *data, apr_size_t len)
{
    (void)XXH3_128bits_update(state, data, len);
}

static void write_canonical(XXH128_hash_t hash, unsigned char *out)
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, hash);
    memcpy(out, canonical.digest, ETV_DIGEST_BYTES);
}

static void unit_result(const XXH3_state_t *state, unsigned char *out)
{
    write_canonical(XXH3_128bits_digest(state), out);
}

static void unit_once(const void *data, apr_size_t len, const unsigned char *secret,
                      unsigned char *out)
{
    write_canonical(XXH3_128bits_withSecret(data, len, secret, ETV_DIGEST_SECRET_BYTES), out);
}

static const etv_digest_unit_t etv_digest_this_unit = {
    .name = ETV_DIGEST_UNIT_NAME,
    .reset = unit_reset,
    .update = unit_update,
    .result = unit_result,
    .once = unit_once,
};

#endif

#endif
