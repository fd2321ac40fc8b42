/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/declared.h"

#include <stddef.h>

#include <apr_strings.h>

#include "core/model_list.h"
#include "httpd/fields.h"
#include "httpd/graphql.h"
#include "httpd/judge.h"
#include "httpd/key.h"
#include "httpd/list_names.h"
#include "httpd/log.h"
#include "httpd/named.h"
#include "httpd/policy.h"
#include "httpd/shared.h"
#include "httpd/versions.h"
#include "store/boottime.h"
#include "store/declared_ops.h"

/* Lists of one request that versions are read of. */
#define LISTS_MOST 4

/* Why there is no version tag, for the note. */
#define REASON "declared"

/** A list, and the tag of a response that declares it. */
typedef struct {
    const char *name; /**< the id in base64url, ETV_TEXT_ID_CHARS characters */
    const etv_list_names_t *names;
    etv_model_t *models; /**< the configured ones, then its own */
    int n;
    etv_tag_t tag;
    const char *reason; /**< why the tag is not valid; NULL when it is */
} list_t;

/** A list whose models are known. */
typedef struct {
    const char *name;
    const etv_list_names_t *names;
} found_t;

/** What tags are made of, and handlers may change. */
typedef struct {
    char *uri, *filename, *args, *path_info;
    const char *handler;
} as_was_t;

struct etv_declared_t {
    const unsigned char *key; /**< NULL while none is known */
    int n_configured;
    int n_lists;
    int by_url;         /**< the lists are those that the URL had last */
    int is_news;        /**< what the response declares may not be that */
    int settled;        /**< the response is there */
    int has_url;        /**< `url` is set */
    list_t *chosen;     /**< what the response declares; NULL for nothing */
    const char *reason; /**< why there is no tag of the configured models; NULL when there is one */
    /* From here on not zeroed. */
    etv_hash128_t url; /**< of what is remembered */
    etv_moment_t moment;
    as_was_t as_was;
    list_t *lists[LISTS_MOST];
    list_t first;         /**< the usual one */
    etv_model_t models[]; /**< those that are read before the handler runs */
};

/* --- before the handler --- */

static list_t *list_named(etv_declared_t *declared, const char *name)
{
    for (int i = 0; declared && i < declared->n_lists; i++) {
        if (etv_entity_tag_same_digest(declared->lists[i]->name, name))
            return declared->lists[i];
    }
    return NULL;
}

static int is_among(const found_t *found, int n, const char *name)
{
    while (n > 0 && !etv_entity_tag_same_digest(found[n - 1].name, name))
        n--;
    return n > 0;
}

static int find(request_rec *r, etv_request_t *request, const unsigned char *key, const char *name,
                found_t *found)
{
    found->name = name;
    found->names = etv_list_names_find(r, request, key, name);
    return found->names != NULL;
}

/* The lists that the tags of a condition name, and that are not known yet. An honest client has a
 * tag or two; what a longer condition asks for is looked at as far as this. */
static int find_of_condition(request_rec *r, etv_request_t *request, const unsigned char *key,
                             const char *condition, found_t *found, int most)
{
    etv_declared_t *declared = request->declared;
    const char *cursor = condition;
    etv_entity_tag_t tag;
    etv_entity_tag_own_t own;
    int n = 0, tried = 0;

    while (tried < LISTS_MOST && n < most &&
           etv_entity_tag_next(condition, &cursor, &tag) == ETV_ENTITY_TAG_ONE) {
        if (!etv_entity_tag_own(&tag, &own) || !own.list || list_named(declared, own.list) ||
            is_among(found, n, own.list))
            continue;
        tried++;
        n += find(r, request, key, own.list, found + n);
    }
    return n;
}

/* What tells URLs apart, for the memory of what they declared. Found before the handler runs. */
static etv_hash128_t url_of(request_rec *r, etv_request_t *request)
{
    etv_declared_t *declared = request->declared;
    etv_tag_fields_t fields;

    if (declared->has_url)
        return declared->url;
    etv_tag_fields_init(&fields, r->pool);
    etv_fields_add_request(&fields, r, request->host, etv_config_server(r->server), 0);
    if (request->asks)
        etv_graphql_add_fields(&fields, r);
    if (request->vary)
        etv_fields_add_varied(&fields, r, request->vary);
    declared->url = etv_hash_name(fields.data, fields.len);
    declared->has_url = 1;
    return declared->url;
}

