/* SPDX-License-Identifier: Apache-2.0 */
/** Logging of the glue: httpd's log under this module's name, messages with own tags. */
#ifndef ETV_HTTPD_LOG_H
#define ETV_HTTPD_LOG_H

#include <httpd.h>
#include <http_config.h>
#include <http_log.h>

APLOG_USE_MODULE(etag_version);

#endif
