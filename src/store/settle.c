/* SPDX-License-Identifier: Apache-2.0 */
#include "store/settle.h"

/* not the key under which the embedded store keeps the version itself */
static const etv_hash128_t settle_scope = {0x657474656c736573u, 0x736565736e656877u};

static int set_when_different(void *baton, const etv_table_entry_t *current, etv_hash128_t *value)
{
    const etv_hash128_t *seen = baton;

    if (current && current->value.lo == seen->lo && current->value.hi == seen->hi)
        return 0;
    *value = *seen;
    return 1;
}

apr_interval_time_t etv_settle_age(etv_table_t *table, etv_hash128_t scope,
                                   const etv_model_t *model, apr_time_t now_us)
{
    etv_hash128_t key = etv_hash_scoped(etv_hash_scoped(model->hash, scope), settle_scope);
    etv_hash128_t seen = etv_hash_name(model->token, model->token_len);
    etv_table_entry_t entry;

    if (etv_table_find(table, key, now_us, &entry) != ETV_TABLE_FOUND ||
        entry.value.lo != seen.lo || entry.value.hi != seen.hi) {
        if (etv_table_update(table, key, now_us, now_us, set_when_different, &seen, &entry) !=
            APR_SUCCESS)
            return 0;
    }
    return now_us > entry.since_us ? now_us - entry.since_us : 0;
}