static int find_of_url(request_rec *r, etv_request_t *request, found_t *found)
{
    etv_table_entry_t entry;
    char *name;

    if (etv_table_find(etv_shared_hints(), url_of(r, request), r->request_time, &entry) !=
        ETV_TABLE_FOUND)
        return 0;
    name = apr_palloc(r->pool, ETV_TEXT_ID_CHARS);
    etv_tag_base64url(name, (const unsigned char *)&entry.value);
    return find(r, request, request->declared->key, name, found);
}

/* How many of the lists can be read in one lookup. */
static int count_models(int n_configured, const found_t *found, int *n)
{
    int models = n_configured, fit = 0;

    while (fit < *n && models + found[fit].names->n <= ETV_MODELS_MOST)
        models += found[fit++].names->n;
    *n = fit;
    return models;
}

/* The models of one list in a row with the configured ones. Tokens stay where they were read. */
static etv_model_t *in_a_row(request_rec *r, etv_model_t *all, int n_configured, etv_model_t *own,
                             int n_own)
{
    etv_model_t *row;

    if (own == all + n_configured)
        return all;
    row = apr_palloc(r->pool, sizeof(*row) * (apr_size_t)(n_configured + n_own));
    memcpy(row, all, sizeof(*row) * (apr_size_t)n_configured);
    memcpy(row + n_configured, own, sizeof(*row) * (apr_size_t)n_own);
    return row;
}

static void make_tag(request_rec *r, etv_request_t *request, list_t *list,
                     const etv_snapshot_t *snapshot)
{
    etv_versions_tag(&list->tag, r, request, list->models, list->n, snapshot, list->names->id);
    list->tag.list = list->name;
}

static list_t *next_list(request_rec *r, etv_declared_t *declared)
{
    list_t *list = declared->n_lists ? apr_palloc(r->pool, sizeof(*list)) : &declared->first;

    declared->lists[declared->n_lists++] = list;
    return list;
}

/* @param own  its models, as they were read. @param reason  what is against all tags; NULL */
static inline void judge_list(request_rec *r, etv_request_t *request, list_t *list,
                              const etv_model_t *own, const etv_snapshot_t *snapshot,
                              const char *reason)
{
    list->reason = reason ? reason : etv_versions_judge(r, request->dir, own, list->names->n);
    if (list->reason)
        return;
    make_tag(r, request, list, snapshot);
    if (!request->listed)
        request->listed = &list->tag;
}

static void add_list(request_rec *r, etv_request_t *request, const found_t *found, etv_model_t *all,
                     etv_model_t *own, const etv_snapshot_t *snapshot, const char *reason)
{
    etv_declared_t *declared = request->declared;
    list_t *list = next_list(r, declared);

    list->name = found->name;
    list->names = found->names;
    list->models = in_a_row(r, all, declared->n_configured, own, found->names->n);
    list->n = declared->n_configured + found->names->n;
    judge_list(r, request, list, own, snapshot, reason);
}

/* @param all  room for the configured models, which are read again, and those of the lists */
static const char *read_lists(request_rec *r, etv_request_t *request, etv_model_t *all, int n_all,
                              const found_t *found, int n)
{
    int n_configured = request->declared->n_configured;
    etv_model_t *own = all + n_configured;
    const char *reason, *configured = NULL;
    etv_snapshot_t snapshot;

    if (n_configured)
        memcpy(all, request->models, sizeof(*all) * (apr_size_t)n_configured);
    for (int i = 0; i < n; own += found[i++].names->n)
        etv_list_names_put(found[i].names, own);
    reason = etv_versions_look_up(r, all, n_all, &snapshot);
    if (reason)
        return reason;
    memcpy(request->instance, snapshot.instance, sizeof(request->instance));
    request->models = all;
    if (n_configured)
        configured = etv_versions_judge(r, request->dir, all, n_configured);
    own = all + n_configured;
    for (int i = 0; i < n; own += found[i++].names->n)
        add_list(r, request, found + i, all, own, &snapshot, configured);
    if (!n_configured)
        return "no-models";
    if (!configured)
        etv_versions_tag(&request->tag, r, request, all, n_configured, &snapshot, NULL);
    return configured;
}

