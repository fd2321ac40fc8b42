/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/list.h"

#include <apr_strings.h>

#define JOINED_MOST 512

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

static const char *none_alone(cmd_parms *cmd)
{
    return apr_psprintf(cmd->pool, "%s: \"none\" stands alone, without other names",
                        cmd->cmd->name);
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

static const char *add_word(cmd_parms *cmd, etv_list_t *list, const char *word,
                            etv_list_item_fn *make)
{
    etv_item_t item;
    const char *wrong;

    memset(&item, 0, sizeof(item));
    if (*word == '+' || *word == '-')
        item.sign = *word++;
    if (list->items->nelts && list->replaces != (item.sign == 0))
        return mixing(cmd, item.sign ? word - 1 : word);
    if (!*word)
        return apr_psprintf(cmd->pool, "%s: a name must follow the sign \"%c\"", cmd->cmd->name,
                            item.sign);
    if (list->items->nelts == ETV_LIST_MOST)
        return apr_psprintf(cmd->pool, "%s: \"%s\": at most %d names are accepted", cmd->cmd->name,
                            word, ETV_LIST_MOST);
    item.text = word;
    item.len = strlen(word);
    wrong = make(cmd, item.text, &item);
    if (wrong)
        return apr_psprintf(cmd->pool, "%s: \"%s\": %s", cmd->cmd->name, word, wrong);
    list->replaces = item.sign == 0;
    list->edits |= item.sign != 0;
    if (item.sign || position(elements(list->items), list->items->nelts, &item) < 0)
        APR_ARRAY_PUSH(list->items, etv_item_t) = item;
    return NULL;
}

/* For the usual list, which is short; others are joined when they are needed. */
static const char *join(apr_pool_t *p, const etv_list_t *list)
{
    const etv_item_t *items = elements(list->items);
    const char *text = "";
    apr_size_t len = 0;

    for (int i = 0; i < list->items->nelts; i++) {
        len += items[i].len;
        if (items[i].sign || items[i].expr || len > JOINED_MOST)
            return NULL;
    }
    for (int i = 0; i < list->items->nelts; i++)
        text = apr_pstrcat(p, text, i ? " " : "", items[i].text, NULL);
    return text;
}

const char *etv_list_add(cmd_parms *cmd, etv_list_t *list, const char *words,
                         etv_list_item_fn *make, int none_is_item)
{
    const char *word = ap_getword_conf(cmd->pool, &words), *wrong;
    int first = !list->items;

    if (!*word)
        return apr_psprintf(cmd->pool, "%s takes at least one name, or none", cmd->cmd->name);
    if (first)
        list->items = apr_array_make(cmd->pool, 4, sizeof(etv_item_t));
    if (!none_is_item && is_none(word) && first && !*words) {
        list->replaces = 1;
        return NULL;
    }
    if (!first && !list->items->nelts)
        return none_alone(cmd);
    for (;; word = ap_getword_conf(cmd->pool, &words)) {
        if (!none_is_item && is_none(word))
            return none_alone(cmd);
        wrong = add_word(cmd, list, word, make);
        if (wrong)
            return wrong;
        if (!*words)
            break;
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
