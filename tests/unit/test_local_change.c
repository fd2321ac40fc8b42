/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of the embedded store: what is announced as read, bumps that depend on the data, versions
 * as of an earlier moment, what who watches is told. */
#include "change_fixture.h"
#include "table_fixture.h"

#include "store/declared_ops.h"
#include "store/feed.h"
#include "store/local.h"

static const char scope_text[] = "local";

typedef struct {
    etv_store_t *store;
    etv_pending_t *pending;
    etv_feed_t *feed;
    etv_keeper_t *keeper;
    etv_hash128_t scope;
} house_t;

static house_t build_house(void)
{
    etv_log_t log = {note_line, NULL};
    house_t h = {.pending = make_pending(),
                 .feed = etv_feed_init(shared_memory(etv_feed_bytes())),
                 .scope = etv_hash_name(scope_text, strlen(scope_text))};
    etv_keeper_store_t stores[1];

    h.store = etv_local_create(pool, etv_make_table(1024), scope_text, log);
    etv_local_share(h.store, h.pending, h.feed);
    stores[0] = (etv_keeper_store_t){h.store, h.scope};
    ck_assert_int_eq(etv_keeper_create(pool, h.pending, stores, 1, log, &h.keeper), APR_SUCCESS);
    return h;
}

static etv_model_t look(const house_t *h, const char *name)
{
    etv_model_t model = model_of(name);
    etv_snapshot_t snapshot = {.now_us = apr_time_now()};

    ck_assert_int_eq(h->store->ops->lookup(h->store, pool, &model, 1, &snapshot), ETV_LOOKUP_OK);
    return model;
}

static void bump(const house_t *h, const char *name)
{
    etv_model_t model = model_of(name);

    ck_assert_int_eq(h->store->ops->bump(h->store, pool, &model, 1), APR_SUCCESS);
}

static etv_change_e begin(const house_t *h, etv_model_t *models, int n, int as_read,
                          etv_change_t **change)
{
    for (int i = 0; i < n; i++) /* the copy's own bytes */
        models[i].token = models[i].kept.token;
    return etv_change_begin(pool, h->keeper, h->store, h->scope, models, n, MINUTES, as_read,
                            change);
}

START_TEST(as_read)
{
    house_t h = build_house();
    etv_model_t read[2] = {look(&h, "m"), look(&h, "n")};
    etv_change_t *change, *other;

    ck_assert_int_eq(begin(&h, read, 2, 1, &change), ETV_CHANGE_ANNOUNCED); /* absent, still */
    ck_assert_int_eq(begin(&h, read, 1, 1, &other), ETV_CHANGE_EXISTS);
    ck_assert_int_eq(begin(&h, read + 1, 1, 1, &other), ETV_CHANGE_EXISTS);
    ck_assert_int_eq(begin(&h, read, 1, 0, &other), ETV_CHANGE_ANNOUNCED);
    etv_change_withdraw(other);
    ck_assert_int_eq(etv_change_end(change), APR_SUCCESS);

    ck_assert_int_eq(begin(&h, read, 1, 1, &change), ETV_CHANGE_EXISTS); /* bumped meanwhile */
    read[0] = look(&h, "m");
    ck_assert_int_eq(read[0].state, ETV_MODEL_FOUND);
    ck_assert_int_eq(begin(&h, read, 1, 1, &change), ETV_CHANGE_ANNOUNCED);
    ck_assert_int_eq(etv_change_end(change), APR_SUCCESS);
    ck_assert_int_eq(begin(&h, read, 1, 1, &change), ETV_CHANGE_EXISTS);
    ck_assert(!etv_pending_any(h.pending));
}
END_TEST

/* A change without conditions is in the way of those that have some. */
START_TEST(others_first)
{
    house_t h = build_house();
    etv_model_t read = look(&h, "m");
    etv_change_t *plain, *change;

    ck_assert_int_eq(begin(&h, &read, 1, 0, &plain), ETV_CHANGE_ANNOUNCED);
    ck_assert_int_eq(begin(&h, &read, 1, 1, &change), ETV_CHANGE_EXISTS);
    etv_change_withdraw(plain);
    ck_assert_int_eq(begin(&h, &read, 1, 1, &change), ETV_CHANGE_ANNOUNCED);
    etv_change_withdraw(change);
}
END_TEST

