/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing but NULL where the Makefile does not compile this with -mavx512f. */
#ifdef __AVX512F__
#define ETV_DIGEST_COMPILE
#define XXH_VECTOR XXH_AVX512
#endif
#include "core/digest_unit.h"

#ifdef __AVX512F__
const etv_digest_unit_t *const etv_digest_avx512 = &etv_digest_this_unit;
#else
const etv_digest_unit_t *const etv_digest_avx512 = NULL;
#endif
