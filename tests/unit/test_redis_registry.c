/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that tags name, in Redis. */
#include "redis_change_fixture.h"

#include "store/declared_ops.h"

static const unsigned char ID[ETV_REGISTRY_ID_BYTES] = {
    0x00, 0x01, 0x7f, 0x80, 0xff, 0x10, 0xa0, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0x9c};

#define ID_HEX "00017f80ff10a00a000000000000009c"

static apr_status_t put(etv_store_t *store, etv_registry_kind_e kind, const char *text,
                        apr_size_t len)
{
    return store->ops->declared->put(store, pool, kind, ID, text, len);
}

static apr_status_t get(etv_store_t *store, etv_registry_kind_e kind, const char **text,
                        apr_size_t *len)
{
    return store->ops->declared->get(store, pool, kind, ID, text, len);
}

START_TEST(there_and_back)
{
    static const etv_registry_kind_e kinds[] = {ETV_REGISTRY_MODELS, ETV_REGISTRY_FIELDS};
    static const char *const keys[] = {"v:%models:" ID_HEX, "v:%fields:" ID_HEX};
    char longest[ETV_REGISTRY_TEXT_MOST + 1];
    etv_store_t *here = store_default(), *there = store_default();
    const char *text = NULL;
    apr_size_t len = 0;

    for (apr_size_t i = 0; i < sizeof(longest); i++) {
        longest[i] = (char)i; /* every byte there is */
    }
    for (int i = 0; i < 2; i++) {
        int ttl;

        ck_assert_int_eq(get(there, kinds[i], &text, &len), APR_NOTFOUND);
        for (apr_size_t n = 1; n <= ETV_REGISTRY_TEXT_MOST; n += 4607) {
            ck_assert_int_eq(put(here, kinds[i], longest, n), APR_SUCCESS);
            ck_assert_int_eq(get(there, kinds[i], &text, &len), APR_SUCCESS);
            ck_assert_uint_eq(len, n);
            ck_assert_mem_eq(text, longest, n);
        }
        ttl = (int)number_of(&server, apr_pstrcat(pool, "TTL ", keys[i], NULL));
        ck_assert_int_gt(ttl, 6 * 86400);
        ck_assert_int_le(ttl, 7 * 86400);
        tell(&server, apr_pstrcat(pool, "EXPIRE ", keys[i], " 100", NULL));
        ck_assert_int_eq(put(here, kinds[i], longest, 5), APR_SUCCESS); /* again in time */
        ck_assert_int_gt((int)number_of(&server, apr_pstrcat(pool, "TTL ", keys[i], NULL)), 100);
    }
    ck_assert_int_eq(put(here, ETV_REGISTRY_MODELS, longest, 0), APR_EINVAL);
    ck_assert_int_eq(put(here, ETV_REGISTRY_MODELS, longest, ETV_REGISTRY_TEXT_MOST + 1),
                     APR_EINVAL);
    ck_assert_int_eq(seen.n, 0);
}
END_TEST

START_TEST(what_is_no_text)
{
    etv_store_t *store = store_default();
    const char *text = NULL;
    apr_size_t len = 0;

    tell(&server, "RPUSH v:%models:" ID_HEX " x");
    ck_assert_int_eq(get(store, ETV_REGISTRY_MODELS, &text, &len), APR_NOTFOUND);
    ck_assert_int_eq(put(store, ETV_REGISTRY_MODELS, "ok", 2), APR_SUCCESS);
    ck_assert_int_eq(get(store, ETV_REGISTRY_MODELS, &text, &len), APR_SUCCESS);
    for (apr_size_t n = 0; n < 100000; n = n * 3 + ETV_REGISTRY_TEXT_MOST + 1) {
        set_bytes(&server, "v:%models:" ID_HEX, n ? n : 0);
        ck_assert_int_eq(get(store, ETV_REGISTRY_MODELS, &text, &len), APR_NOTFOUND);
    }
    ck_assert_int_eq(seen.n, 0);
    set_bytes(&server, "v:%models:" ID_HEX, 4000000);
    ck_assert_int_ne(get(store, ETV_REGISTRY_MODELS, &text, &len), APR_SUCCESS);
    ck_assert_int_eq(logged("ETV0110"), 1);
    ck_assert_int_eq(get(store, ETV_REGISTRY_FIELDS, &text, &len), APR_NOTFOUND);
}
END_TEST

START_TEST(nothing_is_recalled)
{
    etv_store_t *store = store_default();
    etv_moment_t at = {.known = 1};
    etv_snapshot_t snapshot;
    etv_model_t m;

    tell(&server, "SET v:a 1");
    ck_assert_int_eq(look(store, "a", 0, &m, NULL), ETV_LOOKUP_OK);
    store->ops->declared->moment(store, &at);
    ck_assert_int_eq(at.known, 0);
    ck_assert_int_eq(store->ops->declared->recall(store, &m, 1, &at, &snapshot),
                     ETV_LOOKUP_UNAVAILABLE);
}
END_TEST

START_TEST(server_gone)
{
    server_t own;
    settings_t s;
    etv_store_t *store;
    const char *text;
    apr_size_t len;

    server_start(&own, "registry", 0, NULL);
    s = settings_unix(own.path);
    store = store_make(&s);
    ck_assert_int_eq(put(store, ETV_REGISTRY_MODELS, "x", 1), APR_SUCCESS);
    server_kill(&own);
    ck_assert_int_ne(put(store, ETV_REGISTRY_MODELS, "x", 1), APR_SUCCESS);
    ck_assert_int_ne(get(store, ETV_REGISTRY_MODELS, &text, &len), APR_SUCCESS);
    ck_assert_int_ne(get(store, ETV_REGISTRY_MODELS, &text, &len), APR_NOTFOUND);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("redis_registry");
    TCase *t = tcase_create("registry");

    tcase_add_unchecked_fixture(t, suite_setup, suite_teardown);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, there_and_back);
    tcase_add_test(t, what_is_no_text);
    tcase_add_test(t, nothing_is_recalled);
    tcase_add_test(t, server_gone);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
