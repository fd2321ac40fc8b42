/* SPDX-License-Identifier: Apache-2.0 */
/** A table in memory that forked processes share. */
#ifndef ETV_TESTS_UNIT_TABLE_FIXTURE_H
#define ETV_TESTS_UNIT_TABLE_FIXTURE_H

#include <sys/mman.h>

#include "etv_check.h"

#include "store/table.h"

static inline etv_table_t *etv_make_table(int entries)
{
    etv_table_t *table;
    void *memory = mmap(NULL, etv_table_bytes(entries), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(memory, MAP_FAILED);
    ck_assert_int_eq(etv_table_init(memory, entries, &table), APR_SUCCESS);
    return table;
}

#endif
