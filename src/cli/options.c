/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "cli/cli.h"
#include "core/duration.h"

#define PREFIX  "model_version:"
#define TIMEOUT (5 * APR_USEC_PER_SEC)

static const char help[] =
    "Usage: etag-version bump MODEL... [--if-digest TEXT | --if-digest-of FILE]\n"
    "       etag-version get MODEL...\n"
    "       etag-version watch [MODEL...] [--count N]\n"
    "\n"
    "Where the versions are, one of:\n"
    "  --store URL           Redis, as in ETagVersionStore: redis://host[:port][/db],\n"
    "                        redis+unix://path, rediss://..., redis+sentinel://...\n"
    "  --admin URL           httpd's handler etag-version-admin (bump, get)\n"
    "  --events URL          httpd's handler etag-version-events (watch)\n"
    "  or in the environment: ETAG_VERSION_STORE, ETAG_VERSION_ADMIN, ETAG_VERSION_EVENTS\n"
    "\n"
    "  --prefix TEXT         as in ETagVersionKeyPrefix (" PREFIX ")\n"
    "  --timeout DURATION    of each attempt to connect, command or request (5s)\n"
    "  --user NAME           for --admin and --events\n"
    "  --password-file FILE  of the store, or of --user; or in the environment:\n"
    "                        ETAG_VERSION_PASSWORD\n"
    "  --netrc               user and password are in the file .netrc\n"
    "  --ca FILE             certificates to trust for https\n"
    "\n"
    "  --if-digest TEXT      bump one model unless this is the digest that was recorded with its\n"
    "                        present version\n"
    "  --if-digest-of FILE   the same with the digest of a file (-: standard input)\n"
    "  --model MODEL         the same as MODEL alone, for names that begin with a -\n"
    "  --count N             watch: end after N bumps\n"
    "  --json                one line of JSON for each answer or event\n"
    "  --help\n"
    "\n"
    "Exit status: 0 done; 1 get: a model has no version now; 2 wrong usage; 3 the store or server\n"
    "does not answer, or could not tell the store; 4 the server refuses.\n";

enum {
    STORE = 256,
    ADMIN,
    EVENTS,
    PREFIX_OPTION,
    TIMEOUT_OPTION,
    USER,
    PASSWORD_FILE,
    NETRC,
    CA,
    IF_DIGEST,
    IF_DIGEST_OF,
    MODEL,
    COUNT,
    JSON,
    HELP
};

static const struct option options[] = {{"store", required_argument, NULL, STORE},
                                        {"admin", required_argument, NULL, ADMIN},
                                        {"events", required_argument, NULL, EVENTS},
                                        {"prefix", required_argument, NULL, PREFIX_OPTION},
                                        {"timeout", required_argument, NULL, TIMEOUT_OPTION},
                                        {"user", required_argument, NULL, USER},
                                        {"password-file", required_argument, NULL, PASSWORD_FILE},
                                        {"netrc", no_argument, NULL, NETRC},
                                        {"ca", required_argument, NULL, CA},
                                        {"if-digest", required_argument, NULL, IF_DIGEST},
                                        {"if-digest-of", required_argument, NULL, IF_DIGEST_OF},
                                        {"model", required_argument, NULL, MODEL},
                                        {"count", required_argument, NULL, COUNT},
                                        {"json", no_argument, NULL, JSON},
                                        {"help", no_argument, NULL, HELP},
                                        {NULL, 0, NULL, 0}};

/* As they were given, before they are judged together. */
typedef struct {
    const char *store, *admin, *events, *digest, *digest_of, *password_file;
    const char **models;
    int n_models;
} given_t;

static int usage(const char *reason)
{
    etv_cli_say("%s (--help)", reason);
    return ETV_CLI_USAGE;
}

/* Who lists processes shall not read passwords of addresses for longer than it takes. */
static const char *hide(apr_pool_t *p, char *argument)
{
    const char *text = apr_pstrdup(p, argument);
    const char *shown = etv_store_url_redact(p, text);

    if (shown != text) {
        memset(argument, '*', strlen(argument));
    }
    return text;
}

/* Which option it was, and nothing of what stands behind it: that may be a password. */
static int usage_of(etv_cli_t *cli, const char *reason, const char *argument)
{
    if (optopt && optopt < STORE) { /* one of one letter: there are none */
        return usage(apr_psprintf(cli->p, "%s -%c", reason, optopt));
    }
    return usage(apr_psprintf(
        cli->p, "%s %.*s", reason,
        (int)strspn(argument, "-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"), argument));
}

static const char *take(etv_cli_t *cli, given_t *given, int option)
{
    switch (option) {
    case STORE:
        given->store = hide(cli->p, optarg);
        return NULL;
    case ADMIN:
        given->admin = hide(cli->p, optarg);
        return NULL;
    case EVENTS:
        given->events = hide(cli->p, optarg);
        return NULL;
    case PREFIX_OPTION:
        cli->prefix = optarg;
        return NULL;
    case TIMEOUT_OPTION:
        return etv_duration_parse(optarg, &cli->timeout_us) && cli->timeout_us > 0
                   ? NULL
                   : "--timeout takes " ETV_DURATION_ACCEPTED;
    case USER:
        cli->user = optarg;
        return NULL;
    case PASSWORD_FILE:
        given->password_file = optarg;
        return NULL;
    case NETRC:
        cli->netrc = 1;
        return NULL;
    case CA:
        cli->ca = optarg;
        return NULL;
    case IF_DIGEST:
        given->digest = optarg;
        return NULL;
    case IF_DIGEST_OF:
        given->digest_of = optarg;
        return NULL;
    case MODEL:
        given->models[given->n_models++] = optarg;
        return NULL;
    case COUNT:
        cli->count = strspn(optarg, "0123456789") == strlen(optarg) ? atoi(optarg) : 0;
        return cli->count > 0 ? NULL : "--count takes a number above 0";
    default:
        cli->json = 1;
        return NULL;
    }
}

