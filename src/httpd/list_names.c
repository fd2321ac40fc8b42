/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/list_names.h"

#include <apr_strings.h>

#include "core/tag.h"
#include "httpd/named.h"

/* What one thread has found lately: verified, parsed, and hashed. About 18 KB. */
#define MEMO_ENTRIES 16
#define MEMO_BYTES   1100

typedef struct {
    char name[ETV_TEXT_ID_CHARS];
    unsigned char key[ETV_HASH_KEY_BYTES];
    union {
        etv_list_names_t names;
        char room[MEMO_BYTES];
    };
} memo_t;

static _Thread_local memo_t memos[MEMO_ENTRIES];

static memo_t *memo_of(const char *name)
{
    return memos + ((unsigned char)name[0] + (unsigned char)name[1] * 7U) % MEMO_ENTRIES;
}

static int same_key(const unsigned char *a, const unsigned char *b)
{
    apr_uint64_t x[2], y[2];

    memcpy(x, a, sizeof(x));
    memcpy(y, b, sizeof(y));
    return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

const etv_list_names_t *etv_list_names_recall(const unsigned char *key, const char *name)
{
    const memo_t *memo = memo_of(name);

    return memo->names.n && etv_entity_tag_same_digest(memo->name, name) && same_key(memo->key, key)
               ? &memo->names
               : NULL;
}

static void remember(const unsigned char *key, const char *name, const etv_list_names_t *names)
{
    memo_t *memo = memo_of(name);

    if (etv_list_names_size(names) > sizeof(memo->room))
        return;
    memcpy(memo->name, name, sizeof(memo->name));
    memcpy(memo->key, key, sizeof(memo->key));
    memcpy(memo->room, names, etv_list_names_size(names));
}

const etv_list_names_t *etv_list_names_make(apr_pool_t *p, const etv_model_list_t *list,
                                            const unsigned char id[ETV_TEXT_ID_BYTES])
{
    etv_list_names_t head = {.n = list->n}, *names;
    char *text;
    int at = 0;

    for (int i = 0; i < list->n; i++)
        head.len += (int)list->names[i].len + 1;
    names = apr_pcalloc(p, etv_list_names_size(&head));
    memcpy(names->id, id, sizeof(names->id));
    names->n = head.n;
    names->len = head.len;
    text = (char *)(names->models + names->n);
    for (int i = 0; i < list->n; i++) {
        names->models[i].at = (unsigned short)at;
        names->models[i].len = (unsigned short)list->names[i].len;
        names->models[i].hash = etv_hash_name(list->names[i].name, list->names[i].len);
        memcpy(text + at, list->names[i].name, list->names[i].len + 1);
        at += (int)list->names[i].len + 1;
    }
    memcpy(text + at, text, (apr_size_t)at);
    for (int i = at; i < 2 * at - 1; i++) {
        if (!text[i])
            text[i] = ' ';
    }
    return names;
}

const etv_list_names_t *etv_list_names_find(request_rec *r, etv_request_t *request,
                                            const unsigned char *key, const char *name)
{
    const etv_list_names_t *names = etv_list_names_recall(key, name);
    unsigned char id[ETV_TEXT_ID_BYTES];
    etv_model_list_t list;
    const char *text;
    apr_size_t len;

    if (names)
        return apr_pmemdup(r->pool, names, etv_list_names_size(names));
    if (!etv_tag_from_base64url(id, name) || !etv_text_id_is_genuine(id, ETV_TEXT_ID_MODELS, key))
        return NULL;
    text = etv_named_find(r, request, ETV_TEXT_ID_MODELS, id, key, &len);
    if (!text || etv_model_list_parse(&list, r->pool, text, len) != ETV_MODEL_LIST_OK || !list.n)
        return NULL;
    names = etv_list_names_make(r->pool, &list, id);
    remember(key, name, names);
    return names;
}

void etv_list_names_put(const etv_list_names_t *names, etv_model_t *models)
{
    const char *text = etv_list_names_first(names);

    for (int i = 0; i < names->n; i++) {
        models[i].name = text + names->models[i].at;
        models[i].name_len = names->models[i].len;
        models[i].hash = names->models[i].hash;
        models[i].may_create = 0;
        models[i].learned = 1;
        models[i].state = ETV_MODEL_ABSENT;
    }
}

apr_size_t etv_list_names_text(const etv_list_names_t *names, char *text)
{
    memcpy(text, etv_list_names_first(names), (apr_size_t)names->len - 1);
    for (int i = 1; i < names->n; i++)
        text[names->models[i].at - 1] = ',';
    return (apr_size_t)names->len - 1;
}
