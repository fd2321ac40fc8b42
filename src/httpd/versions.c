/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/versions.h"

#include "httpd/fields.h"
#include "httpd/graphql.h"
#include "httpd/life.h"
#include "httpd/log.h"
#include "httpd/shared.h"
#include "store/boottime.h"
#include "store/keeper.h"
#include "store/settle.h"

/* With the number of models: a list that the response declared is among the fields. */
#define WITH_LIST 0x80
/* So is the body in which a request has asked. */
#define WITH_BODY 0x40

void etv_versions_note(request_rec *r, const char *joined, const etv_model_t *models, int n)
{
    char *text, *to;
    apr_size_t len = 0;

    if (joined) {
        apr_table_addn(r->notes, ETV_NOTE_MODELS, joined);
        return;
    }
    for (int i = 0; i < n; i++)
        len += models[i].name_len + 1;
    text = to = apr_palloc(r->pool, len);
    for (int i = 0; i < n; i++) {
        memcpy(to, models[i].name, models[i].name_len);
        to += models[i].name_len;
        *to++ = ' ';
    }
    to[-1] = '\0';
    apr_table_setn(r->notes, ETV_NOTE_MODELS, text);
}

const char *etv_versions_expand(const etv_request_t *request, etv_expand_t *expand,
                                const etv_item_t *items, int n, etv_model_t *models)
{
    /* whoever asks whether there is something must not be the one who makes it */
    int initialize = etv_config_initializes(request->dir) && etv_request_reads(expand->r, request);

    if (!n)
        return "no-models";
    if (n > ETV_MODELS_MOST)
        return "too-many-models";
    for (int i = 0; i < n; i++) {
        etv_model_t *m = models + i;

        m->name = etv_expand(expand, items + i, ETV_MODEL_NAME_MOST, &m->name_len);
        if (!m->name || *m->name == '%')
            return "expression";
        m->hash = items[i].expr ? etv_hash_name(m->name, m->name_len) : items[i].hash;
        m->learned = (unsigned char)(items[i].expr || !items[i].trusted);
        m->may_create = (unsigned char)(initialize & !m->learned);
    }
    return NULL;
}

/* @return NULL when there is a version */
static const char *judge_one(const etv_model_t *model, const char **said)
{
    switch (model->state) {
    case ETV_MODEL_FOUND:
        return NULL;
    case ETV_MODEL_ABSENT:
        *said = "the store has no version";
        return "missing";
    case ETV_MODEL_OPEN:
        *said = "a change is under way";
        return "pending";
    case ETV_MODEL_UNUSABLE:
        break;
    }
    *said = "what the store has is no version token";
    return "unusable";
}

/* Changes that some host has left open are completed by whoever comes across them. */
static void have_looked_at(const etv_server_t *server, const etv_model_t *models, int n)
{
    etv_keeper_t *keeper = etv_life_keeper();

    for (int i = 0; keeper && i < n; i++) {
        if (models[i].state == ETV_MODEL_OPEN)
            etv_keeper_look(keeper, server->scope, models + i);
    }
}

const char *etv_versions_judge(request_rec *r, const etv_dir_t *dir, const etv_model_t *models,
                               int n)
{
    const etv_server_t *server = etv_config_server(r->server);
    apr_interval_time_t settle_us = etv_config_settle_us(dir);
    apr_time_t now_us;
    const char *reason = NULL, *said = NULL;

    for (int i = 0; i < n; i++) {
        reason = judge_one(models + i, &said);
        if (reason) {
            ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, "ETV0310: model %s: %s", models[i].name,
                          said);
            have_looked_at(server, models, n);
            return reason;
        }
    }
    if (settle_us <= 0)
        return NULL;
    now_us = etv_boottime_us();
    for (int i = 0; i < n; i++) {
        if (etv_settle_age(etv_shared_table(), server->scope, models + i, now_us) < settle_us)
            reason = "settling"; /* go on: each of them begins to age now */
    }
    return reason;
}

/*
 * Whether this host knows of a change that the store may not know of. Asked before the store is: a
 * change that begins after this was not acknowledged to anyone when this request came, and one that
 * has ended before is in what the store says. A response may be stamped also when its models have
 * become pending since: the versions that were read are the old ones then.
 */
int etv_versions_pending(const etv_server_t *server, const etv_model_t *models, int n)
{
    const etv_keeper_t *keeper = etv_life_keeper();
    const etv_pending_t *pending = keeper ? etv_keeper_pending(keeper) : NULL;
    apr_time_t now_us;

    if (!pending || !etv_pending_any(pending))
        return 0;
    now_us = etv_boottime_us();
    for (int i = 0; i < n; i++) {
        if (etv_pending_has(pending, server->scope, models[i].hash, now_us))
            return 1;
    }
    return 0;
}

const char *etv_versions_look_up(request_rec *r, etv_model_t *models, int n,
                                 etv_snapshot_t *snapshot)
{
    const etv_server_t *server = etv_config_server(r->server);
    etv_store_t *store = server->store;

    snapshot->now_us = r->request_time;
    if (etv_versions_pending(server, models, n))
        return "pending";
    switch (store ? store->ops->lookup(store, r->pool, models, n, snapshot)
                  : ETV_LOOKUP_UNAVAILABLE) {
    case ETV_LOOKUP_OK:
        return NULL;
    case ETV_LOOKUP_BUSY:
        return "busy";
    case ETV_LOOKUP_UNAVAILABLE:
        break;
    }
    return "store-down";
}

const char *etv_versions_read(request_rec *r, const etv_dir_t *dir, etv_model_t *models, int n,
                              etv_snapshot_t *snapshot)
{
    const char *reason = etv_versions_look_up(r, models, n, snapshot);

    return reason ? reason : etv_versions_judge(r, dir, models, n);
}

void etv_versions_tag(etv_tag_t *tag, request_rec *r, const etv_request_t *request,
                      const etv_model_t *models, int n, const etv_snapshot_t *snapshot,
                      const unsigned char *list)
{
    static _Thread_local etv_tag_memo_t memo;
    const etv_server_t *server = etv_config_server(r->server);
    etv_tag_fields_t fields;

    etv_tag_fields_init(&fields, r->pool);
    etv_fields_add_request(
        &fields, r, request->host, server,
        (unsigned char)(n | (list ? WITH_LIST : 0) | (request->asks ? WITH_BODY : 0)));
    if (request->asks)
        etv_graphql_add_fields(&fields, r);
    fields.place_len = fields.len; /* a new version takes the place of the old one */
    etv_tag_fields_add(&fields, snapshot->instance, ETV_INSTANCE_BYTES);
    if (list)
        etv_tag_fields_add(&fields, list, ETV_TEXT_ID_BYTES);
    for (int i = 0; i < n; i++) {
        etv_tag_fields_add(&fields, models[i].name, models[i].name_len);
        etv_tag_fields_add_short(&fields, models[i].token, models[i].token_len);
    }
    if (request->salt || request->identity.n || request->vary) {
        fields.place_len = 0; /* one URL has many tags then */
        etv_tag_fields_add(&fields, request->salt, request->salt_len);
        etv_identity_add(&request->identity, r, &fields);
        etv_fields_add_varied(&fields, r, request->vary);
    }
    etv_tag_make_memo(tag, &fields, server->secret ? server->secret : snapshot->secret, &memo);
}
