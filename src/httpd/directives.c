/* SPDX-License-Identifier: Apache-2.0 */
/* The directives: what they accept and where. What they mean is told in docs/directives.md. */
#include "httpd/directives.h"

#include <stddef.h>

#include <http_protocol.h>
#include <apr_lib.h>
#include <apr_strings.h>

#include "core/cache_control.h"
#include "core/duration.h"
#include "core/media_type.h"
#include "core/vary.h"
#include "httpd/identity.h"
#include "httpd/log.h"

#define CACHE_CONTROL_MOST 2048

/* .htaccess is read while a request is served, and its commands get the request's pool. */
static int in_htaccess(const cmd_parms *cmd)
{
    return cmd->pool == cmd->temp_pool;
}

const char *etv_directive_refuse(cmd_parms *cmd, const char *value, const char *accepted)
{
    return apr_psprintf(cmd->pool, "%s: \"%s\" is not accepted; use %s", cmd->cmd->name, value,
                        accepted);
}

/* --- one word out of a few --- */

static const etv_choices_t mode_choices = {offsetof(etv_dir_t, mode),
                                           "Off, On, Version, Content or Headers",
                                           {{"off", ETV_MODE_OFF},
                                            {"on", ETV_MODE_ON},
                                            {"version", ETV_MODE_VERSION},
                                            {"content", ETV_MODE_CONTENT},
                                            {"headers", ETV_MODE_HEADERS},
                                            {NULL, 0}}};
static const etv_choices_t strength_choices = {offsetof(etv_dir_t, strength),
                                               "Weak, Strong or Default",
                                               {{"default", ETV_STRENGTH_DEFAULT},
                                                {"weak", ETV_STRENGTH_WEAK},
                                                {"strong", ETV_STRENGTH_STRONG},
                                                {NULL, 0}}};
static const etv_choices_t upstream_choices = {
    offsetof(etv_dir_t, upstream),
    "Keep or Replace",
    {{"keep", ETV_UPSTREAM_KEEP}, {"replace", ETV_UPSTREAM_REPLACE}, {NULL, 0}}};
static const etv_choices_t missing_choices = {
    offsetof(etv_dir_t, missing),
    "Initialize or Skip",
    {{"initialize", ETV_MISSING_INITIALIZE}, {"skip", ETV_MISSING_SKIP}, {NULL, 0}}};

static const etv_choices_t require_choices = {
    offsetof(etv_dir_t, invalidate_require),
    "On or Off",
    {{"off", ETV_SWITCH_OFF}, {"on", ETV_SWITCH_ON}, {NULL, 0}}};
static const etv_choices_t precondition_choices = {offsetof(etv_dir_t, preconditions),
                                                   "Off, Check or Require",
                                                   {{"off", ETV_PRECONDITIONS_OFF},
                                                    {"check", ETV_PRECONDITIONS_CHECK},
                                                    {"require", ETV_PRECONDITIONS_REQUIRE},
                                                    {NULL, 0}}};
static const etv_choices_t post_choices = {
    offsetof(etv_dir_t, graphql_post),
    "On or Off",
    {{"off", ETV_SWITCH_OFF}, {"on", ETV_SWITCH_ON}, {NULL, 0}}};
static const etv_choices_t head_choices = {
    offsetof(etv_dir_t, head),
    "Off or AsGet",
    {{"off", ETV_HEAD_OFF}, {"asget", ETV_HEAD_AS_GET}, {NULL, 0}}};

static const char *set_choice(cmd_parms *cmd, void *dir, const char *word)
{
    const etv_choices_t *choices = cmd->info;

    for (const etv_choice_t *c = choices->choices; c->word; c++) {
        if (ap_cstr_casecmp(word, c->word) == 0) {
            *(int *)(void *)((char *)dir + choices->field) = c->value;
            return NULL;
        }
    }
    return etv_directive_refuse(cmd, word, choices->accepted);
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

const char *etv_directive_make_model(cmd_parms *cmd, const char *word, etv_item_t *item)
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
    if (item->len && word[item->len - 1] == ',') /* nobody would ever bump that */
        return "names are separated by blanks, without commas";
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
    const char *wrong = etv_list_add(cmd, &dir->models, words, etv_directive_make_model, 0);

    if (!wrong && dir->models.items->nelts > ETV_MODELS_MOST)
        return apr_psprintf(cmd->pool, "%s: %d names; at most %d are accepted", cmd->cmd->name,
                            dir->models.items->nelts, ETV_MODELS_MOST);
    return wrong;
}

static const char *set_graphql(cmd_parms *cmd, void *dir, const char *words)
{
    /* "HttpProtocolOptions RegisteredMethods" would not let it in (RFC 10008) */
    if (!in_htaccess(cmd))
        ap_method_register(cmd->server->process->pconf, "QUERY");
    return etv_patterns_add(cmd, &((etv_dir_t *)dir)->graphql, words, !in_htaccess(cmd),
                            etv_directive_make_model);
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

const char *etv_directive_make_header(cmd_parms *cmd, const char *word, etv_item_t *item)
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
    return etv_list_add(cmd, &((etv_dir_t *)dir)->headers, words, etv_directive_make_header, 0);
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
        return etv_directive_refuse(cmd, text, "a text, or none");
    if (ap_cstr_casecmp(text, "none") == 0)
        item->text = NULL;
    ((etv_dir_t *)dir)->salt = item;
    return NULL;
}

