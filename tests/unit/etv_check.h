/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The frame of a unit test: a main that lists its tests,
 *
 *     int main(void) { return etv_check_run("vary", (const TTest *[]){test_a, test_b, NULL}); }
 *
 * runs them with APR initialised and a fresh `pool` each, and returns the exit code.
 */
#ifndef ETV_TESTS_UNIT_CHECK_H
#define ETV_TESTS_UNIT_CHECK_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>
#include <apr_pools.h>

/** Rows of a table. */
#define ETV_ROWS(table) (sizeof(table) / sizeof((table)[0]))

/** The pool of the running test. */
static apr_pool_t *pool;

static inline void etv_check_setup(void)
{
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
}

static inline void etv_check_teardown(void)
{
    apr_pool_destroy(pool);
    pool = NULL;
}

/** @param tests  NULL-terminated; CK_VERBOSITY and CK_FORK of the environment apply */
static inline int etv_check_run(const char *subject, const TTest *const *tests)
{
    Suite *suite = suite_create(subject);
    TCase *tcase = tcase_create(subject);
    SRunner *runner;
    int failed;

    if (apr_initialize() != APR_SUCCESS) {
        return EXIT_FAILURE;
    }
    tcase_add_checked_fixture(tcase, etv_check_setup, etv_check_teardown);
    tcase_set_timeout(tcase, 60);
    for (; *tests; tests++) {
        tcase_add_test(tcase, *tests);
    }
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    apr_terminate();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
