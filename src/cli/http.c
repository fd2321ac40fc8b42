/* SPDX-License-Identifier: Apache-2.0 */
/* Bump and get through httpd's admin handler. */
#include "cli/http.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

/* Longest answer that is taken. */
#define ANSWER_MOST ((apr_size_t)1 << 20)

/* --- what both handlers need --- */

static int set_up(const etv_cli_t *cli, CURL *curl, char *error)
{
    int wrong = 0;

#if LIBCURL_VERSION_NUM >= 0x075500
    wrong |= curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK;
#else
    wrong |= curl_easy_setopt(curl, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS) != 0;
#endif
    wrong |= curl_easy_setopt(curl, CURLOPT_URL, cli->url) != CURLE_OK;
    wrong |= curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error) != CURLE_OK;
    wrong |= curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) != CURLE_OK;
    wrong |= curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                              (long)apr_time_as_msec(cli->timeout_us)) != CURLE_OK;
    if (cli->ca) {
        wrong |= curl_easy_setopt(curl, CURLOPT_CAINFO, cli->ca) != CURLE_OK;
    }
    if (cli->netrc) {
        wrong |= curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_REQUIRED) != CURLE_OK;
        wrong |= curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_ANY) != CURLE_OK;
    }
    if (cli->user) {
        wrong |= curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_ANY) != CURLE_OK;
        wrong |= curl_easy_setopt(curl, CURLOPT_USERNAME, cli->user) != CURLE_OK;
        wrong |= curl_easy_setopt(curl, CURLOPT_PASSWORD, cli->password ? cli->password : "") !=
                 CURLE_OK;
    }
    return !wrong;
}

CURL *etv_cli_http_make(const etv_cli_t *cli, char *error)
{
    CURL *curl = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? curl_easy_init() : NULL;

    *error = '\0';
    if (curl && set_up(cli, curl, error)) {
        return curl;
    }
    etv_cli_say("libcurl could not be set up");
    curl_easy_cleanup(curl);
    return NULL;
}

const char *etv_cli_http_query(const etv_cli_t *cli, CURL *curl)
{
    const char *url = cli->url;

    for (int i = 0; i < cli->request.n; i++) {
        const etv_admin_bump_t *bump = cli->request.bumps + i;
        char *escaped = curl_easy_escape(curl, bump->model, (int)bump->model_len);

        if (!escaped) {
            return NULL;
        }
        url = apr_pstrcat(cli->p, url, strchr(url, '?') ? "&" : "?", "model=", escaped, NULL);
        curl_free(escaped);
    }
    return url;
}

/* What the handler says about it, if it is one that answers. */
static const char *reason_in(const char *body, char *room, apr_size_t size)
{
    json_t *root = body ? json_loads(body, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const char *reason = json_string_value(json_object_get(root, "error"));

    apr_cpystrn(room, reason ? reason : "", size);
    json_decref(root);
    return room;
}

int etv_cli_http_fail(CURL *curl, CURLcode code, const char *error, const char *body)
{
    char reason[256];
    long status = 0;

    if (code != CURLE_OK) {
        etv_cli_say("no answer: %s", error && *error ? error : curl_easy_strerror(code));
        return ETV_CLI_DOWN;
    }
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    reason_in(body, reason, sizeof(reason));
    etv_cli_say("the server answers %ld%s%s", status, *reason ? ": " : "", reason);
    return status >= 500 ? ETV_CLI_DOWN : ETV_CLI_REFUSED;
}

/* --- one request --- */

typedef struct {
    char *text;
    apr_size_t len;
} answer_t;

static size_t take_bytes(char *bytes, size_t size, size_t n, void *baton)
{
    answer_t *answer = baton;
    size_t len = size * n;
    char *more;

    if (len > ANSWER_MOST - answer->len) {
        return 0;
    }
    more = realloc(answer->text, answer->len + len + 1);
    if (!more) {
        return 0;
    }
    memcpy(more + answer->len, bytes, len);
    answer->text = more;
    answer->len += len;
    more[answer->len] = '\0';
    return len;
}

/* What the handler is sent; to be freed. */
static char *write_body(const etv_cli_t *cli)
{
    json_t *root = json_object(), *bumps = json_array();
    char *text;

    for (int i = 0; i < cli->request.n; i++) {
        const etv_admin_bump_t *bump = cli->request.bumps + i;
        json_t *object = json_object();

        json_object_set_new(object, "model", json_stringn(bump->model, bump->model_len));
        if (bump->digest) {
            json_object_set_new(object, "if-digest", json_string(bump->digest));
        }
        json_array_append_new(bumps, object);
    }
    json_object_set_new(root, "bumps", bumps);
    text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

static int finish(const etv_cli_t *cli, CURL *curl, CURLcode code, const char *error,
                  const answer_t *answer)
{
    long status = 0;
    json_t *root;

    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK || status < 200 || status > 299) {
        return etv_cli_http_fail(curl, code, error, answer->text);
    }
    root = answer->text ? json_loads(answer->text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (!json_object_get(root, cli->command == ETV_CLI_BUMP ? "bumped" : "versions")) {
        json_decref(root);
        etv_cli_say("that is not the handler etag-version-admin");
        return ETV_CLI_REFUSED;
    }
    return etv_cli_show(cli, root);
}

static CURLcode exchange(const etv_cli_t *cli, CURL *curl, answer_t *answer)
{
    struct curl_slist *fields = curl_slist_append(NULL, "Accept: application/json");
    char *body = NULL;
    CURLcode code;

    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)apr_time_as_msec(cli->timeout_us));
    if (cli->command == ETV_CLI_BUMP) {
        body = write_body(cli);
        fields = curl_slist_append(fields, "Content-Type: application/json");
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body ? body : "");
    } else {
        curl_easy_setopt(curl, CURLOPT_URL, etv_cli_http_query(cli, curl));
    }
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, fields);
    code = curl_easy_perform(curl);
    curl_slist_free_all(fields);
    free(body);
    return code;
}

int etv_cli_run_http(etv_cli_t *cli)
{
    char error[CURL_ERROR_SIZE];
    CURL *curl = etv_cli_http_make(cli, error);
    answer_t answer = {NULL, 0};
    int status = ETV_CLI_DOWN;

    if (curl) {
        CURLcode code = exchange(cli, curl, &answer);

        status = finish(cli, curl, code, error, &answer);
    }
    free(answer.text);
    curl_easy_cleanup(curl);
    curl_global_cleanup();
    return status;
}
