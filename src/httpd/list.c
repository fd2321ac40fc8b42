/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/list.h"

#include <apr_strings.h>

static const char *mixing(cmd_parms *cmd, const char *word)
{
    return apr_psprintf(cmd->pool,
                        "%s: \"%s\" does not go with the names before it: names with + or - edit "
                        "the inherited list, plain names replace it; use one or the other in a "
                        "section",
                        cmd->cmd->name, word);
}

static int is_none(const char *word)
{
    return ap_cstr_casecmp(word, "none") == 0;
}

static const char *add_none(cmd_parms *cmd, etv_list_t *list, int words)
{
    if (words > 1 || list->items)
        return apr_psprintf(cmd->pool, "%s: \"none\" stands alone, without other names",
                            cmd->cmd->name);
    list->items = apr_array_make(cmd->pool, 1, sizeof(etv_item_t));
    list->replaces = 1;
    return NULL;
}

/* Where a name is among the items, -1 when it is not. */
static int position(const etv_item_t *items, int n, const etv_item_t *name)
{
    for (int i = 0; i < n; i++) {
        if (name->fold ? ap_cstr_casecmp(items[i].text, name->text) == 0
                       : strcmp(items[i].text, name->text) == 0)
            return i;
    }
    return -1;
}

static const etv_item_t *elements(const apr_array_header_t *items)
{
    return (const etv_item_t *)(const void *)items->elts;
}

static const char *add_word(cmd_parms *cmd, etv_list_t *list, apr_array_header_t *items,
                            const char *word, etv_list_item_fn *make)
{
    etv_item_t item;
    const char *wrong;
    int first = items->nelts == 0 && !list->items;

    memset(&item, 0, sizeof(item));
    if (*word == '+' || *word == '-')
        item.sign = *word++;
    if (!first && list->replaces != (item.sign == 0))
        return mixing(cmd, item.sign ? word - 1 : word);
    if (!*word)
        return apr_psprintf(cmd->pool, "%s: a name must follow the sign \"%c\"", cmd->cmd->name,
                            item.sign);
    item.text = apr_pstrdup(cmd->pool, word);
    item.len = strlen(word);
    wrong = make(cmd, item.text, &item);
    if (wrong)
        return apr_psprintf(cmd->pool, "%s: \"%s\": %s", cmd->cmd->name, word, wrong);
    list->replaces = item.sign == 0;
    list->edits |= item.sign != 0;
    if (item.sign || position(elements(items), items->nelts, &item) < 0)
        APR_ARRAY_PUSH(items, etv_item_t) = item;
    return NULL;
}

static const char *join(apr_pool_t *p, const etv_list_t *list)
{
    const etv_item_t *items = elements(list->items);
    const char *text = "";

    for (int i = 0; i < list->items->nelts; i++) {
        if (items[i].sign || items[i].expr)
            return NULL;
        text = apr_pstrcat(p, text, i ? " " : "", items[i].text, NULL);
    }
    return text;
}

const char *etv_list_add(cmd_parms *cmd, etv_list_t *list, const char *words,
                         etv_list_item_fn *make, int none_is_item)
{
    apr_array_header_t *all = apr_array_make(cmd->temp_pool, 4, sizeof(const char *));
    apr_array_header_t *items;
    const char *wrong;

    while (*words)
        APR_ARRAY_PUSH(all, const char *) = ap_getword_conf(cmd->temp_pool, &words);
    if (!all->nelts || !*APR_ARRAY_IDX(all, 0, const char *))
        return apr_psprintf(cmd->pool, "%s takes at least one name, or none", cmd->cmd->name);
    if (list->items && list->items->nelts == 0)
        return apr_psprintf(cmd->pool, "%s: \"none\" stands alone, without other names",
                            cmd->cmd->name);
    items = list->items ? apr_array_copy(cmd->pool, list->items)
                        : apr_array_make(cmd->pool, all->nelts, sizeof(etv_item_t));
    for (int i = 0; i < all->nelts; i++) {
        const char *word = APR_ARRAY_IDX(all, i, const char *);

        if (!none_is_item && is_none(word))
            return add_none(cmd, list, all->nelts);
        wrong = add_word(cmd, list, items, word, make);
        if (wrong)
            return wrong;
        list->items = items;
    }
    list->joined = join(cmd->pool, list);
    return NULL;
}

etv_list_t etv_list_merge(apr_pool_t *p, etv_list_t base, etv_list_t add)
{
    etv_list_t merged;

    if (!base.items || add.replaces)
        return add.items ? add : base;
    if (!add.items)
        return base;
    merged.items = apr_array_append(p, base.items, add.items);
    merged.replaces = base.replaces;
    merged.edits = 1;
    merged.joined = NULL;
    return merged;
}

const etv_item_t *etv_list_apply(apr_pool_t *p, const etv_list_t *list, int *n)
{
    const etv_item_t *from;
    etv_item_t *left;
    int count = 0;

    from = elements(list->items);
    left = apr_palloc(p, sizeof(*left) * (apr_size_t)(list->items->nelts + 1));
    for (int i = 0; i < list->items->nelts; i++) {
        int at = position(left, count, from + i);

        if (from[i].sign == '-') {
            if (at >= 0)
                memmove(left + at, left + at + 1, sizeof(*left) * (size_t)(--count - at));
        } else if (at < 0) {
            left[count++] = from[i];
        }
    }
    *n = count;
    return left;
}