/* --- many at once --- */

#define RIVALS 4
#define ROUNDS 100

typedef struct {
    const house_t *h;
    pthread_barrier_t *gate;
    int number;
    int won[ROUNDS];
    pthread_t thread;
} rival_t;

static void *compete(void *baton)
{
    rival_t *rival = baton;
    apr_pool_t *own;

    apr_pool_create_unmanaged_ex(&own, NULL, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        char names[2][16];
        etv_model_t models[2];
        etv_change_t *change;

        snprintf(names[0], sizeof(names[0]), "a%d", i);
        snprintf(names[1], sizeof(names[1]), "b%d", i);
        models[0] = model_of(names[rival->number % 2]); /* in either order */
        models[1] = model_of(names[1 - rival->number % 2]);
        pthread_barrier_wait(rival->gate);
        rival->won[i] = etv_change_begin(own, rival->h->keeper, rival->h->store, rival->h->scope,
                                         models, 2, MINUTES, 1, &change) == ETV_CHANGE_ANNOUNCED;
        pthread_barrier_wait(rival->gate);
        if (change)
            etv_change_end(change);
    }
    apr_pool_destroy(own);
    return NULL;
}

START_TEST(one_of_many_wins)
{
    house_t h = build_house();
    rival_t rivals[RIVALS];
    pthread_barrier_t gate;

    pthread_barrier_init(&gate, NULL, RIVALS);
    for (int i = 0; i < RIVALS; i++) {
        rivals[i] = (rival_t){.h = &h, .gate = &gate, .number = i};
        ck_assert_int_eq(pthread_create(&rivals[i].thread, NULL, compete, &rivals[i]), 0);
    }
    for (int i = 0; i < RIVALS; i++)
        pthread_join(rivals[i].thread, NULL);
    for (int round = 0; round < ROUNDS; round++) {
        int winners = 0;

        for (int i = 0; i < RIVALS; i++)
            winners += rivals[i].won[round];
        ck_assert_int_eq(winners, 1);
    }
    pthread_barrier_destroy(&gate);
}
END_TEST

/* --- bumps that depend on the data --- */

static int bump_if(const house_t *h, const char *name, const char *digest)
{
    etv_model_t model = model_of(name);
    int bumped = -1;

    ck_assert_int_eq(
        h->store->ops->changes->bump_if(h->store, pool, &model, digest, strlen(digest), &bumped),
        APR_SUCCESS);
    ck_assert_int_eq(model.state, ETV_MODEL_FOUND);
    ck_assert_uint_eq(model.kept.words[0], look(h, name).kept.words[0]);
    return bumped;
}

START_TEST(digests)
{
    house_t h = build_house();
    char longest[ETV_DATA_DIGEST_MOST + 2];
    etv_model_t model = model_of("m");
    int bumped;

    ck_assert_int_eq(bump_if(&h, "m", "one"), 1);
    ck_assert_int_eq(bump_if(&h, "m", "one"), 0);
    ck_assert_int_eq(bump_if(&h, "n", "one"), 1);
    ck_assert_int_eq(bump_if(&h, "m", "two"), 1);
    ck_assert_int_eq(bump_if(&h, "m", "one"), 1);
    bump(&h, "m"); /* the data of this version are not known */
    ck_assert_int_eq(bump_if(&h, "m", "one"), 1);
    ck_assert_int_eq(bump_if(&h, "m", "one"), 0);

    memset(longest, 'x', sizeof(longest));
    longest[ETV_DATA_DIGEST_MOST + 1] = '\0';
    ck_assert_int_eq(h.store->ops->changes->bump_if(h.store, pool, &model, longest,
                                                    ETV_DATA_DIGEST_MOST + 1, &bumped),
                     APR_EINVAL);
    ck_assert_int_eq(h.store->ops->changes->bump_if(h.store, pool, &model, "", 0, &bumped),
                     APR_EINVAL);
    longest[ETV_DATA_DIGEST_MOST] = '\0';
    ck_assert_int_eq(bump_if(&h, "m", longest), 1);
    ck_assert_int_eq(bump_if(&h, "m", longest), 0);
}
END_TEST

