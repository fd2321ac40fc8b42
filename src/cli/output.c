/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "core/utf8.h"

void etv_cli_put(FILE *to, const char *text, apr_size_t len)
{
    int shows;

    for (apr_size_t i = 0, n; i < len; i += n) {
        n = etv_utf8_step(text + i, len - i, &shows);
        fwrite(shows ? text + i : "?", 1, shows ? n : 1, to);
    }
}

/* In columns with tabs between them: no model's name has one. */
static void put_column(const char *text, char end)
{
    etv_cli_put(stdout, text, strlen(text));
    putchar(end);
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

/* `version`, or what stands for it. */
static void put_version(const json_t *object)
{
    const json_t *coded = json_object_get(object, "version_base64");

    if (json_is_string(json_object_get(object, "version"))) {
        put_column(text_of(object, "version"), '\t');
    } else if (json_is_string(coded)) {
        fputs("base64:", stdout);
        put_column(text_of(object, "version_base64"), '\t');
    } else {
        put_column(json_is_true(json_object_get(object, "opaque")) ? "?" : "-", '\t');
    }
}

/* @param state  the last column; NULL: the object tells. @return 0 when a model has no version */
static int put_list(const json_t *list, const char *state)
{
    int all = 1;
    size_t i;
    json_t *object;

    json_array_foreach(list, i, object)
    {
        const char *said = state ? state : text_of(object, "state");

        put_column(text_of(object, "model"), '\t');
        put_version(object);
        put_column(said, '\n');
        all &= state || strcmp(said, "found") == 0;
    }
    return all;
}

static int has_all(const json_t *versions)
{
    size_t i;
    json_t *object;

    json_array_foreach(versions, i, object)
    {
        if (strcmp(text_of(object, "state"), "found") != 0) {
            return 0;
        }
    }
    return 1;
}

int etv_cli_show(const etv_cli_t *cli, json_t *answer)
{
    const json_t *versions = json_object_get(answer, "versions");
    int all = has_all(versions);

    if (cli->json) {
        json_dumpf(answer, stdout, JSON_COMPACT);
        putchar('\n');
    } else {
        put_list(json_object_get(answer, "bumped"), "bumped");
        put_list(json_object_get(answer, "unchanged"), "unchanged");
        put_list(versions, NULL);
    }
    json_decref(answer);
    return all ? ETV_CLI_OK : ETV_CLI_MISSING;
}

/* --- watch --- */

int etv_cli_wants(const etv_cli_t *cli, const char *model, apr_size_t len)
{
    for (int i = 0; i < cli->request.n; i++) {
        const etv_admin_bump_t *each = cli->request.bumps + i;
        apr_size_t stem = each->model_len - 1;

        if (each->model_len == len && memcmp(each->model, model, len) == 0) {
            return 1;
        }
        if (each->model[stem] == '*' && len >= stem && memcmp(each->model, model, stem) == 0) {
            return 1;
        }
    }
    return !cli->request.n;
}

int etv_cli_show_bump(etv_cli_t *cli, const char *model, apr_size_t len)
{
    json_t *object;

    if (!cli->json) {
        etv_cli_put(stdout, model, model ? len : 0);
        puts(model ? "" : "*\treset");
    } else {
        object = json_object();
        if (!model) {
            json_object_set_new(object, "reset", json_true());
        } else if (json_object_set_new(object, "model", json_stringn(model, len)) != 0) {
            json_object_set_new(object, "model", json_null()); /* not UTF-8 */
        }
        json_dumpf(object, stdout, JSON_COMPACT);
        json_decref(object);
        putchar('\n');
    }
    return fflush(stdout) == 0 && (!model || !cli->count || --cli->count > 0);
}
