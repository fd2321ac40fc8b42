/* SPDX-License-Identifier: Apache-2.0 */
/* Changes under a lease, and what a host remembers of an earlier moment. Two mirrors are two
 * hosts. */
#include "redis_change_fixture.h"
#include "leased_fixture.h"

/** No round of the listener falls into a test. */
#define LONG_MS 60000

static settings_t settings_long(void)
{
    return settings_leased(server.path, etv_make_mirror(64), LONG_MS);
}

static void await_state(etv_store_t *store, const char *name, etv_model_state_e state)
{
    while (state_of(store, name) != state) {
        usleep(500);
    }
}

/* --- under way --- */

START_TEST(other_hosts_see_it)
{
    settings_t here = settings_long(), there = settings_long();
    etv_store_t *a = store_in_use(&here), *b = store_in_use(&there);
    etv_change_id_t id = change_id(OWNER_A, 1, GRACE_LONG);
    int before;

    tell(&server, "SET v:a 1");
    for (int round = 0; round < 3; round++) {
        await_state(b, "a", ETV_MODEL_FOUND);
        await_state(a, "a", ETV_MODEL_FOUND);
        ck_assert_int_eq(announce(a, "a", &id), APR_SUCCESS);
        ck_assert_int_eq(state_of(a, "a"), ETV_MODEL_OPEN); /* at once */
        await_state(b, "a", ETV_MODEL_OPEN);                /* when it was pushed */
        before = calls(&server, "exists");
        for (int i = 0; i < 10; i++) { /* never remembered */
            ck_assert_int_eq(state_of(a, "a"), ETV_MODEL_OPEN);
            ck_assert_int_eq(state_of(b, "a"), ETV_MODEL_OPEN);
            ck_assert_int_eq(known(&here, "a"), 0);
            ck_assert_int_eq(known(&there, "a"), 0);
        }
        ck_assert_int_eq(calls(&server, "exists"), before + 20);
        if (round == 0) {
            ck_assert_int_eq(complete(a, "a", &id), APR_SUCCESS);
            ck_assert_str_ne(text_of(&server, "GET v:a"), "1");
        } else if (round == 1) {
            ck_assert_int_eq(withdraw(a, "a", &id), APR_SUCCESS);
        } else {
            int open;

            tell(&server, "DEL v:%alive:" OWNER_A);
            ck_assert_int_eq(rescue(b, "a", &open), APR_SUCCESS);
            ck_assert_int_eq(open, 0);
            ck_assert_int_eq(state_of(b, "a"), ETV_MODEL_FOUND);
        }
    }
}
END_TEST

/** Whatever became of it: this host asks again. */
START_TEST(this_host_forgets)
{
    settings_t s = settings_long();
    etv_store_t *store = store_in_use(&s);
    etv_change_id_t id = change_id(OWNER_A, 1, GRACE_LONG);
    etv_model_t m;
    etv_snapshot_t snapshot;
    int bumped, open;

    tell(&server, "SET v:a 1");
    await_state(store, "a", ETV_MODEL_FOUND);
    for (int i = 0; i < 6; i++) {
        while (!known(&s, "a")) {
            ck_assert_int_eq(look(store, "a", 0, &m, &snapshot), ETV_LOOKUP_OK);
        }
        m = model("a", 0);
        switch (i) {
        case 0:
            m.state = ETV_MODEL_ABSENT;
            ck_assert_int_eq(store->ops->changes->announce(store, pool, &m, 1, &id, 1), APR_EEXIST);
            break;
        case 1:
            ck_assert_int_eq(withdraw(store, "a", &id), APR_SUCCESS);
            break;
        case 2:
            ck_assert_int_eq(complete(store, "a", &id), APR_SUCCESS);
            break;
        case 3:
            ck_assert_int_eq(rescue(store, "a", &open), APR_SUCCESS);
            break;
        case 4:
            ck_assert_int_eq(store->ops->changes->bump_if(store, pool, &m, "d", 1, &bumped),
                             APR_SUCCESS);
            break;
        default:
            ck_assert_int_eq(announce(store, "a", &id), APR_SUCCESS);
            break;
        }
        ck_assert_msg(!known(&s, "a"), "%d", i);
    }
}
END_TEST

