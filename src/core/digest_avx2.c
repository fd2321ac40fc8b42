/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing but NULL where the Makefile does not compile this with -mavx2. */
#ifdef __AVX2__
#define ETV_DIGEST_COMPILE
#define XXH_VECTOR XXH_AVX2
#endif
#include "core/digest_unit.h"

#ifdef __AVX2__
const etv_digest_unit_t *const etv_digest_avx2 = &etv_digest_this_unit;
#else
const etv_digest_unit_t *const etv_digest_avx2 = NULL;
#endif