/* @param more  bytes behind the models */
static etv_declared_t *make(request_rec *r, etv_request_t *request, const unsigned char *key,
                            int n_models, apr_size_t more)
{
    etv_declared_t *declared =
        apr_palloc(r->pool, sizeof(*declared) + sizeof(etv_model_t) * (apr_size_t)n_models + more);

    memset(declared, 0, offsetof(etv_declared_t, url));
    declared->key = key;
    declared->n_configured = request->n_models;
    declared->reason = "no-models";
    declared->moment.known = 0;
    request->declared = declared;
    return declared;
}

/* Without a tag that tells: what the URL had last. */
static const char *read_of_url(request_rec *r, etv_request_t *request)
{
    etv_declared_t *declared = make(r, request, etv_key_of(r), ETV_MODELS_MOST, 0);
    int n_all = request->n_models;
    found_t found;

    if (!declared->key)
        return "store-down";
    declared->by_url = find_of_url(r, request, &found);
    n_all = count_models(n_all, &found, &declared->by_url);
    return n_all ? read_lists(r, request, declared->models, n_all, &found, declared->by_url)
                 : "no-models";
}

/* The usual case: no configured models, and one tag, whose list this thread has met before. Counts
 * instructions. @param names  the thread's own, which may give way for others */
static const char *read_sole(request_rec *r, etv_request_t *request, const unsigned char *key,
                             const char *name, const etv_list_names_t *names)
{
    etv_declared_t *declared = make(r, request, key, names->n, etv_list_names_size(names));
    etv_model_t *models = declared->models;
    list_t *list = declared->lists[0] = &declared->first;
    etv_snapshot_t snapshot;
    const char *reason;

    list->name = name;
    list->names = memcpy(models + names->n, names, etv_list_names_size(names));
    list->models = models;
    list->n = names->n;
    etv_list_names_put(list->names, models);
    reason = etv_versions_look_up(r, models, list->n, &snapshot);
    if (reason)
        return declared->reason = reason;
    declared->n_lists = 1;
    memcpy(request->instance, snapshot.instance, sizeof(request->instance));
    judge_list(r, request, list, models, &snapshot, NULL);
    return "no-models";
}

const char *etv_declared_read(request_rec *r, etv_request_t *request)
{
    const unsigned char *key = request->if_none_match ? etv_key_of(r) : NULL;
    const char *sole = key ? etv_entity_tag_sole_list(request->if_none_match) : NULL;
    const etv_list_names_t *names = sole ? etv_list_names_recall(key, sole) : NULL;
    found_t found[LISTS_MOST];
    etv_declared_t *declared;
    const char *reason;
    int n = 0, n_all;

    if (names && !request->n_models)
        return read_sole(r, request, key, sole, names);
    if (key && request->if_none_match)
        n = find_of_condition(r, request, key, request->if_none_match, found, LISTS_MOST);
    n_all = count_models(request->n_models, found, &n);
    if (n) {
        declared = make(r, request, key, n_all, 0);
        declared->reason = read_lists(r, request, declared->models, n_all, found, n);
        return declared->reason;
    }
    reason = read_of_url(r, request);
    request->declared->reason = reason;
    return reason;
}

void etv_declared_read_more(request_rec *r, etv_request_t *request, const char *if_none_match)
{
    etv_declared_t *declared = request->declared;
    found_t found[LISTS_MOST];
    etv_model_t *all;
    int n, n_all;

    if (!declared || !declared->key)
        return;
    n = find_of_condition(r, request, declared->key, if_none_match, found,
                          LISTS_MOST - declared->n_lists);
    n_all = count_models(declared->n_configured, found, &n);
    if (!n)
        return;
    all = apr_palloc(r->pool, sizeof(*all) * (apr_size_t)n_all);
    declared->reason = read_lists(r, request, all, n_all, found, n);
    request->tagged = !declared->reason;
}

