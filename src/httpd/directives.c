/* SPDX-License-Identifier: Apache-2.0 */
/* The directives: what they accept and where. What they mean is told in docs/directives.md. */
#include "httpd/config.h"

#include <errno.h>
#include <stddef.h>

#include <apr_file_io.h>
#include <apr_lib.h>
#include <apr_strings.h>

#include "core/cache_control.h"
#include "core/duration.h"
#include "core/media_type.h"
#include "core/vary.h"
#include "httpd/identity.h"
#include "httpd/log.h"
#include "store/table.h"

#define PREFIX_MOST        128
#define SECRET_LEAST       16
#define SECRET_FILE_MOST   4096
#define TIMEOUT_MOST_US    apr_time_from_sec(60)
#define LEASE_LEAST_US     apr_time_from_msec(50)
#define LEASE_MOST_US      apr_time_from_sec(60)
#define CACHE_CONTROL_MOST 2048
#define BUFFER_MOST        ((apr_int64_t)1 << 40)

/* .htaccess is read while a request is served, and its commands get the request's pool. */
static int in_htaccess(const cmd_parms *cmd)
{
    return cmd->pool == cmd->temp_pool;
}

static const char *refuse(cmd_parms *cmd, const char *value, const char *accepted)
{
    return apr_psprintf(cmd->pool, "%s: \"%s\" is not accepted; use %s", cmd->cmd->name, value,
                        accepted);
}

/* --- one word out of a few --- */

typedef struct {
    const char *word;
    int value;
} choice_t;

typedef struct {
    apr_size_t field; /* offset of an int in etv_dir_t */
    const char *accepted;
    const choice_t choices[6]; /* ends with a NULL word */
} choices_t;

static const choices_t mode_choices = {offsetof(etv_dir_t, mode),
                                       "Off, On, Version, Content or Headers",
                                       {{"off", ETV_MODE_OFF},
                                        {"on", ETV_MODE_ON},
                                        {"version", ETV_MODE_VERSION},
                                        {"content", ETV_MODE_CONTENT},
                                        {"headers", ETV_MODE_HEADERS},
                                        {NULL, 0}}};
static const choices_t strength_choices = {offsetof(etv_dir_t, strength),
                                           "Weak, Strong or Default",
                                           {{"default", ETV_STRENGTH_DEFAULT},
                                            {"weak", ETV_STRENGTH_WEAK},
                                            {"strong", ETV_STRENGTH_STRONG},
                                            {NULL, 0}}};
static const choices_t upstream_choices = {
    offsetof(etv_dir_t, upstream),
    "Keep or Replace",
    {{"keep", ETV_UPSTREAM_KEEP}, {"replace", ETV_UPSTREAM_REPLACE}, {NULL, 0}}};
static const choices_t missing_choices = {
    offsetof(etv_dir_t, missing),
    "Initialize or Skip",
    {{"initialize", ETV_MISSING_INITIALIZE}, {"skip", ETV_MISSING_SKIP}, {NULL, 0}}};

static const choices_t head_choices = {
    offsetof(etv_dir_t, head),
    "Off or AsGet",
    {{"off", ETV_HEAD_OFF}, {"asget", ETV_HEAD_AS_GET}, {NULL, 0}}};

static const char *set_choice(cmd_parms *cmd, void *dir, const char *word)
{
    const choices_t *choices = cmd->info;

    for (const choice_t *c = choices->choices; c->word; c++) {
        if (ap_cstr_casecmp(word, c->word) == 0) {
            *(int *)(void *)((char *)dir + choices->field) = c->value;
            return NULL;
        }
    }
    return refuse(cmd, word, choices->accepted);
}

/* --- expressions and lists --- */

/* Text with %{…} in it becomes an expression, restricted where a customer wrote it. */
static const char *parse_expression(cmd_parms *cmd, etv_item_t *item)
{
    unsigned int flags = AP_EXPR_FLAG_STRING_RESULT;
    const char *wrong = NULL;

    item->trusted = !in_htaccess(cmd);
    if (!strstr(item->text, "%{"))
        return NULL;
    if (!item->trusted) {
        flags |= AP_EXPR_FLAG_RESTRICTED;
#ifdef AP_EXPR_FLAG_RESTRICTED_FILE_FUNC
        flags |= AP_EXPR_FLAG_RESTRICTED_FILE_FUNC;
#endif
    }
    item->expr = ap_expr_parse_cmd(cmd, item->text, flags, &wrong, NULL);
    return wrong ? apr_psprintf(cmd->pool, "the expression is wrong: %s", wrong) : NULL;
}

