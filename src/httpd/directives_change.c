/* SPDX-License-Identifier: Apache-2.0 */
/* The directives of bumps, of what backends may say, and of handlers. */
#include "httpd/directives.h"

#include <stddef.h>

#include <apr_strings.h>

#include "core/tag_header.h"
#include "core/vary.h"

/* Fields whose change by a backend's header would be the end of the response, or of a law. */
static const char *const never[] = {"Cache-Control",
                                    "Connection",
                                    "Content-Encoding",
                                    "Content-Length",
                                    "Content-Range",
                                    "Content-Type",
                                    "Date",
                                    "ETag",
                                    "Expires",
                                    "Last-Modified",
                                    "Location",
                                    "Set-Cookie",
                                    "Transfer-Encoding",
                                    "WWW-Authenticate",
                                    "Vary"};

static const char *make_invalidated(cmd_parms *cmd, const char *word, etv_item_t *item)
{
    if (ap_cstr_casecmp(word, "models") != 0)
        return etv_directive_make_model(cmd, word, item);
    item->kind = ETV_INVALIDATE_MODELS;
    item->fold = 1;
    return NULL;
}

const char *etv_directive_set_invalidate(cmd_parms *cmd, void *dir_in, const char *words)
{
    etv_dir_t *dir = dir_in;
    const char *wrong = etv_list_add(cmd, &dir->invalidate, words, make_invalidated, 0);

    if (!wrong && dir->invalidate.items->nelts > ETV_MODELS_MOST)
        return apr_psprintf(cmd->pool, "%s: %d names; at most %d are accepted", cmd->cmd->name,
                            dir->invalidate.items->nelts, ETV_MODELS_MOST);
    if (!wrong && dir->invalidate.items->nelts)
        etv_config_set_changes();
    return wrong;
}

const char *etv_directive_set_header_name(cmd_parms *cmd, void *dir, const char *word)
{
    apr_size_t field = (apr_size_t)(apr_uintptr_t)cmd->info;
    const char *name = apr_pstrdup(cmd->pool, word);

    if (ap_cstr_casecmp(word, "off") == 0)
        name = "";
    else if (!etv_vary_is_field_name(word) || strcmp(word, "*") == 0)
        return etv_directive_refuse(cmd, word, "the name of a response header, or Off");
    for (apr_size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        if (ap_cstr_casecmp(word, never[i]) == 0)
            return etv_directive_refuse(
                cmd, word, "a header that means nothing else, such as X-Models: it is removed");
    }
    *(const char **)(void *)((char *)dir + field) = name;
    if (*name && field == offsetof(etv_dir_t, invalidate_header))
        etv_config_set_changes();
    return NULL;
}

static const char *make_tag_header(cmd_parms *cmd, const char *word, etv_item_t *item)
{
    (void)cmd;
    item->fold = 1;
    for (int kind = 1; kind <= ETV_TAG_HEADER_KINDS; kind++) {
        if (ap_cstr_casecmp(word, etv_tag_header_field((etv_tag_header_e)kind)) == 0) {
            item->kind = kind;
            return NULL;
        }
    }
    return "accepted are Surrogate-Key, xkey and Cache-Tag";
}

const char *etv_directive_set_tag_header(cmd_parms *cmd, void *dir, const char *words)
{
    return etv_list_add(cmd, &((etv_dir_t *)dir)->tag_header, words, make_tag_header, 0);
}

const char *etv_directive_set_serve(cmd_parms *cmd, void *dir_in, const char *words)
{
    etv_dir_t *dir = dir_in;
    const char *word = ap_getword_conf(cmd->pool, &words);
    int serve = dir->serve == ETV_UNSET ? 0 : dir->serve;

    if (!*word)
        return apr_psprintf(cmd->pool, "%s takes status, admin and events, or none",
                            cmd->cmd->name);
    for (; *word; word = ap_getword_conf(cmd->pool, &words)) {
        if (ap_cstr_casecmp(word, "admin") == 0)
            serve |= ETV_SERVE_ADMIN;
        else if (ap_cstr_casecmp(word, "events") == 0)
            serve |= ETV_SERVE_EVENTS;
        else if (ap_cstr_casecmp(word, "status") == 0)
            serve |= ETV_SERVE_STATUS;
        else if (ap_cstr_casecmp(word, "none") == 0 && !*words && !serve)
            serve = 0;
        else
            return etv_directive_refuse(cmd, word, "status, admin and events, or none alone");
    }
    dir->serve = serve;
    return NULL;
}
