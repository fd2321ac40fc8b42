/* SPDX-License-Identifier: Apache-2.0 */
/**
 * `SetHandler etag-version-events`: a stream of server-sent events, one for each bump of the models
 * that the client names, for pages that fetch anew when data change. The feed that it reads is in
 * memory that outlives restarts, so a client that comes back misses nothing, or is told that it
 * did.
 */
#ifndef ETV_HTTPD_EVENTS_H
#define ETV_HTTPD_EVENTS_H

#include <httpd.h>

int etv_events_handler(request_rec *r);

/** This process ends: so do its streams, soon. Safe in signal handlers. */
void etv_events_end(void);

#endif
