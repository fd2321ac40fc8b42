/* SPDX-License-Identifier: Apache-2.0 */
#include "store/admin_run.h"

#include <string.h>

#include "core/version_json.h"
#include "store/change_ops.h"

_Static_assert(ETV_ADMIN_DIGEST_MOST <= ETV_DATA_DIGEST_MOST, "stores take every digest");

static void name_model(etv_model_t *model, const etv_admin_bump_t *bump)
{
    model->name = bump->model;
    model->name_len = bump->model_len;
    model->hash = etv_hash_name(model->name, model->name_len);
    model->learned = 1;
}

static int portion(int done, int n)
{
    return n - done < ETV_MODELS_MOST ? n - done : ETV_MODELS_MOST;
}

json_t *etv_admin_run_describe(const etv_store_t *store, const etv_model_t *model)
{
    json_t *object = json_object();
    char digits[ETV_TOKEN_TEXT_ROOM];

    json_object_set_new(object, "model", json_stringn(model->name, model->name_len));
    if (model->state != ETV_MODEL_FOUND) {
        return object;
    }
    if (strcmp(store->ops->kind, "local") == 0) { /* its tokens are numbers */
        etv_version_json_add(object, digits, etv_token_format(digits, model->kept.words[0]));
    } else {
        etv_version_json_add(object, model->token, model->token_len);
    }
    return object;
}

const char *etv_admin_run_state(const etv_model_t *model)
{
    switch (model->state) {
    case ETV_MODEL_FOUND:
        return "found";
    case ETV_MODEL_ABSENT:
        return "absent";
    case ETV_MODEL_OPEN:
        return "changing";
    case ETV_MODEL_UNUSABLE:
        break;
    }
    return "unusable";
}

/* --- bumps --- */

typedef struct {
    etv_store_t *store;
    apr_pool_t *p;
    etv_model_t *models; /* those without a condition come first */
    const char **digests;
    int n, plain;
    json_t *bumped, *unchanged;
} run_t;

static void sort_models(run_t *run, const etv_admin_request_t *request)
{
    int next = 0;

    for (int conditional = 0; conditional < 2; conditional++) {
        for (int i = 0; i < request->n; i++) {
            const etv_admin_bump_t *bump = request->bumps + i;

            if ((bump->digest != NULL) != conditional) {
                continue;
            }
            run->digests[next] = bump->digest;
            name_model(run->models + next++, bump);
        }
        if (!conditional) {
            run->plain = next;
        }
    }
}

/* @return how many were acknowledged */
static int bump_plain(run_t *run)
{
    int done = 0;

    while (done < run->plain) {
        int some = portion(done, run->plain);

        if (run->store->ops->bump(run->store, run->p, run->models + done, some) != APR_SUCCESS) {
            break;
        }
        for (int i = 0; i < some; i++) {
            json_array_append_new(run->bumped,
                                  etv_admin_run_describe(run->store, run->models + done + i));
        }
        done += some;
    }
    return done;
}

static int bump_if(run_t *run, int i)
{
    etv_model_t *model = run->models + i;
    int bumped = 0;

    if (run->store->ops->changes->bump_if(run->store, run->p, model, run->digests[i],
                                          strlen(run->digests[i]), &bumped) != APR_SUCCESS) {
        return 0;
    }
    json_array_append_new(bumped ? run->bumped : run->unchanged,
                          etv_admin_run_describe(run->store, model));
    return 1;
}

int etv_admin_run_bumps(etv_store_t *store, apr_pool_t *p, const etv_admin_request_t *request,
                        json_t **answer, etv_model_t **failed)
{
    apr_size_t n = (apr_size_t)request->n;
    run_t run = {.store = store, .p = p, .n = request->n};
    int done;

    run.models = apr_pcalloc(p, (n + 1) * sizeof(*run.models));
    run.digests = apr_pcalloc(p, (n + 1) * sizeof(*run.digests));
    run.bumped = json_array();
    run.unchanged = json_array();
    sort_models(&run, request);
    done = bump_plain(&run);
    /* One that fails costs a deadline: the others are not tried. */
    while (done >= run.plain && done < run.n && bump_if(&run, done)) {
        done++;
    }
    *answer = json_object();
    json_object_set_new(*answer, "bumped", run.bumped);
    json_object_set_new(*answer, "unchanged", run.unchanged);
    *failed = run.models + done;
    return run.n - done;
}

/* --- versions --- */

etv_model_t *etv_admin_run_lookup(etv_store_t *store, apr_pool_t *p,
                                  const etv_admin_request_t *request, apr_time_t now_us)
{
    etv_model_t *models = apr_pcalloc(p, ((apr_size_t)request->n + 1) * sizeof(*models));

    for (int i = 0; i < request->n; i++) {
        name_model(models + i, request->bumps + i);
    }
    for (int i = 0; i < request->n; i += ETV_MODELS_MOST) {
        etv_snapshot_t snapshot = {.now_us = now_us};

        if (store->ops->lookup(store, p, models + i, portion(i, request->n), &snapshot) !=
            ETV_LOOKUP_OK) {
            return NULL;
        }
    }
    return models;
}