/** What the store keeps for itself voids nothing else. */
START_TEST(keys_of_the_store)
{
    static const char *const words[] = {
        "SET v:%alive:x 1", "SET v:%digest:a 1", "SET v:%models:a 1", "SET v:%fields:a 1",
        "SADD v:%open:b x", "SADD v:%open: x",   "SET v:%opena x",    "SET v:%else x"};
    settings_t s = settings_long();
    etv_store_t *store = store_in_use(&s);
    apr_uint64_t lease;

    tell(&server, "MSET v:a 1 v:b 2");
    await_state(store, "a", ETV_MODEL_FOUND);
    await_state(store, "b", ETV_MODEL_FOUND);
    while (!known(&s, "a") || !known(&s, "b")) {
        state_of(store, "a");
        state_of(store, "b");
    }
    lease = etv_channel_lease(s.config.channel);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        tell(&server, words[i]);
    }
    await_unknown(&s, "b");
    tell(&server, "SET v:b 3"); /* behind all of these */
    await_state(store, "b", ETV_MODEL_OPEN);
    ck_assert_int_eq(known(&s, "a"), 1);
    ck_assert_uint_eq(etv_channel_epoch_of(lease),
                      etv_channel_epoch_of(etv_channel_lease(s.config.channel)));
}
END_TEST

/* --- an earlier moment --- */

static etv_lookup_e recall(etv_store_t *store, const char *name, const etv_moment_t *at,
                           etv_model_t *m)
{
    etv_snapshot_t snapshot, other;
    etv_model_t again;
    etv_lookup_e found;

    *m = model(name, 0);
    found = store->ops->declared->recall(store, m, 1, at, &snapshot);
    if (found == ETV_LOOKUP_OK) {
        ck_assert_int_eq(look(store, name, 0, &again, &other), ETV_LOOKUP_OK);
        ck_assert_int_eq(same_instance(&snapshot, &other), 1);
    }
    return found;
}

static void know(settings_t *s, etv_store_t *store, const char *name)
{
    do {
        state_of(store, name);
    } while (!known(s, name));
}

static etv_moment_t moment_of(etv_store_t *store)
{
    etv_moment_t at;

    store->ops->declared->moment(store, &at);
    return at;
}

START_TEST(recalled_if_known_before)
{
    settings_t s = settings_long();
    etv_store_t *store = store_in_use(&s);
    etv_moment_t before = moment_of(store), after;
    etv_model_t m;

    ck_assert_int_eq(before.known, 1);
    tell(&server, "SET v:a 17");
    know(&s, store, "a");
    after = moment_of(store);
    ck_assert_int_eq(recall(store, "a", &before, &m), ETV_LOOKUP_UNAVAILABLE);
    ck_assert_int_eq(recall(store, "a", &after, &m), ETV_LOOKUP_OK);
    ASSERT_TOKEN(m, "17");
    for (int i = 0; i < 100; i++) { /* as often as is liked, and looking it up does not harm */
        know(&s, store, "a");
        ck_assert_int_eq(recall(store, "a", &after, &m), ETV_LOOKUP_OK);
    }
    ck_assert_int_eq(recall(store, "unknown", &after, &m), ETV_LOOKUP_UNAVAILABLE);
    know(&s, store, "absent");
    after = moment_of(store);
    ck_assert_int_eq(recall(store, "absent", &after, &m), ETV_LOOKUP_UNAVAILABLE);
    after.known = 0;
    ck_assert_int_eq(recall(store, "a", &after, &m), ETV_LOOKUP_UNAVAILABLE);
}
END_TEST

START_TEST(not_recalled_if_changed_since)
{
    static const char *const change[] = {"SET v:a 2", "DEL v:a", "SADD v:%open:a x", "SET v:a 17"};
    settings_t s = settings_long();
    etv_store_t *store = store_in_use(&s);
    etv_moment_t at;
    etv_model_t m;

    for (size_t i = 0; i < sizeof(change) / sizeof(change[0]); i++) {
        tell(&server, "DEL v:%open:a");
        tell(&server, "SET v:a 17");
        await_state(store, "a", ETV_MODEL_FOUND);
        know(&s, store, "a");
        at = moment_of(store);
        while (recall(store, "a", &at, &m) != ETV_LOOKUP_OK) { /* pushes of the preparation */
            know(&s, store, "a");
            at = moment_of(store);
        }
        tell(&server, change[i]);
        while (recall(store, "a", &at, &m) == ETV_LOOKUP_OK) {
            usleep(500);
        }
        tell(&server, "DEL v:%open:a");
        await_state(store, "a", i == 1 ? ETV_MODEL_ABSENT : ETV_MODEL_FOUND);
        know(&s, store, "a"); /* known again, but since then */
        ck_assert_int_eq(recall(store, "a", &at, &m), ETV_LOOKUP_UNAVAILABLE);
    }
}
END_TEST

