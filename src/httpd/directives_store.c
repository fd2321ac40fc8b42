/* SPDX-License-Identifier: Apache-2.0 */
/* The directives of the store and of the whole server. */
#include "httpd/directives.h"

#include <errno.h>

#include <apr_file_io.h>
#include <apr_lib.h>
#include <apr_strings.h>

#include "core/duration.h"
#include "store/seats.h"
#include "store/table.h"

#define PREFIX_MOST      128
#define SECRET_LEAST     16
#define SECRET_FILE_MOST 4096
#define TIMEOUT_MOST_US  apr_time_from_sec(60)
#define LEASE_LEAST_US   apr_time_from_msec(50)
#define LEASE_MOST_US    apr_time_from_sec(60)
#define BUFFER_MOST      ((apr_int64_t)1 << 40)
#define EVENTS_MOST      ETV_SEATS_MOST

static etv_server_t *server_of(cmd_parms *cmd)
{
    return etv_config_server(cmd->server);
}

const char *etv_directive_set_store(cmd_parms *cmd, void *dir, const char *word)
{
    etv_store_url_t *url = apr_pcalloc(cmd->pool, sizeof(*url));
    const char *wrong = etv_store_url_parse(cmd->pool, word, url);

    (void)dir;
    if (wrong)
        return apr_psprintf(cmd->pool, "%s: %s", cmd->cmd->name, wrong);
    server_of(cmd)->store_url = url;
    return NULL;
}

/* The first SECRET_FILE_MOST bytes of a file, without the line end; NULL and a sentence if not. */
static const char *read_secret_file(cmd_parms *cmd, const char *name, const char **wrong)
{
    const char *path = ap_server_root_relative(cmd->temp_pool, name);
    char *text = apr_palloc(cmd->pool, SECRET_FILE_MOST + 1);
    apr_size_t len = SECRET_FILE_MOST;
    apr_file_t *file;
    apr_status_t rv = APR_EINVAL;

    if (path)
        rv = apr_file_open(&file, path, APR_FOPEN_READ, 0, cmd->temp_pool);
    if (rv == APR_SUCCESS) {
        rv = apr_file_read_full(file, text, SECRET_FILE_MOST, &len);
        apr_file_close(file);
        if (rv == APR_EOF)
            rv = APR_SUCCESS;
    }
    if (rv != APR_SUCCESS) {
        *wrong = apr_psprintf(cmd->pool, "%s: \"file:%s\" cannot be read: %pm", cmd->cmd->name,
                              name, &rv);
        return NULL;
    }
    while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    text[len] = '\0';
    if (!len || len == SECRET_FILE_MOST || strcspn(text, "\r\n") != len) {
        *wrong = apr_psprintf(cmd->pool, "%s: \"file:%s\" must hold one line of text",
                              cmd->cmd->name, name);
        return NULL;
    }
    return text;
}

const char *etv_directive_set_store_password(cmd_parms *cmd, void *dir, const char *word)
{
    const char *wrong = NULL, *password;

    (void)dir;
    if (strncmp(word, "file:", 5) != 0)
        return apr_psprintf(cmd->pool,
                            "%s: use file:path, so that the password stays outside the "
                            "configuration",
                            cmd->cmd->name);
    password = read_secret_file(cmd, word + 5, &wrong);
    if (wrong)
        return wrong;
    server_of(cmd)->store_password = password;
    return NULL;
}

const char *etv_directive_set_secret(cmd_parms *cmd, void *dir, const char *word)
{
    const char *wrong = NULL, *text = word;
    unsigned char *key = apr_palloc(cmd->pool, ETV_SECRET_BYTES);

    (void)dir;
    if (strncmp(word, "file:", 5) == 0)
        text = read_secret_file(cmd, word + 5, &wrong);
    if (wrong)
        return wrong;
    if (strlen(text) < SECRET_LEAST)
        return apr_psprintf(cmd->pool,
                            "%s: the secret has %d bytes (it is not shown here); use at least %d "
                            "bytes, or file:path to a file with as many",
                            cmd->cmd->name, (int)strlen(text), SECRET_LEAST);
    etv_hash_derive_key(key, text, strlen(text));
    server_of(cmd)->secret = key;
    return NULL;
}

const char *etv_directive_set_store_timeout(cmd_parms *cmd, void *dir, const char *word)
{
    etv_server_t *server = server_of(cmd);
    apr_interval_time_t *field = NULL, us = 0;
    const char *value = strchr(word, '=');

    (void)dir;
    if (strncmp(word, "connect=", 8) == 0)
        field = &server->connect_timeout_us;
    else if (strncmp(word, "command=", 8) == 0)
        field = &server->command_timeout_us;
    if (!field || !etv_duration_parse(value + 1, &us) || us <= 0 || us > TIMEOUT_MOST_US)
        return etv_directive_refuse(
            cmd, word,
            "connect=T and command=T, where T is from 1ms to 60s, such as connect=250ms "
            "command=50ms");
    *field = us;
    return NULL;
}

