/* SPDX-License-Identifier: Apache-2.0 */
/** When this host first saw a version, whatever the store. */
#ifndef ETV_STORE_SETTLE_H
#define ETV_STORE_SETTLE_H

#include "store/store.h"
#include "store/table.h"

/**
 * For how long this host has known the version that a lookup found. A version that was never seen,
 * or that was forgotten because the table was full, is new now.
 * @param table   shared by all children
 * @param scope   tells the models of different stores apart
 * @param model   in state ETV_MODEL_FOUND
 * @param now_us  on a clock that never steps and does not stand still (CLOCK_BOOTTIME)
 * @return microseconds, 0 when it is new or the table could not be asked
 */
apr_interval_time_t etv_settle_age(etv_table_t *table, etv_hash128_t scope,
                                   const etv_model_t *model, apr_time_t now_us);

#endif
