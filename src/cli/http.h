/* SPDX-License-Identifier: Apache-2.0 */
/** What requests to the admin and to the events handler have in common. */
#ifndef ETV_CLI_HTTP_H
#define ETV_CLI_HTTP_H

#include <curl/curl.h>

#include "cli/cli.h"

/** A handle for one address, with credentials; nothing but http and https, no redirects.
 *  @param error  room for CURL_ERROR_SIZE bytes, and lives as long
 *  @return NULL: said why */
CURL *etv_cli_http_make(const etv_cli_t *cli, char *error);

/** The address with `model=` for each model, in `cli->p`. NULL without memory. */
const char *etv_cli_http_query(const etv_cli_t *cli, CURL *curl);

/** Say what went wrong. @return the exit status: ETV_CLI_DOWN, or ETV_CLI_REFUSED for 4xx */
int etv_cli_http_fail(CURL *curl, CURLcode code, const char *error, const char *body);

#endif