static int read_command(etv_cli_t *cli, const char *word)
{
    static const char *const words[] = {"bump", "get", "watch"};

    for (int i = 0; i < 3; i++) {
        if (strcmp(word, words[i]) == 0) {
            cli->command = (etv_cli_command_e)i;
            return 1;
        }
    }
    return 0;
}

/* --- what is where --- */

static const char *choose_url(etv_cli_t *cli, const char *text)
{
    const char *host = strstr(text, "://");

    if (!host || (strncasecmp(text, "http://", 7) != 0 && strncasecmp(text, "https://", 8) != 0)) {
        return "--admin and --events take an address of http or https";
    }
    host += 3;
    if (memchr(host, '@', strcspn(host, "/?#"))) {
        return "an address with a password in it: use --user with --password-file, or --netrc";
    }
    cli->url = text;
    return NULL;
}

static const char *choose_store(etv_cli_t *cli, const char *text)
{
    etv_store_url_t *url = apr_pcalloc(cli->p, sizeof(*url));
    const char *wrong = etv_store_url_parse(cli->p, text, url);

    if (wrong) {
        return apr_pstrcat(cli->p, "--store: ", wrong, NULL);
    }
    if (url->kind == ETV_STORE_URL_LOCAL) {
        return "the local store is within httpd: use --admin or --events";
    }
    cli->store = url;
    return NULL;
}

static const char *choose(etv_cli_t *cli, const given_t *given)
{
    const char *over_http = cli->command == ETV_CLI_WATCH ? given->events : given->admin;
    const char *other = cli->command == ETV_CLI_WATCH ? given->admin : given->events;

    if (other) {
        return cli->command == ETV_CLI_WATCH ? "watch takes --store or --events"
                                             : "bump and get take --store or --admin";
    }
    if (given->store && over_http) {
        return "give one address";
    }
    if (!given->store && !over_http) { /* what is said on the command line goes first */
        over_http =
            getenv(cli->command == ETV_CLI_WATCH ? "ETAG_VERSION_EVENTS" : "ETAG_VERSION_ADMIN");
    }
    if (over_http && *over_http) {
        return choose_url(cli, over_http);
    }
    if (!given->store && !getenv("ETAG_VERSION_STORE")) {
        return "where are the versions? --store, or --admin (bump, get), or --events (watch)";
    }
    return choose_store(cli, given->store ? given->store : getenv("ETAG_VERSION_STORE"));
}

/* --- the models --- */

static const char *add_models(etv_cli_t *cli, const given_t *given, const char *digest)
{
    for (int i = 0; i < given->n_models; i++) {
        const char *model = given->models[i];
        const char *wrong = etv_admin_request_add(cli->p, &cli->request, model, strlen(model),
                                                  digest, digest ? strlen(digest) : 0);

        if (wrong) {
            return wrong;
        }
    }
    if (!cli->request.n && cli->command != ETV_CLI_WATCH) {
        return "name at least one model";
    }
    return digest && cli->request.n != 1 ? "a digest is a condition on one model" : NULL;
}

static const char *check_digest(const etv_cli_t *cli, const given_t *given)
{
    if (given->digest && given->digest_of) {
        return "--if-digest and --if-digest-of: give one of them";
    }
    if ((given->digest || given->digest_of) && cli->command != ETV_CLI_BUMP) {
        return "--if-digest and --if-digest-of are for bump";
    }
    return cli->count && cli->command != ETV_CLI_WATCH ? "--count is for watch" : NULL;
}

static int judge(etv_cli_t *cli, const given_t *given)
{
    const char *digest = given->digest;
    const char *wrong = check_digest(cli, given);

    if (!wrong) {
        wrong = choose(cli, given);
    }
    if (wrong) {
        return usage(wrong);
    }
    if (given->digest_of) {
        digest = etv_cli_digest(cli->p, given->digest_of);
        if (!digest) {
            return ETV_CLI_USAGE;
        }
    }
    wrong = add_models(cli, given, digest);
    if (wrong) {
        return usage(wrong);
    }
    cli->password = getenv("ETAG_VERSION_PASSWORD");
    if (given->password_file) {
        cli->password = etv_cli_secret(cli->p, given->password_file);
        return cli->password ? -1 : ETV_CLI_USAGE;
    }
    return -1;
}

int etv_cli_options(etv_cli_t *cli, int argc, char **argv)
{
    given_t given;
    int option;

    memset(&given, 0, sizeof(given));
    given.models = apr_pcalloc(cli->p, ((apr_size_t)argc + 1) * sizeof(*given.models));
    cli->prefix = PREFIX;
    cli->timeout_us = TIMEOUT;
    opterr = 0; /* it would print the whole argument */
    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        const char *wrong;

        if (option == HELP) {
            fputs(help, stdout);
            return ETV_CLI_OK;
        }
        if (option == ':') {
            return usage_of(cli, "something must follow", argv[optind - 1]);
        }
        if (option == '?') {
            return usage_of(
                cli, optopt >= STORE ? "nothing can follow" : "no such option:", argv[optind - 1]);
        }
        wrong = take(cli, &given, option);
        if (wrong) {
            return usage(wrong);
        }
    }
    if (optind == argc || !read_command(cli, argv[optind])) {
        return usage("say bump, get or watch");
    }
    while (++optind < argc) {
        given.models[given.n_models++] = argv[optind];
    }
    return judge(cli, &given);
}
