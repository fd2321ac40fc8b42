/* SPDX-License-Identifier: Apache-2.0 */
/** A store of the tool's own. */
#ifndef ETV_CLI_DIRECT_H
#define ETV_CLI_DIRECT_H

#include "cli/cli.h"
#include "store/redis.h"

/** All that a store needs to be told but a mirror. @return 0: said why */
int etv_cli_store_config(const etv_cli_t *cli, etv_redis_config_t *config);

#endif
