/* SPDX-License-Identifier: Apache-2.0 */
/** What a client of the events handler wants to hear of: the query of its request. */
#ifndef ETV_HTTPD_EVENTS_FILTER_H
#define ETV_HTTPD_EVENTS_FILTER_H

#include <httpd.h>

#include "core/model_name.h"

/** Most `model=` of one query. */
#define ETV_EVENTS_FILTERS_MOST 32

/** A name, or what names begin with. */
typedef struct {
    const char *text;
    apr_size_t len;
    int prefix;
} etv_events_name_t;

typedef struct {
    int n; /**< 0: all models */
    etv_events_name_t names[ETV_EVENTS_FILTERS_MOST];
    const char *last_id; /**< `lastEventId`; NULL when there is none */
} etv_events_filter_t;

/**
 * Read a query: `model=NAME` and `model=NAME*`, repeated; other parameters are ignored.
 * @param args    r->args; NULL when there is none
 * @param filter  out: texts live in `p`
 * @return NULL; or a sentence that says what is wrong, with nothing of the query in it
 */
const char *etv_events_filter_read(apr_pool_t *p, const char *args, etv_events_filter_t *filter);

/** Whether a model is wanted. */
int etv_events_filter_wants(const etv_events_filter_t *filter, const char *name, apr_size_t len);

#endif
