/* SPDX-License-Identifier: Apache-2.0 */
/* Bump and get in Redis itself. */
#include "cli/direct.h"

#include <string.h>

#include "store/admin_run.h"

/* What the store says has a tag in front that the manual explains. */
static void log_line(void *baton, etv_log_level_e level, apr_status_t status, const char *message)
{
    (void)baton;
    (void)status;
    if (level <= ETV_LOG_WARNING) {
        etv_cli_say("%s", message);
    }
}

int etv_cli_store_config(const etv_cli_t *cli, etv_redis_config_t *config)
{
    etv_redis_tls_t *tls = NULL;
    const char *wrong = cli->store->tls ? etv_redis_tls_load(cli->p, cli->store, &tls) : NULL;

    if (wrong) {
        etv_cli_say("%s", wrong);
        return 0;
    }
    memset(config, 0, sizeof(*config));
    config->url = cli->store;
    config->password = cli->password;
    config->tls = tls;
    config->prefix = cli->prefix;
    config->connect_timeout_us = cli->timeout_us;
    config->command_timeout_us = cli->timeout_us;
    config->connections_most = 1;
    config->lease_us = APR_USEC_PER_SEC;
    config->log.fn = log_line;
    return 1;
}

static int bump(etv_cli_t *cli, etv_store_t *store)
{
    json_t *answer;
    etv_model_t *failed;
    int n = etv_admin_run_bumps(store, cli->p, &cli->request, &answer, &failed);

    etv_cli_show(cli, answer);
    for (int i = 0; i < n; i++) {
        etv_cli_say("the store could not be told: %s", failed[i].name);
    }
    return n ? ETV_CLI_DOWN : ETV_CLI_OK;
}

static int get(etv_cli_t *cli, etv_store_t *store)
{
    etv_model_t *models = etv_admin_run_lookup(store, cli->p, &cli->request, apr_time_now());
    json_t *answer, *versions;

    if (!models) {
        etv_cli_say("the store does not answer");
        return ETV_CLI_DOWN;
    }
    versions = json_array();
    for (int i = 0; i < cli->request.n; i++) {
        json_t *object = etv_admin_run_describe(store, models + i);

        json_object_set_new(object, "state", json_string(etv_admin_run_state(models + i)));
        json_array_append_new(versions, object);
    }
    answer = json_object();
    json_object_set_new(answer, "versions", versions);
    return etv_cli_show(cli, answer);
}

int etv_cli_run_store(etv_cli_t *cli)
{
    etv_redis_config_t config;
    etv_store_t *store;

    if (!etv_cli_store_config(cli, &config)) {
        return ETV_CLI_USAGE;
    }
    if (etv_redis_create(cli->p, &config, &store) != APR_SUCCESS) {
        etv_cli_say("no thread or memory for the store");
        return ETV_CLI_DOWN;
    }
    return cli->command == ETV_CLI_BUMP ? bump(cli, store) : get(cli, store);
}
