/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Small texts in shared memory under the ids that tags name: the lists of models that responses
 * declared, and the sets of header fields that responses carried. What does not fit pushes out what
 * was used longest ago. Readers take no lock and make no system call; writers that die in the
 * middle of it hold up nobody.
 */
#ifndef ETV_STORE_REGISTRY_H
#define ETV_STORE_REGISTRY_H

#include <apr.h>
#include <apr_pools.h>
#include <apr_time.h>

#include "store/declared_ops.h"

typedef struct etv_registry_t etv_registry_t;

/** Bytes of shared memory for so many texts (rounded up to whole sets). */
apr_size_t etv_registry_bytes(int texts);

/** Lay it out in zeroed memory that is aligned to 64 bytes, before the first fork. */
etv_registry_t *etv_registry_init(void *memory, int texts);

/**
 * @param text  room for ETV_REGISTRY_TEXT_MOST bytes
 * @return the length; 0 when it is not known
 */
apr_size_t etv_registry_find(etv_registry_t *registry, etv_registry_kind_e kind,
                             const unsigned char id[ETV_REGISTRY_ID_BYTES], apr_time_t now_us,
                             char *text);

/** Remember a text of 1 to ETV_REGISTRY_TEXT_MOST bytes. May be dropped. */
void etv_registry_add(etv_registry_t *registry, etv_registry_kind_e kind,
                      const unsigned char id[ETV_REGISTRY_ID_BYTES], apr_time_t now_us,
                      const char *text, apr_size_t len);

#endif