static const char *make_model(cmd_parms *cmd, const char *word, etv_item_t *item)
{
    const char *wrong = NULL;

    if (etv_model_name_has_control(word))
        return "control characters are not accepted";
    if (item->sign != '-')
        wrong = parse_expression(cmd, item);
    if (wrong)
        return wrong;
    if (!strstr(word, "%{") && !etv_model_name_is_right(word, item->len))
        return apr_psprintf(cmd->pool, "a model's name has at most %d bytes and no %% in front",
                            ETV_MODEL_NAME_MOST);
    item->hash = etv_hash_name(item->text, item->len);
    return NULL;
}

static const char *make_vary(cmd_parms *cmd, const char *word, etv_item_t *item)
{
    (void)cmd;
    item->fold = 1;
    return etv_vary_is_field_name(word) && strcmp(word, "*") != 0
               ? NULL
               : "a request header's name is expected";
}

static const char *make_identity(cmd_parms *cmd, const char *word, etv_item_t *item)
{
    (void)cmd;
    (void)word;
    if (!etv_identity_parse(item))
        return "accepted are none, user, cookie:NAME and header:NAME";
    if (item->kind == ETV_IDENTITY_NONE && item->sign)
        return "it cannot be added or taken away; write none alone";
    return NULL;
}

static const char *set_models(cmd_parms *cmd, void *dir_in, const char *words)
{
    etv_dir_t *dir = dir_in;
    const char *wrong = etv_list_add(cmd, &dir->models, words, make_model, 0);

    if (!wrong && dir->models.items->nelts > ETV_MODELS_MOST)
        return apr_psprintf(cmd->pool, "%s: %d names; at most %d are accepted", cmd->cmd->name,
                            dir->models.items->nelts, ETV_MODELS_MOST);
    return wrong;
}

static const char *set_vary(cmd_parms *cmd, void *dir_in, const char *words)
{
    return etv_list_add(cmd, &((etv_dir_t *)dir_in)->vary, words, make_vary, 0);
}

static const char *make_type(cmd_parms *cmd, const char *word, etv_item_t *item)
{
    (void)cmd;
    item->fold = 1;
    return etv_media_type_is_pattern(word)
               ? NULL
               : "accepted are type/subtype, type/*, type/*+suffix and *";
}

static const char *make_header(cmd_parms *cmd, const char *word, etv_item_t *item)
{
    (void)cmd;
    item->fold = 1;
    return etv_vary_is_field_name(word) ? NULL : "a response header's name is expected";
}

static const char *set_types(cmd_parms *cmd, void *dir, const char *words)
{
    return etv_list_add(cmd, &((etv_dir_t *)dir)->types, words, make_type, 0);
}

static const char *set_headers(cmd_parms *cmd, void *dir, const char *words)
{
    return etv_list_add(cmd, &((etv_dir_t *)dir)->headers, words, make_header, 0);
}

static const char *set_identity(cmd_parms *cmd, void *dir_in, const char *words)
{
    etv_dir_t *dir = dir_in;
    const char *wrong = etv_list_add(cmd, &dir->identity, words, make_identity, 1);

    if (wrong)
        return wrong;
    for (int i = 0; i < dir->identity.items->nelts && dir->identity.items->nelts > 1; i++) {
        const etv_item_t *item = &APR_ARRAY_IDX(dir->identity.items, i, etv_item_t);

        if (item->kind == ETV_IDENTITY_NONE)
            return apr_psprintf(cmd->pool,
                                "%s: \"none\" stands alone: it says that everyone gets "
                                "the same response",
                                cmd->cmd->name);
    }
    return NULL;
}

static const char *set_salt(cmd_parms *cmd, void *dir, const char *text)
{
    etv_item_t *item = apr_pcalloc(cmd->pool, sizeof(*item));
    const char *wrong;

    item->text = apr_pstrdup(cmd->pool, text);
    item->len = strlen(text);
    wrong = parse_expression(cmd, item);
    if (wrong)
        return apr_psprintf(cmd->pool, "%s: \"%s\": %s", cmd->cmd->name, text, wrong);
    if (!*text)
        return refuse(cmd, text, "a text, or none");
    if (ap_cstr_casecmp(text, "none") == 0)
        item->text = NULL;
    ((etv_dir_t *)dir)->salt = item;
    return NULL;
}

/* --- durations and policies --- */

static const char *set_settle(cmd_parms *cmd, void *dir, const char *word)
{
    if (!etv_duration_parse(word, &((etv_dir_t *)dir)->settle_us))
        return refuse(cmd, word, ETV_DURATION_ACCEPTED);
    return NULL;
}

static int is_policy_mode(const char *word, etv_policy_mode_e *mode)
{
    static const char *const words[] = {"merge", "set", "ifunset"};

    for (int i = 0; i < 3; i++) {
        if (ap_cstr_casecmp(word, words[i]) == 0) {
            *mode = (etv_policy_mode_e)i;
            return 1;
        }
    }
    return 0;
}

