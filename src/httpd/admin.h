/* SPDX-License-Identifier: Apache-2.0 */
/**
 * `SetHandler etag-version-admin`: POST bumps models, GET and HEAD tell their versions. Open only
 * where ETagVersionServe says so; who may use it is decided by httpd's own access control.
 */
#ifndef ETV_HTTPD_ADMIN_H
#define ETV_HTTPD_ADMIN_H

#include <httpd.h>

/** The handler hook. */
int etv_admin_handler(request_rec *r);

#endif
