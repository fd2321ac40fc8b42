/* SPDX-License-Identifier: Apache-2.0 */
#include "store/change_record.h"

#include "store/boottime.h"

/*
 * Once the record says that it is gone, nobody renews the slot any more, or puts another in its
 * place. Who dies in between leaves it as it was: due when its time has passed.
 */
static int leave_model(etv_pending_t *pending, etv_record_t *record, etv_record_model_t *m,
                       apr_time_t until_us)
{
    int slot = atomic_exchange(&m->slot, ETV_RECORD_GONE);

    if (slot == ETV_RECORD_GONE ||
        etv_pending_leave(pending, slot, &m->what, etv_record_is_told(record, m), etv_boottime_us(),
                          until_us))
        return 1;
    atomic_store(&m->slot, ETV_RECORD_NO_SLOT);
    return 0;
}

int etv_record_leave(etv_pending_t *pending, etv_record_t *record, apr_time_t until_us)
{
    int n = atomic_load(&record->n), all = 1;

    for (int i = 0; i < n; i++)
        all &= leave_model(pending, record, record->models[i], until_us);
    return all;
}
