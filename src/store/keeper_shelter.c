/* SPDX-License-Identifier: Apache-2.0 */
/* What is due, but found no slot: all are taken by other models. As long as there is one,
 * everything counts as pending. */
#include <stdlib.h>

#include "store/boottime.h"
#include "store/keeper_care.h"

#define LOOK_GAP_US 100000

static int is_same_model(const etv_pending_what_t *a, const etv_pending_what_t *b)
{
    return a->hash.lo == b->hash.lo && a->hash.hi == b->hash.hi && a->scope.lo == b->scope.lo &&
           a->scope.hi == b->scope.hi;
}

void etv_keeper_shelter_take(etv_keeper_care_t *care, etv_record_model_t *m)
{
    etv_record_model_t **list = &care->shelter[m->what.hash.lo % ETV_KEEPER_SHELTERS];

    for (etv_record_model_t *other = *list; other; other = other->next) {
        if (is_same_model(&other->what, &m->what)) {
            if (!other->what.id.number)
                other->what.id = m->what.id;
            free(m);
            return;
        }
    }
    m->next = *list;
    *list = m;
    care->sheltered++;
}

void etv_keeper_shelter_empty(etv_keeper_care_t *care)
{
    apr_time_t now_us = etv_boottime_us();

    if (!care->sheltered || now_us < care->shelter_us)
        return;
    for (int i = 0; i < ETV_KEEPER_SHELTERS; i++) {
        etv_record_model_t *m;

        while ((m = care->shelter[i]) != NULL) {
            if (!etv_pending_leave(care->pending, -1, &m->what, m->what.id.number != 0, now_us,
                                   0)) {
                care->shelter_us = now_us + LOOK_GAP_US;
                return;
            }
            care->shelter[i] = m->next;
            care->sheltered--;
            free(m);
        }
    }
}

void etv_keeper_shelter_free(etv_keeper_care_t *care)
{
    for (int i = 0; i < ETV_KEEPER_SHELTERS; i++) {
        while (care->shelter[i]) {
            etv_record_model_t *next = care->shelter[i]->next;

            free(care->shelter[i]);
            care->shelter[i] = next;
        }
    }
}