etv_tag_t *etv_declared_tag(etv_request_t *request, const etv_entity_tag_own_t *own)
{
    list_t *list;

    if (!own->list)
        return request->tagged ? &request->tag : NULL;
    list = request->declared ? list_named(request->declared, own->list) : NULL;
    return list && !list->reason ? &list->tag : NULL;
}

static void use(request_rec *r, etv_request_t *request, list_t *list)
{
    request->declared->chosen = list;
    request->models = list->models;
    request->n_models = list->n;
    etv_versions_note(r,
                      request->declared->n_configured ? NULL : etv_list_names_joined(list->names),
                      list->models, list->n);
}

void etv_declared_choose(request_rec *r, etv_request_t *request, etv_tag_t *tag)
{
    if (tag->list) /* it is a list's */
        use(r, request, (list_t *)((char *)tag - offsetof(list_t, tag)));
}

static etv_store_t *store_of(const request_rec *r)
{
    return etv_config_server(r->server)->store;
}

void etv_declared_begin(request_rec *r, etv_request_t *request)
{
    etv_declared_t *declared = request->declared;
    etv_store_t *store = store_of(r);

    url_of(r, request);
    declared->as_was = (as_was_t){r->uri, r->filename, r->args, r->path_info, r->handler};
    if (store)
        store->ops->declared->moment(store, &declared->moment);
}

/* The request as it was when its handler began, for a tag that early 304s will find again. */
static request_rec shadow_of(const request_rec *r, const etv_declared_t *declared)
{
    request_rec shadow = *r;

    shadow.uri = declared->as_was.uri;
    shadow.filename = declared->as_was.filename;
    shadow.args = declared->as_was.args;
    shadow.path_info = declared->as_was.path_info;
    shadow.handler = declared->as_was.handler;
    return shadow;
}

/* --- the response --- */

/* @return 1 and the list; 0 when there is none, or `*reason` why it is not right */
static int read_header(request_rec *r, etv_model_list_t *list, const char **reason)
{
    const char *value = etv_policy_field(r, etv_config_models_header(etv_config_dir(r)));

    *reason = NULL;
    list->n = 0;
    if (!value)
        return 0;
    switch (etv_model_list_parse(list, r->pool, value, strlen(value))) {
    case ETV_MODEL_LIST_OK:
        return list->n > 0;
    case ETV_MODEL_LIST_TOO_MANY:
        *reason = "more models than a tag can name";
        break;
    case ETV_MODEL_LIST_NO_NAME:
        *reason = "something that is no model's name";
        break;
    }
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r,
                  "ETV0360: no version tag: the response declares %s", *reason);
    return 0;
}

/*
 * The names were not known before the handler ran. What this host knew of their versions at that
 * moment, and still does, was read before; anything else may be newer than the data.
 */
static const char *recall(request_rec *r, etv_request_t *request, list_t *list)
{
    etv_declared_t *declared = request->declared;
    etv_store_t *store = store_of(r);
    int n_configured = declared->n_configured, n_own = list->n - n_configured;
    etv_model_t *own = list->models + n_configured;
    etv_snapshot_t snapshot;
    request_rec shadow;

    if (n_configured && declared->reason)
        return declared->reason;
    if (!store || etv_versions_pending(etv_config_server(r->server), own, n_own))
        return REASON;
    snapshot.now_us = r->request_time;
    if (store->ops->declared->recall(store, own, n_own, &declared->moment, &snapshot) !=
        ETV_LOOKUP_OK)
        return REASON;
    if (n_configured &&
        memcmp(snapshot.instance, request->instance, sizeof(request->instance)) != 0)
        return REASON; /* another life of the store: what was read of it belongs to two */
    memcpy(request->instance, snapshot.instance, sizeof(request->instance));
    if (etv_versions_judge(r, request->dir, own, n_own))
        return REASON;
    shadow = shadow_of(r, declared);
    make_tag(&shadow, request, list, &snapshot);
    return NULL;
}