/* The end of a word: white space outside quotes. */
static const char *word_end(const char *c)
{
    int in_quotes = 0;

    for (; *c && (in_quotes || !apr_isspace(*c)); c++) {
        if (*c == '\\' && in_quotes && c[1])
            c++;
        else if (*c == '"')
            in_quotes = !in_quotes;
    }
    return c;
}

/* The rest of the line: one quoted text, or words that may or may not have commas between them. */
static const char *policy_text(apr_pool_t *p, const char *rest)
{
    const char *text = "";

    if (*rest == '"') {
        const char *end = rest, *quoted = ap_getword_conf(p, &end);

        if (!*end)
            return quoted;
    }
    while (*rest) {
        const char *end = word_end(rest);
        const char *comma = *text && text[strlen(text) - 1] != ',' && *rest != ',' ? "," : "";

        text = apr_pstrcat(p, text, comma, apr_pstrmemdup(p, rest, (size_t)(end - rest)), NULL);
        for (rest = end; apr_isspace(*rest); rest++)
            ;
    }
    return text;
}

static const char *set_policy(cmd_parms *cmd, void *dir, const char *line)
{
    apr_size_t field = (apr_size_t)(apr_uintptr_t)cmd->info;
    etv_policy_t *policy = apr_pcalloc(cmd->pool, sizeof(*policy));
    const char *rest = line, *word, *text, *wrong;

    word = ap_getword_conf(cmd->temp_pool, &rest);
    if (!is_policy_mode(word, &policy->mode))
        rest = line;
    if (!*rest)
        return refuse(cmd, line, "[merge|set|ifunset] and Cache-Control directives, or none");
    if (strlen(rest) > CACHE_CONTROL_MOST)
        return apr_psprintf(cmd->pool, "%s: at most %d bytes are accepted", cmd->cmd->name,
                            CACHE_CONTROL_MOST);
    if (ap_cstr_casecmp(rest, "none") != 0) {
        text = policy_text(cmd->pool, rest);
        wrong = etv_cache_control_check(cmd->pool, text, &policy->directives);
        if (wrong)
            return apr_psprintf(cmd->pool, "%s: \"%s\": %s", cmd->cmd->name, text, wrong);
    }
    *(const etv_policy_t **)(void *)((char *)dir + field) = policy;
    return NULL;
}

/* --- the store --- */

static etv_server_t *server_of(cmd_parms *cmd)
{
    return etv_config_server(cmd->server);
}

static const char *set_store(cmd_parms *cmd, void *dir, const char *word)
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

static const char *set_store_password(cmd_parms *cmd, void *dir, const char *word)
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

static const char *set_secret(cmd_parms *cmd, void *dir, const char *word)
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

static const char *set_store_timeout(cmd_parms *cmd, void *dir, const char *word)
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
        return refuse(cmd, word,
                      "connect=T and command=T, where T is from 1ms to 60s, such as connect=250ms "
                      "command=50ms");
    *field = us;
    return NULL;
}

static const char *set_prefix(cmd_parms *cmd, void *dir, const char *word)
{
    (void)dir;
    if (!*word || strlen(word) > PREFIX_MOST || etv_model_name_has_control(word))
        return refuse(cmd, word, "a text of 1 to 128 bytes without control characters");
    server_of(cmd)->prefix = apr_pstrdup(cmd->pool, word);
    return NULL;
}

static const char *set_freshness(cmd_parms *cmd, void *dir, const char *word, const char *lease)
{
    etv_server_t *server = server_of(cmd);
    apr_interval_time_t us = ETV_LEASE_DEFAULT_US;

    (void)dir;
    if (ap_cstr_casecmp(word, "strict") == 0 && !lease) {
        server->lease_us = 0;
        return NULL;
    }
    if (ap_cstr_casecmp(word, "lease") != 0)
        return refuse(cmd, lease ? apr_pstrcat(cmd->temp_pool, word, " ", lease, NULL) : word,
                      "strict, or lease with or without a duration");
    if (lease && (!etv_duration_parse(lease, &us) || us < LEASE_LEAST_US || us > LEASE_MOST_US))
        return refuse(cmd, lease, "a lease from 50ms to 60s, such as lease 1s");
    server->lease_us = us;
    return NULL;
}

