/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>

#include "cli/cli.h"

void etv_cli_say(const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fputs("etag-version: ", stderr);
    etv_cli_put(stderr, text, strlen(text)); /* may be a server's words */
    fputc('\n', stderr);
}

static int run(etv_cli_t *cli)
{
    if (cli->command == ETV_CLI_WATCH) {
        return cli->store ? etv_cli_watch_store(cli) : etv_cli_watch_http(cli);
    }
    return cli->store ? etv_cli_run_store(cli) : etv_cli_run_http(cli);
}

int main(int argc, char **argv)
{
    etv_cli_t cli;
    int status;

    /* hiredis and standard output: a peer that has gone is an error, not the end. */
    signal(SIGPIPE, SIG_IGN);
    memset(&cli, 0, sizeof(cli));
    if (apr_initialize() != APR_SUCCESS || apr_pool_create(&cli.p, NULL) != APR_SUCCESS) {
        fputs("etag-version: no memory\n", stderr);
        return ETV_CLI_DOWN;
    }
    status = etv_cli_options(&cli, argc, argv);
    if (status < 0) {
        status = run(&cli);
    }
    if (fflush(stdout) != 0 && status == ETV_CLI_OK) {
        perror("etag-version: standard output");
        status = ETV_CLI_DOWN;
    }
    apr_pool_destroy(cli.p);
    apr_terminate();
    return status;
}
