/* SPDX-License-Identifier: Apache-2.0 */
/** What tests of changes share: pending slots that forked processes share, a store that counts what
 *  it is told and fails when it shall, and a log. */
#ifndef ETV_TESTS_UNIT_CHANGE_FIXTURE_H
#define ETV_TESTS_UNIT_CHANGE_FIXTURE_H

#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "etv_check.h"

#include "store/boottime.h"
#include "store/change.h"

#define UNUSED  __attribute__((unused))
#define MS(n)   ((apr_interval_time_t)(n) * 1000)
#define MINUTES MS(600000)

static const etv_hash128_t scope = {11, 12};

static UNUSED void *shared_memory(apr_size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(memory, MAP_FAILED);
    return memory;
}

static UNUSED etv_pending_t *make_pending(void)
{
    return etv_pending_init(shared_memory(etv_pending_bytes()));
}

static UNUSED etv_model_t model_of(const char *name)
{
    return (etv_model_t){.name = name,
                         .name_len = strlen(name),
                         .hash = etv_hash_name(name, strlen(name)),
                         .state = ETV_MODEL_ABSENT};
}

static UNUSED etv_pending_what_t what_of(const char *name, apr_uint64_t number)
{
    etv_pending_what_t what = {.scope = scope, .hash = etv_hash_name(name, strlen(name))};

    memcpy(what.id.owner, "0123456789abcdef", ETV_OWNER_CHARS);
    what.id.number = number;
    what.id.grace_us = MINUTES;
    what.name_len = strlen(name);
    memcpy(what.name, name, what.name_len);
    return what;
}

static UNUSED int is_pending(etv_pending_t *pending, const char *name)
{
    return etv_pending_has(pending, scope, etv_hash_name(name, strlen(name)), etv_boottime_us());
}