/* A list that none of the request's tags named. It takes the place of one of those, if need be. */
static list_t *new_list(request_rec *r, etv_request_t *request, const etv_list_names_t *names,
                        const char *name)
{
    etv_declared_t *declared = request->declared;
    int n_configured = declared->n_configured;
    list_t *list;

    if (declared->n_lists == LISTS_MOST)
        declared->n_lists--;
    list = next_list(r, declared);
    list->name = name;
    list->names = names;
    list->n = n_configured + names->n;
    list->models = apr_pcalloc(r->pool, sizeof(*list->models) * (apr_size_t)list->n);
    if (n_configured)
        memcpy(list->models, request->models, sizeof(*list->models) * (apr_size_t)n_configured);
    etv_list_names_put(names, list->models + n_configured);
    list->reason = recall(r, request, list);
    return list;
}

static list_t *settle_list(request_rec *r, etv_request_t *request, const etv_model_list_t *declares)
{
    etv_declared_t *declared = request->declared;
    char text[ETV_MODEL_LIST_TEXT_MOST], *name = apr_palloc(r->pool, ETV_TEXT_ID_CHARS);
    unsigned char id[ETV_TEXT_ID_BYTES];
    list_t *list;

    etv_text_id_make(id, ETV_TEXT_ID_MODELS, text, etv_model_list_write(declares, text),
                     declared->key);
    etv_tag_base64url(name, id);
    list = list_named(declared, name);
    declared->is_news = !list || !declared->by_url;
    return list ? list : new_list(r, request, etv_list_names_make(r->pool, declares, id), name);
}

static void refuse(request_rec *r, etv_request_t *request, const char *reason)
{
    request->tagged = 0;
    request->noted = 1;
    etv_request_note(r, reason);
}

void etv_declared_settle(request_rec *r, etv_request_t *request)
{
    etv_declared_t *declared = request->declared;
    etv_model_list_t declares;
    const char *reason;
    list_t *list;

    if (declared->settled || request->early || r->status != HTTP_OK)
        return;
    declared->settled = 1;
    if (!read_header(r, &declares, &reason)) {
        if (reason)
            refuse(r, request, REASON);
        else if (declared->reason)
            refuse(r, request, declared->reason);
        return;
    }
    if (!declared->key || declared->n_configured + declares.n > ETV_MODELS_MOST) {
        refuse(r, request, declared->key ? REASON : declared->reason);
        return;
    }
    list = settle_list(r, request, &declares);
    use(r, request, list);
    if (list->reason) {
        refuse(r, request, list->reason);
        return;
    }
    request->tag = list->tag;
    request->tagged = 1;
}

static int replace(void *baton, const etv_table_entry_t *current, etv_hash128_t *value)
{
    if (current && memcmp(&current->value, baton, sizeof(current->value)) == 0)
        return 0;
    memcpy(value, baton, sizeof(*value));
    return 1;
}

/* Nothing is lost where a writer is in the way: the next response says it again. */
static void hint(request_rec *r, etv_request_t *request, const unsigned char *id)
{
    etv_hash128_t url = url_of(r, request), value;
    etv_table_entry_t entry;

    if (etv_table_find(etv_shared_hints(), url, r->request_time, &entry) == ETV_TABLE_FOUND &&
        memcmp(&entry.value, id, sizeof(entry.value)) == 0)
        return;
    memcpy(&value, id, sizeof(value));
    etv_table_update(etv_shared_hints(), url, r->request_time, r->request_time, replace, &value,
                     &entry);
}

void etv_declared_remember(request_rec *r, etv_request_t *request, const etv_response_t *now)
{
    etv_declared_t *declared = request->declared;
    char text[ETV_MODEL_LIST_TEXT_MOST];
    const etv_list_names_t *names;

    if (!declared->is_news || etv_judge_version(r, request, now))
        return;
    declared->is_news = 0;
    names = declared->chosen->names;
    etv_named_keep(ETV_TEXT_ID_MODELS, names->id, text, etv_list_names_text(names, text));
    hint(r, request, names->id);
}

void etv_declared_publish(request_rec *r, etv_request_t *request)
{
    const list_t *chosen = request->declared->chosen;
    char text[ETV_MODEL_LIST_TEXT_MOST];

    if (chosen && etv_named_is_due(r, request, chosen->names->id))
        etv_named_publish(r, request, ETV_TEXT_ID_MODELS, chosen->names->id, text,
                          etv_list_names_text(chosen->names, text));
}