static const char *set_table_size(cmd_parms *cmd, void *dir, const char *word)
{
    const char *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    char *end;
    apr_int64_t n;

    (void)dir;
    if (wrong)
        return wrong;
    n = apr_strtoi64(word, &end, 10);
    if (!apr_isdigit(*word) || *end || n < ETV_TABLE_ENTRIES_LEAST || n > ETV_TABLE_ENTRIES_MOST)
        return refuse(cmd, word, "a whole number from 16 to 4194304");
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

static const char *set_buffer_limit(cmd_parms *cmd, void *dir, const char *response,
                                    const char *process)
{
    const char *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    etv_buffer_limit_t limit = *etv_config_buffer_limit();
    apr_int64_t bytes = 0;

    (void)dir;
    if (wrong)
        return wrong;
    if (!parse_bytes(response, &bytes))
        return refuse(cmd, response, "per-response [per-process] in bytes, such as 8M 256M");
    limit.response = bytes;
    if (process) {
        if (!parse_bytes(process, &bytes))
            return refuse(cmd, process, "per-response [per-process] in bytes, such as 8M 256M");
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

#define OFFSET(field) ((void *)offsetof(etv_dir_t, field))
#define CHOICE(name, choices, help)                                                                \
    AP_INIT_TAKE1(name, set_choice, (void *)(apr_uintptr_t) & choices, OR_FILEINFO, help)

const command_rec etv_directives[] = {
    CHOICE("ETagVersion", mode_choices,
           "Off, On, Version, Content or Headers: what entity-tags come from"),
    AP_INIT_RAW_ARGS("ETagVersionModels", set_models, NULL, OR_FILEINFO,
                     "[+|-]name ..., or none: the models that the response depends on"),
    CHOICE("ETagVersionStrength", strength_choices, "Weak, Strong or Default"),
    AP_INIT_TAKE1("ETagVersionSalt", set_salt, NULL, OR_FILEINFO,
                  "a text or expression that is folded into version tags, or none"),
    AP_INIT_RAW_ARGS("ETagVersionIdentity", set_identity, NULL, OR_FILEINFO,
                     "none, or user, cookie:NAME and header:NAME: what tells users apart"),
    AP_INIT_RAW_ARGS("ETagVersionCacheControl", set_policy, OFFSET(policy), OR_FILEINFO,
                     "[merge|set|ifunset] directives, or none: Cache-Control of GET and HEAD"),
    AP_INIT_RAW_ARGS("ETagVersionCacheControlUnsafe", set_policy, OFFSET(policy_unsafe),
                     OR_FILEINFO,
                     "[merge|set|ifunset] directives, or none: Cache-Control of other methods"),
    AP_INIT_RAW_ARGS("ETagVersionVary", set_vary, NULL, OR_FILEINFO,
                     "[+|-]name ..., or none: request headers that the response varies on"),
    CHOICE("ETagVersionUpstreamETag", upstream_choices, "Keep or Replace a backend's own ETag"),
    CHOICE("ETagVersionMissing", missing_choices, "Initialize or Skip absent versions"),
    AP_INIT_TAKE1("ETagVersionSettle", set_settle, NULL, OR_FILEINFO,
                  "how long a version that is new to this host is not used"),
    AP_INIT_RAW_ARGS("ETagVersionHeaders", set_headers, NULL, OR_FILEINFO,
                     "[+|-]name ..., or none: response headers that header tags are made of"),
    AP_INIT_RAW_ARGS("ETagVersionTypes", set_types, NULL, OR_FILEINFO,
                     "[+|-]type/subtype ..., *, or none: media types that get content tags"),
    CHOICE("ETagVersionHead", head_choices, "Off or AsGet: whether HEAD is run as GET"),
    AP_INIT_TAKE12("ETagVersionBufferLimit", set_buffer_limit, NULL, RSRC_CONF,
                   "per-response [per-process]: bytes that content tags may hold back"),
    AP_INIT_TAKE1("ETagVersionStore", set_store, NULL, RSRC_CONF,
                  "local, redis[s]://[user:pass@]host[:port][/db], redis+unix:///path[?db=N] or "
                  "redis+sentinel://[user:pass@]host[:port],.../primary-name[/db]"),
    AP_INIT_TAKE1("ETagVersionStorePassword", set_store_password, NULL, RSRC_CONF,
                  "file:path of the store's password"),
    AP_INIT_ITERATE("ETagVersionStoreTimeout", set_store_timeout, NULL, RSRC_CONF,
                    "connect=T command=T: total deadlines"),
    AP_INIT_TAKE1("ETagVersionKeyPrefix", set_prefix, NULL, RSRC_CONF,
                  "what stands before a model's name in the store"),
    AP_INIT_TAKE12("ETagVersionFreshness", set_freshness, NULL, RSRC_CONF,
                   "strict: ask the primary for every request; lease [duration]: keep a table of "
                   "versions by what the primary pushes"),
    AP_INIT_TAKE1("ETagVersionTableSize", set_table_size, NULL, RSRC_CONF,
                  "entries in the shared table"),
    AP_INIT_TAKE1("ETagVersionSecret", set_secret, NULL, RSRC_CONF,
                  "file:path or text of at least 16 bytes: the key for the tags"),
    {.name = NULL},
};
