/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded store: what is absent, created, bumped and lost; what never repeats. */
#include <pthread.h>
#include <sys/mman.h>

#include <apr_strings.h>

#include "etv_check.h"
#include "table_fixture.h"

#include "store/local.h"

static void no_log(void *baton, etv_log_level_e level, apr_status_t status, const char *message)
{
    (void)baton;
    (void)level;
    (void)status;
    ck_abort_msg("%s", message);
}

static etv_store_t *make_store(etv_table_t *table, const char *scope)
{
    etv_log_t log = {no_log, NULL};

    return etv_local_create(pool, table, scope, log);
}

static etv_model_t model_of(const char *name, int may_create)
{
    etv_model_t model;

    memset(&model, 0, sizeof(model));
    model.name = name;
    model.name_len = strlen(name);
    model.hash = etv_hash_name(name, model.name_len);
    model.may_create = (unsigned char)may_create;
    return model;
}

static etv_model_t look(etv_store_t *store, const char *name, int may_create)
{
    etv_model_t model = model_of(name, may_create);
    etv_snapshot_t snapshot = {.now_us = apr_time_now()};

    ck_assert_int_eq(store->ops->lookup(store, pool, &model, 1, &snapshot), ETV_LOOKUP_OK);
    ck_assert_ptr_nonnull(snapshot.instance);
    ck_assert_ptr_nonnull(snapshot.secret);
    return model;
}

static apr_uint64_t bump(etv_store_t *store, const char *name)
{
    etv_model_t model = model_of(name, 0);

    ck_assert_int_eq(store->ops->bump(store, pool, &model, 1), APR_SUCCESS);
    ck_assert_int_eq(model.state, ETV_MODEL_FOUND);
    return model.kept.words[0];
}

START_TEST(absent_until_created)
{
    etv_store_t *store = make_store(etv_make_table(64), "a");
    etv_model_t first, again;

    ck_assert_int_eq(look(store, "m", 0).state, ETV_MODEL_ABSENT);
    first = look(store, "m", 1);
    ck_assert_int_eq(first.state, ETV_MODEL_FOUND);
    ck_assert_uint_eq(first.token_len, sizeof(first.kept.words[0]));
    again = look(store, "m", 0);
    ck_assert_int_eq(again.state, ETV_MODEL_FOUND);
    ck_assert_uint_eq(again.kept.words[0], first.kept.words[0]);
    ck_assert_int_eq(look(store, "other", 0).state, ETV_MODEL_ABSENT);
}
END_TEST

START_TEST(bumps_never_repeat)
{
    etv_store_t *store = make_store(etv_make_table(64), "a");
    apr_uint64_t last = 0;

    for (int i = 0; i < 1000; i++) {
        apr_uint64_t token = bump(store, i % 2 ? "m" : "n");

        ck_assert_uint_gt(token, last);
        last = token;
    }
    ck_assert_uint_eq(look(store, "m", 0).kept.words[0], last);
}
END_TEST

START_TEST(scopes_are_apart)
{
    etv_table_t *table = etv_make_table(64);
    etv_store_t *a = make_store(table, "a"), *b = make_store(table, "b");

    bump(a, "m");
    ck_assert_int_eq(look(b, "m", 0).state, ETV_MODEL_ABSENT);
    ck_assert_int_eq(look(make_store(table, "a"), "m", 0).state, ETV_MODEL_FOUND);
}
END_TEST

START_TEST(a_lost_entry_means_a_new_token)
{
    etv_store_t *store = make_store(etv_make_table(16), "a");
    apr_uint64_t first = bump(store, "m");
    etv_model_t again;

    for (int i = 0; i < 2000; i++)
        bump(store, apr_psprintf(pool, "filler%d", i));
    again = look(store, "m", 0);
    ck_assert_int_eq(again.state, ETV_MODEL_ABSENT);
    again = look(store, "m", 1);
    ck_assert_uint_gt(again.kept.words[0], first);
}
END_TEST

typedef struct {
    etv_store_t *store;
    apr_uint64_t token;
} racer_t;

static void *race(void *baton)
{
    racer_t *racer = baton;
    etv_model_t model = model_of("m", 1);
    etv_snapshot_t snapshot = {.now_us = apr_time_now()};

    if (racer->store->ops->lookup(racer->store, NULL, &model, 1, &snapshot) == ETV_LOOKUP_OK)
        racer->token = model.kept.words[0];
    return NULL;
}

START_TEST(created_once_by_many)
{
    for (int round = 0; round < 50; round++) {
        etv_store_t *store = make_store(etv_make_table(16), "a");
        racer_t racers[8];
        pthread_t threads[8];

        for (int i = 0; i < 8; i++) {
            racers[i].store = store;
            racers[i].token = 0;
            pthread_create(&threads[i], NULL, race, &racers[i]);
        }
        for (int i = 0; i < 8; i++)
            pthread_join(threads[i], NULL);
        for (int i = 0; i < 8; i++)
            ck_assert_uint_eq(racers[i].token, racers[0].token);
        ck_assert_uint_ne(racers[0].token, 0);
    }
}
END_TEST

int main(void)
{
    return etv_check_run(
        "local", (const TTest *[]){absent_until_created, bumps_never_repeat, scopes_are_apart,
                                   a_lost_entry_means_a_new_token, created_once_by_many, NULL});
}
