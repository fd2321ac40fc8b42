/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/patterns.h"

#include <apr_lib.h>
#include <apr_strings.h>

#include "store/store.h"

static etv_pattern_t *find(const etv_patterns_t *patterns, const char *text)
{
    for (int i = 0; i < patterns->items->nelts; i++) {
        etv_pattern_t *pattern = &APR_ARRAY_IDX(patterns->items, i, etv_pattern_t);

        if (strcmp(pattern->text, text) == 0)
            return pattern;
    }
    return NULL;
}

/* What an operation can be called, and what stands for any part of it. */
static int is_pattern(const char *text)
{
    if (!*text || strlen(text) > ETV_PATTERN_LENGTH_MOST)
        return 0;
    for (; *text; text++) {
        if (!apr_isalnum(*text) && !strchr("_*?", *text))
            return 0;
    }
    return 1;
}

static etv_pattern_t *find_or_add(apr_pool_t *p, etv_patterns_t *patterns, const char *text)
{
    etv_pattern_t *pattern = find(patterns, text);

    if (pattern)
        return pattern;
    pattern = apr_array_push(patterns->items);
    memset(pattern, 0, sizeof(*pattern));
    pattern->text = apr_pstrdup(p, text);
    return pattern;
}

const char *etv_patterns_add(cmd_parms *cmd, etv_patterns_t *patterns, const char *words,
                             int trusted, etv_list_item_fn *make_model)
{
    const char *text = ap_getword_conf(cmd->temp_pool, &words);
    const char *wrong;
    etv_list_t *models;
    int first = !patterns->items;

    if (first)
        patterns->items = apr_array_make(cmd->pool, 4, sizeof(etv_pattern_t));
    if (ap_cstr_casecmp(text, "none") == 0 && !*words) {
        if (!first)
            return apr_psprintf(cmd->pool,
                                "%s: \"none\" takes away what is inherited, and stands in front of "
                                "the other lines of its section",
                                cmd->cmd->name);
        patterns->replaces = 1;
        return NULL;
    }
    if (!is_pattern(text))
        return apr_psprintf(cmd->pool,
                            "%s: \"%s\" is no pattern of names of operations; use letters, digits, "
                            "_, * and ?, %d at most, and the models behind it",
                            cmd->cmd->name, text, ETV_PATTERN_LENGTH_MOST);
    if (!*words)
        return apr_psprintf(cmd->pool,
                            "%s: \"%s\": the models of these operations must follow, or none",
                            cmd->cmd->name, text);
    if (!find(patterns, text) && patterns->items->nelts == ETV_PATTERNS_MOST)
        return apr_psprintf(cmd->pool, "%s: \"%s\": at most %d patterns are accepted",
                            cmd->cmd->name, text, ETV_PATTERNS_MOST);
    patterns->trusted |= trusted;
    models = &find_or_add(cmd->pool, patterns, text)->models;
    wrong = etv_list_add(cmd, models, words, make_model, 0);
    if (!wrong && models->items->nelts > ETV_MODELS_MOST)
        return apr_psprintf(cmd->pool, "%s: \"%s\": %d names; at most %d are accepted",
                            cmd->cmd->name, text, models->items->nelts, ETV_MODELS_MOST);
    return wrong;
}

etv_patterns_t etv_patterns_merge(apr_pool_t *p, etv_patterns_t base, etv_patterns_t add)
{
    etv_patterns_t merged;

    if (!base.items || add.replaces)
        return add.items ? add : base;
    if (!add.items)
        return base;
    merged.items = apr_array_copy(p, base.items);
    merged.replaces = base.replaces;
    merged.trusted = base.trusted | add.trusted;
    merged.too_many = base.too_many | add.too_many;
    for (int i = 0; i < add.items->nelts; i++) {
        const etv_pattern_t *one = etv_patterns_at(&add, i);
        etv_pattern_t *pattern = find(&merged, one->text);

        if (!pattern && merged.items->nelts == ETV_PATTERNS_MOST) {
            merged.too_many = 1;
            continue;
        }
        if (!pattern)
            pattern = find_or_add(p, &merged, one->text);
        pattern->models = etv_list_merge(p, pattern->models, one->models);
    }
    return merged;
}
