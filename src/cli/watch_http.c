/* SPDX-License-Identifier: Apache-2.0 */
/* Watch through httpd's events handler. */
#include "cli/http.h"

#include <string.h>

#include <apr_strings.h>

#include "core/event_reader.h"

#define PAUSE_MS      1000
#define PAUSE_MOST_MS 30000
/* The handler sends something every 15 seconds: a connection that is silent so long is dead. */
#define SILENCE_S 60L

typedef struct {
    etv_cli_t *cli;
    CURL *curl;
    etv_event_reader_t reader;
    char body[4096]; /* the same */
    size_t body_len;
    int is_stream; /* of this answer: 0 unknown, 1 yes, -1 no */
    int begun;     /* it was said that bumps are heard from now on */
    int enough;    /* nobody wants more */
} watch_t;

static int hear(void *baton, const char *type, const char *data, apr_size_t len)
{
    watch_t *watch = baton;
    json_t *root, *model;
    int goes_on = 1;

    if (strcmp(type, "reset") == 0) {
        goes_on = etv_cli_show_bump(watch->cli, NULL, 0);
    } else if (strcmp(type, "bump") == 0) {
        root = json_loadb(data, len, JSON_REJECT_DUPLICATES, NULL);
        model = json_object_get(root, "model");
        if (json_is_string(model) && json_string_length(model)) {
            goes_on =
                etv_cli_show_bump(watch->cli, json_string_value(model), json_string_length(model));
        }
        json_decref(root);
    }
    watch->enough = !goes_on;
    return goes_on;
}

static int is_stream(watch_t *watch)
{
    const char *type = NULL;
    long status = 0;

    curl_easy_getinfo(watch->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(watch->curl, CURLINFO_CONTENT_TYPE, &type);
    return status == 200 && type && strncasecmp(type, "text/event-stream", 17) == 0;
}

/* The first stream of all has nothing to resume: what happened before is not known. */
static int begin(watch_t *watch)
{
    if (!watch->begun) {
        watch->begun = 1;
        watch->enough = !etv_cli_show_bump(watch->cli, NULL, 0);
    }
    return !watch->enough;
}

static size_t take_bytes(char *bytes, size_t size, size_t n, void *baton)
{
    watch_t *watch = baton;
    size_t len = size * n, room = sizeof(watch->body) - 1 - watch->body_len;

    if (!watch->is_stream) {
        watch->is_stream = is_stream(watch) ? 1 : -1;
    }
    if (watch->is_stream > 0) {
        return begin(watch) && etv_event_reader_feed(&watch->reader, bytes, len) ? len : 0;
    }
    memcpy(watch->body + watch->body_len, bytes, len < room ? len : room);
    watch->body_len += len < room ? len : room;
    watch->body[watch->body_len] = '\0';
    return len;
}

/* One stream, until it ends. */
static CURLcode listen_once(watch_t *watch)
{
    static const char resume[] = "Last-Event-ID: ";
    struct curl_slist *fields = curl_slist_append(NULL, "Accept: text/event-stream");
    char line[sizeof(resume) + ETV_EVENT_WORD_MOST];
    CURLcode code;

    watch->is_stream = 0;
    watch->body_len = 0;
    *watch->body = '\0';
    etv_event_reader_restart(&watch->reader);
    if (*watch->reader.id && !strpbrk(watch->reader.id, "\r\n")) {
        apr_snprintf(line, sizeof(line), "%s%s", resume, watch->reader.id);
        fields = curl_slist_append(fields, line);
    }
    curl_easy_setopt(watch->curl, CURLOPT_HTTPHEADER, fields);
    code = curl_easy_perform(watch->curl);
    curl_slist_free_all(fields);
    return code;
}

/* @return an exit status, or -1 to come back later */
static int judge(watch_t *watch, CURLcode code, const char *error)
{
    int status;

    if (watch->enough) {
        return ETV_CLI_OK;
    }
    if (watch->is_stream > 0) { /* it has ended, as it does when httpd restarts */
        return -1;
    }
    if (code == CURLE_OK && is_stream(watch)) {
        return -1;
    }
    status = etv_cli_http_fail(watch->curl, code, error, watch->body);
    return status == ETV_CLI_REFUSED ? status : -1;
}

/* Longer and longer while nothing comes; as long as the server asks for when a stream has ended,
 * within reason. */
static apr_interval_time_t next_pause(const watch_t *watch, apr_interval_time_t last_ms)
{
    apr_interval_time_t ms =
        watch->is_stream > 0 ? (apr_interval_time_t)watch->reader.retry_ms : last_ms * 2;

    return ms < PAUSE_MS ? PAUSE_MS : ms > PAUSE_MOST_MS ? PAUSE_MOST_MS : ms;
}

static int watch_all(watch_t *watch, const char *error)
{
    apr_interval_time_t pause_ms = PAUSE_MS / 2;

    curl_easy_setopt(watch->curl, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(watch->curl, CURLOPT_WRITEDATA, watch);
    curl_easy_setopt(watch->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(watch->curl, CURLOPT_LOW_SPEED_TIME, SILENCE_S);
    for (;;) {
        CURLcode code = listen_once(watch);
        int status = judge(watch, code, error);

        if (status >= 0) {
            return status;
        }
        pause_ms = next_pause(watch, pause_ms);
        apr_sleep(pause_ms * 1000);
    }
}

int etv_cli_watch_http(etv_cli_t *cli)
{
    char error[CURL_ERROR_SIZE];
    watch_t *watch = apr_pcalloc(cli->p, sizeof(*watch));
    const char *url;
    int status = ETV_CLI_DOWN;

    watch->cli = cli;
    watch->curl = etv_cli_http_make(cli, error);
    watch->reader.fn = hear;
    watch->reader.baton = watch;
    url = watch->curl ? etv_cli_http_query(cli, watch->curl) : NULL;
    if (url) {
        curl_easy_setopt(watch->curl, CURLOPT_URL, url);
        status = watch_all(watch, error);
    }
    curl_easy_cleanup(watch->curl);
    curl_global_cleanup();
    return status;
}