/** Wait for something; a minute is for machines that are very slow. */
#define AWAIT(condition)                                                                           \
    do {                                                                                           \
        apr_time_t give_up_us = etv_boottime_us() + MS(60000);                                     \
        int reached;                                                                               \
        while (!(reached = (condition)) && etv_boottime_us() < give_up_us)                         \
            usleep(1000);                                                                          \
        ck_assert_msg(reached, "%s", #condition);                                                  \
    } while (0)

/* --- a log --- */

static struct {
    pthread_mutex_t lock;
    char text[4096];
} journal = {.lock = PTHREAD_MUTEX_INITIALIZER};

static UNUSED void note_line(void *baton, etv_log_level_e level, apr_status_t status,
                             const char *message)
{
    apr_size_t len;

    (void)baton;
    (void)level;
    (void)status;
    pthread_mutex_lock(&journal.lock);
    len = strlen(journal.text);
    snprintf(journal.text + len, sizeof(journal.text) - len, "%s\n", message);
    pthread_mutex_unlock(&journal.lock);
}

static UNUSED int is_logged(const char *text)
{
    int found;

    pthread_mutex_lock(&journal.lock);
    found = strstr(journal.text, text) != NULL;
    pthread_mutex_unlock(&journal.lock);
    return found;
}

/* --- a store that counts --- */

typedef struct {
    etv_store_t base;
    pthread_mutex_t lock;  /* of the names, all of them */
    char bumped[4096];     /* the names, each with a blank behind it */
    atomic_int fails;      /* takes nothing, and says that; 1: refuses */
    atomic_int bumps_all;  /* models in bumps */
    char refused[16];      /* the name of a model that it refuses to bump, always */
    atomic_int exists;     /* 1: nothing is as it was read */
    atomic_int slow_ms;    /* how long announcing takes */
    atomic_int announcing; /* 1: slowly; 2: has done so */
    atomic_int announced, announced_as_read, completed, withdrawn, bumps, rescued;
    atomic_ullong last_number; /* of what was told last */
    atomic_int last_n;
} counting_t;

static void took(counting_t *c, atomic_int *counter, const etv_change_id_t *id, int n)
{
    if (id)
        atomic_store(&c->last_number, id->number);
    atomic_store(&c->last_n, n);
    atomic_fetch_add(counter, 1);
}

static void bumped(counting_t *c, const etv_model_t *models, int n)
{
    atomic_fetch_add(&c->bumps_all, n);
    pthread_mutex_lock(&c->lock);
    for (int i = 0; i < n; i++) {
        apr_size_t len = strlen(c->bumped);

        snprintf(c->bumped + len, sizeof(c->bumped) - len, "%.*s ", (int)models[i].name_len,
                 models[i].name);
    }
    pthread_mutex_unlock(&c->lock);
}

static UNUSED int was_bumped(counting_t *c, const char *name)
{
    int found;

    pthread_mutex_lock(&c->lock);
    found = strstr(c->bumped, name) != NULL;
    pthread_mutex_unlock(&c->lock);
    return found;
}

static apr_status_t failure(counting_t *c)
{
    int fails = atomic_load(&c->fails);

    return fails == 1 ? APR_EGENERAL : fails;
}

/** Never bump that model. */
static UNUSED void refuse(counting_t *c, const char *name)
{
    pthread_mutex_lock(&c->lock);
    snprintf(c->refused, sizeof(c->refused), "%s", name);
    pthread_mutex_unlock(&c->lock);
}

static int is_refused(counting_t *c, const etv_model_t *models, int n)
{
    int found = 0;

    pthread_mutex_lock(&c->lock);
    for (int i = 0; i < n; i++)
        found |= models[i].name_len == strlen(c->refused) &&
                 memcmp(models[i].name, c->refused, models[i].name_len) == 0;
    pthread_mutex_unlock(&c->lock);
    return found;
}

static apr_status_t count_bump(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n)
{
    counting_t *c = (counting_t *)store;
    apr_status_t fails;

    (void)p;
    ck_assert_int_le(n, ETV_MODELS_MOST);
    fails = failure(c);
    if (fails)
        return fails;
    if (is_refused(c, models, n))
        return APR_EGENERAL;
    bumped(c, models, n);
    took(c, &c->bumps, NULL, n);
    return APR_SUCCESS;
}

static apr_status_t count_announce(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n,
                                   const etv_change_id_t *id, int as_read)
{
    counting_t *c = (counting_t *)store;
    apr_status_t fails;

    (void)p;
    (void)models;
    if (atomic_load(&c->slow_ms)) {
        atomic_store(&c->announcing, 1);
        usleep((unsigned)atomic_load(&c->slow_ms) * 1000);
        atomic_store(&c->announcing, 2);
    }
    fails = failure(c);
    if (fails)
        return fails;
    if (as_read && atomic_load(&c->exists))
        return APR_EEXIST;
    took(c, as_read ? &c->announced_as_read : &c->announced, id, n);
    return APR_SUCCESS;
}

static apr_status_t count_complete(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n,
                                   const etv_change_id_t *id)
{
    counting_t *c = (counting_t *)store;
    apr_status_t fails;

    (void)p;
    fails = failure(c);
    if (fails)
        return fails;
    if (is_refused(c, models, n))
        return APR_EGENERAL;
    bumped(c, models, n);
    took(c, &c->completed, id, n);
    return APR_SUCCESS;
}

static apr_status_t count_withdraw(etv_store_t *store, apr_pool_t *p, etv_model_t *models, int n,
                                   const etv_change_id_t *id)
{
    counting_t *c = (counting_t *)store;
    apr_status_t fails;

    (void)p;
    (void)models;
    fails = failure(c);
    if (fails)
        return fails;
    took(c, &c->withdrawn, id, n);
    return APR_SUCCESS;
}

static apr_status_t count_rescue(etv_store_t *store, apr_pool_t *p, etv_model_t *model,
                                 int *still_open)
{
    counting_t *c = (counting_t *)store;

    (void)p;
    *still_open = 0;
    bumped(c, model, 1);
    took(c, &c->rescued, NULL, 1);
    return APR_SUCCESS;
}

static const etv_change_ops_t counting_changes = {.announce = count_announce,
                                                  .complete = count_complete,
                                                  .withdraw = count_withdraw,
                                                  .rescue = count_rescue};

static const etv_store_ops_t counting_ops = {
    .kind = "counting", .bump = count_bump, .changes = &counting_changes};

/** In shared memory, so that other processes' deeds are counted, too. */
static UNUSED counting_t *make_counting(void)
{
    counting_t *c = shared_memory(sizeof(*c));
    pthread_mutexattr_t attr;

    c->base.ops = &counting_ops;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&c->lock, &attr);
    pthread_mutexattr_destroy(&attr);
    return c;
}

static UNUSED etv_keeper_t *make_keeper(apr_pool_t *p, etv_pending_t *pending, etv_store_t *store)
{
    etv_keeper_store_t stores[] = {{store, scope}};
    etv_keeper_t *keeper;

    ck_assert_int_eq(
        etv_keeper_create(p, pending, stores, 1, (etv_log_t){note_line, NULL}, &keeper),
        APR_SUCCESS);
    return keeper;
}

/** Begin a change of one model. */
static UNUSED etv_change_e begin_one(apr_pool_t *p, etv_keeper_t *keeper, etv_store_t *store,
                                     const char *name, apr_interval_time_t grace_us, int as_read,
                                     etv_change_t **change)
{
    etv_model_t model = model_of(name);

    return etv_change_begin(p, keeper, store, scope, &model, 1, grace_us, as_read, change);
}

#endif