/* --- durations and policies --- */

static const char *set_settle(cmd_parms *cmd, void *dir, const char *word)
{
    if (!etv_duration_parse(word, &((etv_dir_t *)dir)->settle_us))
        return etv_directive_refuse(cmd, word, ETV_DURATION_ACCEPTED);
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
        return etv_directive_refuse(cmd, line,
                                    "[merge|set|ifunset] and Cache-Control directives, or none");
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

#define OFFSET(field) ((void *)offsetof(etv_dir_t, field))
#define CHOICE_IN(where, name, choices, help)                                                      \
    AP_INIT_TAKE1(name, set_choice, (void *)(apr_uintptr_t) & choices, where, help)
#define CHOICE(name, choices, help) CHOICE_IN(OR_FILEINFO, name, choices, help)
/* everywhere but in .htaccess */
#define NOT_HTACCESS (RSRC_CONF | ACCESS_CONF)

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
    AP_INIT_TAKE12("ETagVersionBufferLimit", etv_directive_set_buffer_limit, NULL, RSRC_CONF,
                   "per-response [per-process]: bytes that content tags may hold back"),
    AP_INIT_RAW_ARGS("ETagVersionTagHeader", etv_directive_set_tag_header, NULL, OR_FILEINFO,
                     "[+|-]name ..., or none: Surrogate-Key, xkey and Cache-Tag, for CDNs"),
    AP_INIT_RAW_ARGS("ETagVersionGraphQL", set_graphql, NULL, OR_FILEINFO,
                     "pattern [+|-]name ..., or none: the models of GraphQL operations"),
    CHOICE("ETagVersionGraphQLPost", post_choices,
           "On or Off: whether GraphQL queries that are posted get tags and 304"),
    AP_INIT_RAW_ARGS("ETagVersionInvalidate", etv_directive_set_invalidate, NULL, NOT_HTACCESS,
                     "[+|-]name ..., models or none: bumped by unsafe requests"),
    CHOICE_IN(NOT_HTACCESS, "ETagVersionInvalidateRequire", require_choices,
              "On or Off: 503 where the store cannot take a bump"),
    AP_INIT_TAKE1("ETagVersionModelsHeader", etv_directive_set_header_name, OFFSET(models_header),
                  NOT_HTACCESS, "a response header, or Off: the models of this response"),
    AP_INIT_TAKE1("ETagVersionInvalidateHeader", etv_directive_set_header_name,
                  OFFSET(invalidate_header), NOT_HTACCESS,
                  "a response header, or Off: the models to bump"),
    CHOICE_IN(NOT_HTACCESS, "ETagVersionPreconditions", precondition_choices,
              "Off, Check or Require: If-Match of unsafe requests"),
    AP_INIT_RAW_ARGS("ETagVersionServe", etv_directive_set_serve, NULL, NOT_HTACCESS,
                     "status, admin and events, or none: the handlers that may serve here"),
    AP_INIT_TAKE1("ETagVersionEventsLimit", etv_directive_set_events_limit, NULL, RSRC_CONF,
                  "open event streams per process"),
    AP_INIT_TAKE1("ETagVersionStore", etv_directive_set_store, NULL, RSRC_CONF,
                  "local, redis[s]://[user:pass@]host[:port][/db], redis+unix:///path[?db=N] or "
                  "redis+sentinel://[user:pass@]host[:port],.../primary-name[/db]"),
    AP_INIT_TAKE1("ETagVersionStorePassword", etv_directive_set_store_password, NULL, RSRC_CONF,
                  "file:path of the store's password"),
    AP_INIT_ITERATE("ETagVersionStoreTimeout", etv_directive_set_store_timeout, NULL, RSRC_CONF,
                    "connect=T command=T: total deadlines"),
    AP_INIT_TAKE1("ETagVersionKeyPrefix", etv_directive_set_prefix, NULL, RSRC_CONF,
                  "what stands before a model's name in the store"),
    AP_INIT_TAKE12("ETagVersionFreshness", etv_directive_set_freshness, NULL, RSRC_CONF,
                   "strict: ask the primary for every request; lease [duration]: keep a table of "
                   "versions by what the primary pushes"),
    AP_INIT_TAKE1("ETagVersionTableSize", etv_directive_set_table_size, NULL, RSRC_CONF,
                  "entries in the shared table"),
    AP_INIT_TAKE1("ETagVersionSecret", etv_directive_set_secret, NULL, RSRC_CONF,
                  "file:path or text of at least 16 bytes: the key for the tags"),
    {.name = NULL},
};
