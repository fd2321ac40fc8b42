/* SPDX-License-Identifier: Apache-2.0 */
/* SSE2 on x86-64, NEON on 64-bit ARM, plain C where nothing better is certain to be there. */
#define ETV_DIGEST_COMPILE
#include "core/digest_unit.h"

const etv_digest_unit_t *const etv_digest_base = &etv_digest_this_unit;