const char *etv_directive_set_prefix(cmd_parms *cmd, void *dir, const char *word)
{
    (void)dir;
    if (!*word || strlen(word) > PREFIX_MOST || etv_model_name_has_control(word))
        return etv_directive_refuse(cmd, word,
                                    "a text of 1 to 128 bytes without control characters");
    server_of(cmd)->prefix = apr_pstrdup(cmd->pool, word);
    return NULL;
}

const char *etv_directive_set_freshness(cmd_parms *cmd, void *dir, const char *word,
                                        const char *lease)
{
    etv_server_t *server = server_of(cmd);
    apr_interval_time_t us = ETV_LEASE_DEFAULT_US;

    (void)dir;
    if (ap_cstr_casecmp(word, "strict") == 0 && !lease) {
        server->lease_us = 0;
        return NULL;
    }
    if (ap_cstr_casecmp(word, "lease") != 0)
        return etv_directive_refuse(
            cmd, lease ? apr_pstrcat(cmd->temp_pool, word, " ", lease, NULL) : word,
            "strict, or lease with or without a duration");
    if (lease && (!etv_duration_parse(lease, &us) || us < LEASE_LEAST_US || us > LEASE_MOST_US))
        return etv_directive_refuse(cmd, lease, "a lease from 50ms to 60s, such as lease 1s");
    server->lease_us = us;
    return NULL;
}

const char *etv_directive_set_table_size(cmd_parms *cmd, void *dir, const char *word)
{
    const char *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    char *end;
    apr_int64_t n;

    (void)dir;
    if (wrong)
        return wrong;
    n = apr_strtoi64(word, &end, 10);
    if (!apr_isdigit(*word) || *end || n < ETV_TABLE_ENTRIES_LEAST || n > ETV_TABLE_ENTRIES_MOST)
        return etv_directive_refuse(cmd, word, "a whole number from 16 to 4194304");
    etv_config_set_table_size((int)n);
    return NULL;
}

/* Bytes, with K, M or G behind the number. @return 0 when that is not what the text says */
static int parse_bytes(const char *text, apr_int64_t *bytes)
{
    char *end;
    int shift = 0;

    if (!apr_isdigit(*text))
        return 0;
    errno = 0;
    *bytes = apr_strtoi64(text, &end, 10);
    switch (*end) {
    case 'G':
    case 'g':
        shift += 10; /* fall through */
    case 'M':
    case 'm':
        shift += 10; /* fall through */
    case 'K':
    case 'k':
        shift += 10;
        end++;
        break;
    default:
        break;
    }
    if (*end || errno || *bytes > BUFFER_MOST >> shift)
        return 0;
    *bytes <<= shift;
    return 1;
}

const char *etv_directive_set_buffer_limit(cmd_parms *cmd, void *dir, const char *response,
                                           const char *process)
{
    const char *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    etv_buffer_limit_t limit = *etv_config_buffer_limit();
    apr_int64_t bytes = 0;

    (void)dir;
    if (wrong)
        return wrong;
    if (!parse_bytes(response, &bytes))
        return etv_directive_refuse(cmd, response,
                                    "per-response [per-process] in bytes, such as 8M 256M");
    limit.response = bytes;
    if (process) {
        if (!parse_bytes(process, &bytes))
            return etv_directive_refuse(cmd, process,
                                        "per-response [per-process] in bytes, such as 8M 256M");
        limit.process = (apr_size_t)bytes;
    }
    if ((apr_uint64_t)limit.response > limit.process)
        return apr_psprintf(cmd->pool,
                            "%s: \"%s%s%s\" is not accepted: one response may not have more than "
                            "the whole process, which has %" APR_SIZE_T_FMT " bytes; use "
                            "per-response [per-process], such as 8M 256M",
                            cmd->cmd->name, response, process ? " " : "", process ? process : "",
                            limit.process);
    etv_config_set_buffer_limit(limit);
    return NULL;
}

const char *etv_directive_set_events_limit(cmd_parms *cmd, void *dir, const char *word)
{
    const char *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    apr_int64_t n;
    char *end;

    (void)dir;
    if (wrong)
        return wrong;
    n = apr_strtoi64(word, &end, 10);
    if (!apr_isdigit(*word) || *end || n > EVENTS_MOST)
        return etv_directive_refuse(cmd, word, "a whole number from 0 to 10000");
    etv_config_set_events_limit((int)n);
    return NULL;
}
