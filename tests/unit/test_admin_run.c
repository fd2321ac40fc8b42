/* SPDX-License-Identifier: Apache-2.0 */
/* What a request of the admin handler does to a store, with a store that fails when it is told to.
 */
#include "etv_check.h"

#include <stdio.h>

#include <apr_strings.h>

#include "store/admin_run.h"
#include "store/change_ops.h"

/* A store that writes down what it is asked, and numbers its tokens. */
typedef struct {
    etv_store_t store;
    const char *calls; /* b3: three bumped together; i: conditionally; l: looked up */
    int budget;        /* calls until it fails */
    int next;
} fake_t;

static void answer(fake_t *fake, etv_model_t *model)
{
    model->state = ETV_MODEL_FOUND;
    model->token = model->kept.token;
    model->token_len = (apr_size_t)snprintf((char *)model->kept.token, sizeof(model->kept.token),
                                            "t%d", ++fake->next);
}

static apr_status_t fake_bump(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n)
{
    fake_t *fake = (fake_t *)store;

    ck_assert(n >= 1 && n <= ETV_MODELS_MOST);
    fake->calls = apr_psprintf(p, "%sb%d ", fake->calls, n);
    if (fake->budget-- <= 0)
        return APR_EGENERAL;
    for (int i = 0; i < n; i++) {
        etv_hash128_t hash = etv_hash_name(models[i].name, models[i].name_len);

        ck_assert(hash.lo == models[i].hash.lo && hash.hi == models[i].hash.hi);
        ck_assert(models[i].learned && !models[i].may_create);
        answer(fake, models + i);
    }
    return APR_SUCCESS;
}

static apr_status_t fake_bump_if(etv_store_t *store, apr_pool_t *p, etv_model_t *model,
                                 const char *digest, apr_size_t len, int *bumped)
{
    fake_t *fake = (fake_t *)store;

    ck_assert_uint_eq(strlen(digest), len);
    fake->calls = apr_psprintf(p, "%si ", fake->calls);
    if (fake->budget-- <= 0)
        return APR_EGENERAL;
    *bumped = strcmp(digest, "new") == 0;
    answer(fake, model);
    return APR_SUCCESS;
}

static etv_lookup_e fake_lookup(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n,
                                etv_snapshot_t *snapshot)
{
    fake_t *fake = (fake_t *)store;

    ck_assert(n >= 1 && n <= ETV_MODELS_MOST);
    ck_assert_int_eq(snapshot->now_us, 77);
    fake->calls = apr_psprintf(p, "%sl%d ", fake->calls, n);
    if (fake->budget-- <= 0)
        return ETV_LOOKUP_BUSY;
    for (int i = 0; i < n; i++) {
        ck_assert(!models[i].may_create);
        models[i].state = (etv_model_state_e)(fake->next++ % 4);
    }
    return ETV_LOOKUP_OK;
}

static const etv_change_ops_t changes = {.bump_if = fake_bump_if};
static const etv_store_ops_t ops = {
    .kind = "fake", .lookup = fake_lookup, .bump = fake_bump, .changes = &changes};

static fake_t make(int budget)
{
    fake_t fake = {{&ops}, "", budget, 0};

    return fake;
}

/* n models m0…; where i is in `conditions`, with that digest. */
static etv_admin_request_t *ask(int n, const char *const *conditions)
{
    etv_admin_request_t *request = apr_pcalloc(pool, sizeof(*request));

    for (int i = 0; i < n; i++) {
        const char *name = apr_psprintf(pool, "m%d", i);
        const char *digest = conditions ? conditions[i] : NULL;

        ck_assert_ptr_null(etv_admin_request_add(pool, request, name, strlen(name), digest,
                                                 digest ? strlen(digest) : 0));
    }
    return request;
}

static const char *names(const etv_model_t *models, int n)
{
    const char *text = "";

    for (int i = 0; i < n; i++)
        text = apr_pstrcat(pool, text, models[i].name, " ", NULL);
    return text;
}

