/* SPDX-License-Identifier: Apache-2.0 */
/** The early 304: answered before any content handler runs. */
#ifndef ETV_HTTPD_EARLY_H
#define ETV_HTTPD_EARLY_H

#include <httpd.h>

/** The handler hook before mod_cache's: the client's own condition. */
int etv_early_handler(request_rec *r);

/**
 * The handler hook behind mod_cache's: the condition with which it revalidates a stored response,
 * when CacheQuickHandler is off. What this module evaluates is taken away from the handler here.
 */
int etv_early_handler_behind_cache(request_rec *r);

#endif