START_TEST(not_recalled_after_a_flush)
{
    settings_t s = settings_long();
    etv_store_t *store = store_in_use(&s);
    etv_moment_t at;
    etv_model_t m;

    tell(&server, "SET v:a 17");
    know(&s, store, "a");
    at = moment_of(store);
    ck_assert_int_eq(recall(store, "a", &at, &m), ETV_LOOKUP_OK);
    tell(&server, "FLUSHALL");
    while (recall(store, "a", &at, &m) == ETV_LOOKUP_OK) {
        usleep(500);
    }
    tell(&server, "SET v:a 17");
    await_use(&s);
    await_state(store, "a", ETV_MODEL_FOUND);
    know(&s, store, "a");
    ck_assert_int_eq(recall(store, "a", &at, &m), ETV_LOOKUP_UNAVAILABLE);
    at = moment_of(store);
    ck_assert_int_eq(at.known, 1);
    ck_assert_int_eq(recall(store, "a", &at, &m), ETV_LOOKUP_OK);
}
END_TEST

/** A version that was asked for before the moment and read after it may be newer than the answer.
 */
START_TEST(asked_before_and_answered_after)
{
    settings_t s = settings_long();
    etv_store_t *store = store_in_use(&s);
    etv_mirror_value_t value = {.len = 1};
    apr_time_t asked_us = etv_boottime_us();
    etv_moment_t at;
    etv_model_t m;
    etv_hash128_t key = key_of(&s, "a");

    usleep(2000);
    at = moment_of(store);
    usleep(2000);
    etv_mirror_install(s.config.mirror, key, at.epoch, etv_mirror_generation(s.config.mirror, key),
                       ETV_MIRROR_CONFIGURED, asked_us, &value);
    ck_assert_int_eq(known(&s, "a"), 1);
    m = model("a", 0);
    ck_assert_int_eq(store->ops->declared->recall(store, &m, 1, &at, NULL), ETV_LOOKUP_UNAVAILABLE);
}
END_TEST

START_TEST(no_moment_without_a_lease)
{
    server_t own;
    settings_t s;
    etv_store_t *store;
    etv_moment_t at, later;
    etv_model_t m;

    server_start(&own, "lease", 0, NULL);
    tell(&own, "SET v:a 1");
    s = settings_leased(own.path, etv_make_mirror(64), 400);
    store = store_in_use(&s);
    know(&s, store, "a");
    do {
        know(&s, store, "a");
        at = moment_of(store);
    } while (!at.known || recall(store, "a", &at, &m) != ETV_LOOKUP_OK);
    server_kill(&own);
    await_disuse(&s);
    later = moment_of(store);
    ck_assert_int_eq(later.known, 0);
    ck_assert_int_eq(recall(store, "a", &at, &m), ETV_LOOKUP_UNAVAILABLE);
}
END_TEST

/** Texts go the same way as without a mirror. */
START_TEST(texts)
{
    static const unsigned char id[ETV_REGISTRY_ID_BYTES] = {1};
    settings_t s = settings_long();
    etv_store_t *store = store_in_use(&s);
    const char *text;
    apr_size_t len;

    ck_assert_int_eq(
        store->ops->declared->put(store, pool, ETV_REGISTRY_FIELDS, id, "some text", 9),
        APR_SUCCESS);
    ck_assert_int_eq(store->ops->declared->get(store, pool, ETV_REGISTRY_FIELDS, id, &text, &len),
                     APR_SUCCESS);
    ck_assert_uint_eq(len, 9);
    ck_assert_mem_eq(text, "some text", 9);
    ck_assert_int_eq(store->ops->declared->get(store, pool, ETV_REGISTRY_MODELS, id, &text, &len),
                     APR_NOTFOUND);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("leased_change");
    TCase *t = tcase_create("leased_change");

    tcase_add_unchecked_fixture(t, suite_setup, suite_teardown);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, other_hosts_see_it);
    tcase_add_test(t, this_host_forgets);
    tcase_add_test(t, keys_of_the_store);
    tcase_add_test(t, recalled_if_known_before);
    tcase_add_test(t, not_recalled_if_changed_since);
    tcase_add_test(t, not_recalled_after_a_flush);
    tcase_add_test(t, asked_before_and_answered_after);
    tcase_add_test(t, no_moment_without_a_lease);
    tcase_add_test(t, texts);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