/* Runs it, and checks answer and failures. */
static void run(fake_t *fake, const etv_admin_request_t *request, const char *expected,
                const char *failed)
{
    json_t *root;
    etv_model_t *left;
    int n = etv_admin_run_bumps(&fake->store, pool, request, &root, &left);
    char *text = json_dumps(root, JSON_COMPACT);

    ck_assert_str_eq(text, expected);
    ck_assert_str_eq(names(left, n), failed);
    free(text);
    json_decref(root);
}

START_TEST(test_order)
{
    static const char *const conditions[] = {"old", NULL, "new", NULL};
    fake_t fake = make(9);

    run(&fake, ask(4, conditions),
        "{\"bumped\":[{\"model\":\"m1\",\"version\":\"t1\"},{\"model\":\"m3\",\"version\":\"t2\"},"
        "{\"model\":\"m2\",\"version\":\"t4\"}],"
        "\"unchanged\":[{\"model\":\"m0\",\"version\":\"t3\"}]}",
        "");
    ck_assert_str_eq(fake.calls, "b2 i i ");
}
END_TEST

START_TEST(test_failures)
{
    static const char *const conditions[] = {"old", NULL, "new", NULL};
    fake_t none = make(0), one = make(1), two = make(2);

    run(&none, ask(4, conditions), "{\"bumped\":[],\"unchanged\":[]}", "m1 m3 m0 m2 ");
    ck_assert_str_eq(none.calls, "b2 "); /* and no deadline is waited for twice */
    run(&one, ask(4, conditions),
        "{\"bumped\":[{\"model\":\"m1\",\"version\":\"t1\"},{\"model\":\"m3\",\"version\":\"t2\"}],"
        "\"unchanged\":[]}",
        "m0 m2 ");
    run(&two, ask(4, conditions),
        "{\"bumped\":[{\"model\":\"m1\",\"version\":\"t1\"},{\"model\":\"m3\",\"version\":\"t2\"}],"
        "\"unchanged\":[{\"model\":\"m0\",\"version\":\"t3\"}]}",
        "m2 ");
    ck_assert_str_eq(two.calls, "b2 i i ");
}
END_TEST

START_TEST(test_portions)
{
    fake_t all = make(99), some = make(2);
    json_t *root;
    etv_model_t *left;

    ck_assert_int_eq(etv_admin_run_bumps(&all.store, pool, ask(100, NULL), &root, &left), 0);
    ck_assert_uint_eq(json_array_size(json_object_get(root, "bumped")), 100);
    json_decref(root);
    ck_assert_str_eq(all.calls, "b32 b32 b32 b4 ");
    ck_assert_int_eq(etv_admin_run_bumps(&some.store, pool, ask(100, NULL), &root, &left), 36);
    ck_assert_uint_eq(json_array_size(json_object_get(root, "bumped")), 64);
    ck_assert_str_eq(left->name, "m64");
    json_decref(root);
}
END_TEST

START_TEST(test_lookup)
{
    fake_t fake = make(2), down = make(1);
    etv_model_t *models = etv_admin_run_lookup(&fake.store, pool, ask(40, NULL), 77);

    ck_assert_ptr_nonnull(models);
    ck_assert_str_eq(fake.calls, "l32 l8 ");
    ck_assert_str_eq(etv_admin_run_state(models), "found");
    ck_assert_str_eq(etv_admin_run_state(models + 1), "absent");
    ck_assert_str_eq(etv_admin_run_state(models + 2), "unusable");
    ck_assert_str_eq(etv_admin_run_state(models + 3), "changing");
    ck_assert_ptr_null(etv_admin_run_lookup(&down.store, pool, ask(40, NULL), 77));
}
END_TEST

int main(void)
{
    return etv_check_run("admin_run", (const TTest *[]){test_order, test_failures, test_portions,
                                                        test_lookup, NULL});
}
