/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper with a real server that dies and comes back, forgetful, in the middle of changes; and
 * with two hosts, of which one dies. */
#include <sys/mman.h>

#include "redis_change_fixture.h"

#include "store/change.h"
#include "store/change_record.h"

static const etv_hash128_t scope = {21, 22};

#define AWAIT(condition)                                                                           \
    do {                                                                                           \
        apr_time_t give_up_us = etv_boottime_us() + MS(60000);                                     \
        int reached;                                                                               \
        while (!(reached = (condition)) && etv_boottime_us() < give_up_us)                         \
            usleep(2000);                                                                          \
        ck_assert_msg(reached, "%s", #condition);                                                  \
    } while (0)

/** A host: what its processes share, and one of them. */
typedef struct {
    etv_pending_t *pending;
    etv_store_t *store;
    etv_keeper_t *keeper;
} host_t;

static host_t host_make(const server_t *s)
{
    host_t h;
    settings_t settings = settings_unix(s->path);
    void *memory =
        mmap(NULL, etv_pending_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    etv_log_t log = {remember, NULL};
    etv_keeper_store_t stores[1];

    ck_assert_ptr_ne(memory, MAP_FAILED);
    h.pending = etv_pending_init(memory);
    h.store = store_make(&settings);
    stores[0] = (etv_keeper_store_t){h.store, scope};
    ck_assert_int_eq(etv_keeper_create(pool, h.pending, stores, 1, log, &h.keeper), APR_SUCCESS);
    return h;
}

static etv_change_e begin(const host_t *h, const char *name, apr_interval_time_t grace_us,
                          etv_change_t **change)
{
    etv_model_t m = model(name, 0);

    return etv_change_begin(pool, h->keeper, h->store, scope, &m, 1, grace_us, 0, change);
}

/** What a lookup says, of a store that may be thought to be down yet. */
static int is_state(const host_t *h, const char *name, etv_model_state_e state)
{
    etv_model_t m;

    if (look(h->store, name, 0, &m, NULL) != ETV_LOOKUP_OK) {
        return 0;
    }
    if (m.state == ETV_MODEL_OPEN) {
        etv_keeper_look(h->keeper, scope, &m);
    }
    return m.state == state;
}

START_TEST(all_hosts_know)
{
    host_t a = host_make(&server), b = host_make(&server);
    etv_change_t *change;

    ck_assert_int_eq(begin(&a, "m", GRACE_LONG, &change), ETV_CHANGE_ANNOUNCED);
    ck_assert(is_state(&b, "m", ETV_MODEL_OPEN));
    ck_assert(!etv_pending_any(b.pending));
    ck_assert_int_eq(etv_change_bump(change), APR_SUCCESS);
    ck_assert(is_state(&b, "m", ETV_MODEL_OPEN));
    ck_assert_int_eq(etv_change_end(change), APR_SUCCESS);
    ck_assert(is_state(&b, "m", ETV_MODEL_FOUND));
    ck_assert(!etv_pending_any(a.pending));
}
END_TEST

START_TEST(server_dies_and_comes_back)
{
    server_t own;
    host_t a;
    etv_change_t *change;

    server_start(&own, "own", 0, NULL);
    a = host_make(&own);
    ck_assert_int_eq(begin(&a, "m", GRACE_LONG, &change), ETV_CHANGE_ANNOUNCED);
    server_kill(&own);
    ck_assert_int_ne(etv_change_end(change), APR_SUCCESS);
    AWAIT(logged("ETV0151"));
    ck_assert_int_eq(etv_pending_count(a.pending), 1);
    ck_assert(server_start_once(&own));
    AWAIT(etv_pending_count(a.pending) == 0);
    ck_assert_int_eq((int)number_of(&own, "EXISTS v:m"), 1);
    ck_assert_int_eq((int)number_of(&own, "EXISTS v:%open:m"), 0);
    AWAIT(logged("ETV0152"));
    server_kill(&own);
}
END_TEST

START_TEST(server_forgets_what_is_under_way)
{
    server_t own;
    host_t a, b;
    etv_change_t *change;

    server_start(&own, "own", 0, NULL);
    a = host_make(&own);
    b = host_make(&own);
    ck_assert_int_eq(begin(&a, "m", GRACE_LONG, &change), ETV_CHANGE_ANNOUNCED);
    server_kill(&own);
    ck_assert(server_start_once(&own));
    AWAIT(number_of(&own, "SCARD v:%open:m") == 1);
    AWAIT(is_state(&b, "m", ETV_MODEL_OPEN));
    AWAIT(etv_change_bump(change) == APR_SUCCESS);
    ck_assert_int_eq(etv_change_end(change), APR_SUCCESS);
    AWAIT(is_state(&b, "m", ETV_MODEL_FOUND));
    ck_assert_int_eq((int)number_of(&own, "EXISTS v:%open:m"), 0);
    server_kill(&own);
}
END_TEST

/** A process of another host begins a change, and dies. */
static void die_in_the_middle(void)
{
    int ready[2];
    pid_t pid;
    char c;

    ck_assert_int_eq(pipe(ready), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (!pid) {
        etv_change_t *change;
        host_t a;

        pool_setup();
        a = host_make(&server);
        if (begin(&a, "m", MS(600), &change) == ETV_CHANGE_ANNOUNCED) {
            ck_assert_int_eq((int)write(ready[1], "x", 1), 1);
        }
        for (;;) {
            pause();
        }
    }
    ck_assert_int_eq((int)read(ready[0], &c, 1), 1);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(ready[0]);
    close(ready[1]);
}

START_TEST(the_other_host_dies)
{
    host_t b = host_make(&server);
    const char *before;

    tell(&server, "SET v:m old");
    die_in_the_middle();
    ck_assert(is_state(&b, "m", ETV_MODEL_OPEN));
    AWAIT(is_state(&b, "m", ETV_MODEL_FOUND)); /* lookups alone bring it about */
    before = text_of(&server, "GET v:m");
    ck_assert_str_ne(before, "old");
    ck_assert_int_eq((int)number_of(&server, "EXISTS v:%open:m"), 0);
}
END_TEST

/* What may be on its way to a server that does not answer is taken back. */
START_TEST(server_is_frozen)
{
    settings_t settings;
    server_t own;
    host_t a, b;
    etv_change_t *change;
    etv_keeper_store_t stores[1];

    server_start(&own, "own", 0, NULL);
    b = host_make(&own);
    a = b;
    settings = settings_unix(own.path);
    settings.config.command_timeout_us = MS(100);
    a.store = store_make(&settings);
    stores[0] = (etv_keeper_store_t){a.store, scope};
    ck_assert_int_eq(
        etv_keeper_create(pool, a.pending, stores, 1, (etv_log_t){remember, NULL}, &a.keeper),
        APR_SUCCESS);
    ck_assert(is_state(&a, "m", ETV_MODEL_ABSENT)); /* connected */
    kill(own.pid, SIGSTOP);
    ck_assert_int_eq(begin(&a, "m", MS(1000), &change), ETV_CHANGE_LOCAL);
    kill(own.pid, SIGCONT);
    AWAIT(etv_change_bump(change) == APR_SUCCESS);
    etv_change_end(change);
    AWAIT(etv_pending_count(a.pending) == 0);
    AWAIT(is_state(&b, "m", ETV_MODEL_FOUND));
    AWAIT(number_of(&own, "EXISTS v:%open:m") == 0);
    server_kill(&own);
}
END_TEST

/** A change that has ended comes back, as from a store that was restored: its owner lives and goes
 *  on changing other things, and yet it is not open for ever. */
START_TEST(what_has_ended_comes_back)
{
    host_t a = host_make(&server);
    etv_change_t *change;
    const char *member;

    ck_assert_int_eq(begin(&a, "m", MS(1000), &change), ETV_CHANGE_ANNOUNCED);
    member = text_of(&server, "SRANDMEMBER v:%open:m");
    ck_assert_ptr_nonnull(member);
    ck_assert_int_eq(etv_change_end(change), APR_SUCCESS);
    tell(&server, apr_pstrcat(pool, "SADD v:%open:m ", member, NULL));
    for (int changes = 0; !is_state(&a, "m", ETV_MODEL_FOUND); changes++) {
        ck_assert_int_eq(begin(&a, "other", MS(1000), &change), ETV_CHANGE_ANNOUNCED);
        usleep(10000);
        ck_assert_int_eq(etv_change_end(change), APR_SUCCESS);
        ck_assert_int_lt(changes, 10000);
    }
    ck_assert_int_eq((int)number_of(&server, "EXISTS v:%open:m"), 0);
    ck_assert_int_eq(logged("ETV0141"), 1);
}
END_TEST

/** Whatever name the owner has: no two changes share one, and each has the longest life. */
START_TEST(names_of_changes)
{
    host_t a = host_make(&server);
    etv_change_id_t first, id;
    apr_uint64_t number = 0;

    etv_keeper_lives(a.keeper, MS(90000));
    first = etv_keeper_new_id(a.keeper, 0);
    do {
        id = etv_keeper_new_id(a.keeper, MS(2000));
        ck_assert_uint_gt(id.number, number);
        number = id.number;
        ck_assert_uint_eq(strlen(id.owner), ETV_OWNER_CHARS);
        ck_assert_int_eq((int)id.grace_us, (int)MS(2000));
        ck_assert_int_eq((int)id.alive_us, (int)MS(90000));
        usleep(1000);
    } while (strcmp(id.owner, first.owner) == 0);
    ck_assert_int_eq(strncmp(id.owner, first.owner, 8), 0);
    id = etv_keeper_new_id(a.keeper, MS(100000));
    ck_assert_int_eq((int)id.alive_us, (int)MS(100000));
}
END_TEST

/** Two virtual hosts, of which one's user may not write: the other's delivers for both. */
START_TEST(a_user_without_rights)
{
    settings_t reader = settings_unix(server.path), writer = settings_unix(server.path);
    etv_pending_what_t what = {.scope = scope, .hash = model("m", 0).hash, .name_len = 1};
    etv_keeper_store_t stores[2];
    etv_keeper_t *keeper;
    void *memory =
        mmap(NULL, etv_pending_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    etv_pending_t *pending = etv_pending_init(memory);

    tell(&server, "ACL SETUSER reader reset on >p ~v:* +@all -set -srem");
    reader.url.user = "reader";
    reader.url.password = "p";
    stores[0] = (etv_keeper_store_t){store_make(&reader), scope};
    stores[1] = (etv_keeper_store_t){store_make(&writer), scope};
    what.id = change_id(OWNER_B, 7, MS(1000));
    what.name[0] = 'm';
    tell(&server, "SADD v:%open:m " OWNER_B ".7 " OWNER_A ".1");
    ck_assert_int_ge(etv_pending_add(pending, &what, 0), 0);
    ck_assert_int_eq(
        etv_keeper_create(pool, pending, stores, 2, (etv_log_t){remember, NULL}, &keeper),
        APR_SUCCESS);
    AWAIT(etv_pending_count(pending) == 0);
    ck_assert_int_eq((int)number_of(&server, "EXISTS v:m"), 1);
    ck_assert_int_eq((int)number_of(&server, "SCARD v:%open:m"), 1);
    tell(&server, "ACL DELUSER reader");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keeper_redis");
    TCase *t = tcase_create("keeper");

    tcase_add_unchecked_fixture(t, suite_setup, suite_teardown);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, all_hosts_know);
    tcase_add_test(t, server_dies_and_comes_back);
    tcase_add_test(t, server_forgets_what_is_under_way);
    tcase_add_test(t, the_other_host_dies);
    tcase_add_test(t, server_is_frozen);
    tcase_add_test(t, what_has_ended_comes_back);
    tcase_add_test(t, names_of_changes);
    tcase_add_test(t, a_user_without_rights);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