/* --- as of a moment --- */

static etv_lookup_e recall(const house_t *h, const char *name, const etv_moment_t *moment)
{
    etv_model_t model = model_of(name), now = look(h, name);
    etv_snapshot_t snapshot = {.now_us = apr_time_now()};
    etv_lookup_e said = h->store->ops->declared->recall(h->store, &model, 1, moment, &snapshot);

    if (said == ETV_LOOKUP_OK) {
        ck_assert_int_eq(model.state, ETV_MODEL_FOUND);
        ck_assert_uint_eq(model.kept.words[0], now.kept.words[0]);
        ck_assert_ptr_nonnull(snapshot.instance);
        ck_assert_ptr_nonnull(snapshot.secret);
    }
    return said;
}

START_TEST(moments)
{
    house_t h = build_house();
    etv_moment_t early, late, never = {.known = 0};

    h.store->ops->declared->moment(h.store, &early);
    bump(&h, "m");
    bump(&h, "n");
    h.store->ops->declared->moment(h.store, &late);
    ck_assert_int_eq(recall(&h, "m", &early), ETV_LOOKUP_UNAVAILABLE);
    ck_assert_int_eq(recall(&h, "m", &late), ETV_LOOKUP_OK);
    ck_assert_int_eq(recall(&h, "absent", &late), ETV_LOOKUP_UNAVAILABLE);
    ck_assert_int_eq(recall(&h, "m", &never), ETV_LOOKUP_UNAVAILABLE);
    bump(&h, "m");
    ck_assert_int_eq(recall(&h, "m", &late), ETV_LOOKUP_UNAVAILABLE);
    ck_assert_int_eq(recall(&h, "n", &late), ETV_LOOKUP_OK);
    ck_assert_ptr_null(h.store->ops->declared->put);
    ck_assert_ptr_null(h.store->ops->declared->get);
}
END_TEST

/* --- who watches --- */

static void expect_told(const house_t *h, apr_uint64_t *next, const char *name)
{
    etv_feed_entry_t entry;

    ck_assert_int_eq(etv_feed_read(h->feed, next, &entry), ETV_FEED_BUMP);
    ck_assert_str_eq(entry.name, name);
    ck_assert_uint_eq(entry.scope.lo, h->scope.lo);
}

START_TEST(watchers_are_told)
{
    house_t h = build_house();
    apr_uint64_t next = etv_feed_next(h.feed);
    etv_model_t model = look(&h, "m");
    etv_feed_entry_t entry;
    etv_change_t *change;

    begin(&h, &model, 1, 0, &change);
    ck_assert_int_eq(etv_feed_read(h.feed, &next, &entry), ETV_FEED_NONE);
    etv_change_end(change);
    expect_told(&h, &next, "m");
    bump(&h, "n");
    expect_told(&h, &next, "n");
    bump_if(&h, "d", "one");
    expect_told(&h, &next, "d");
    bump_if(&h, "d", "one");
    ck_assert_int_eq(etv_feed_read(h.feed, &next, &entry), ETV_FEED_NONE);
}
END_TEST

START_TEST(rescue_says_what_is_pending)
{
    house_t h = build_house();
    etv_model_t model = look(&h, "m");
    etv_change_t *change;
    int still_open = -1;

    begin(&h, &model, 1, 0, &change);
    ck_assert_int_eq(h.store->ops->changes->rescue(h.store, pool, &model, &still_open),
                     APR_SUCCESS);
    ck_assert_int_eq(still_open, 1);
    etv_change_end(change);
    h.store->ops->changes->rescue(h.store, pool, &model, &still_open);
    ck_assert_int_eq(still_open, 0);
}
END_TEST

int main(void)
{
    return etv_check_run("local changes", (const TTest *[]){as_read, others_first, one_of_many_wins,
                                                            digests, moments, watchers_are_told,
                                                            rescue_says_what_is_pending, NULL});
}
