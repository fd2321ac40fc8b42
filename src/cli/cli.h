/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The command line tool: what its files share. It talks to Redis as the module does (src/store), or
 * to the handlers of a running httpd over HTTP. One thread, except for what a watched store starts.
 */
#ifndef ETV_CLI_CLI_H
#define ETV_CLI_CLI_H

#include <stdio.h>

#include <apr_pools.h>
#include <apr_time.h>
#include <jansson.h>

#include "core/admin_request.h"
#include "core/store_url.h"

/** Exit statuses; documented by --help and docs/cli.md. */
enum {
    ETV_CLI_OK = 0,
    ETV_CLI_MISSING = 1, /**< get: a model has no version now */
    ETV_CLI_USAGE = 2,
    ETV_CLI_DOWN = 3,   /**< no answer from the store or server */
    ETV_CLI_REFUSED = 4 /**< the server answers, and says no */
};

typedef enum { ETV_CLI_BUMP, ETV_CLI_GET, ETV_CLI_WATCH } etv_cli_command_e;

typedef struct {
    apr_pool_t *p;
    etv_cli_command_e command;
    etv_admin_request_t request;  /**< the models */
    const etv_store_url_t *store; /**< NULL: over HTTP */
    const char *url;              /**< of the admin or events handler; NULL: a store */
    const char *prefix;
    const char *user;     /**< for HTTP; NULL: none */
    const char *password; /**< of the store, or of `user`; NULL: none */
    const char *ca;       /**< for https; NULL: the system's */
    int netrc;            /**< user and password of HTTP are in the file of that name */
    int json;
    int count; /**< watch: end after so many bumps; 0: never */
    apr_interval_time_t timeout_us;
} etv_cli_t;

/** Read the command line and the environment. @return -1 to go on, else an exit status */
int etv_cli_options(etv_cli_t *cli, int argc, char **argv);

/** The digest of a file, `-` for standard input, as text. @return NULL: said why */
const char *etv_cli_digest(apr_pool_t *p, const char *path);

/** The first line of a file. @return NULL: said why */
const char *etv_cli_secret(apr_pool_t *p, const char *path);

/** Say something to people, in one line. */
void etv_cli_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Print what anybody may have written: nothing that moves a terminal's cursor, `?` instead. */
void etv_cli_put(FILE *to, const char *text, apr_size_t len);

/** Show what came of a bump or get, as the admin handler tells it; gives `answer` away.
 *  @return an exit status */
int etv_cli_show(const etv_cli_t *cli, json_t *answer);

/** Show a bump that was watched; NULL: some may have been missed, and from now on all are heard.
 *  @return 0: nobody reads any more,
 *  or it was the last one that was asked for */
int etv_cli_show_bump(etv_cli_t *cli, const char *model, apr_size_t len);

/** Whether a watched model is one of those that were asked for. */
int etv_cli_wants(const etv_cli_t *cli, const char *model, apr_size_t len);

/** Bump and get; watch. @return an exit status */
int etv_cli_run_store(etv_cli_t *cli);
int etv_cli_watch_store(etv_cli_t *cli);
int etv_cli_run_http(etv_cli_t *cli);
int etv_cli_watch_http(etv_cli_t *cli);

#endif
