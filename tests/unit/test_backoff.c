/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_check.h"

#include "core/backoff.h"

#define MIDDLE 0x80000000u /* a jitter of almost nothing */

static void report_failures(etv_backoff_t *b, apr_time_t now, int times)
{
    while (times--) {
        etv_backoff_failure(b, now, MIDDLE);
    }
}

START_TEST(test_opens_at_threshold)
{
    etv_backoff_t b;

    etv_backoff_init(&b, 3, 1000, 8000);
    ck_assert(etv_backoff_allows(&b, 5));
    ck_assert(!etv_backoff_failure(&b, 5, MIDDLE));
    ck_assert(!etv_backoff_failure(&b, 5, MIDDLE));
    ck_assert(etv_backoff_allows(&b, 5));
    ck_assert(etv_backoff_failure(&b, 5, MIDDLE));
    ck_assert(!etv_backoff_allows(&b, 5));
    ck_assert(!etv_backoff_allows(&b, 900));
}
END_TEST

START_TEST(test_success_starts_anew)
{
    etv_backoff_t b;

    etv_backoff_init(&b, 2, 1000, 8000);
    report_failures(&b, 0, 1);
    ck_assert(!etv_backoff_success(&b));
    ck_assert(!etv_backoff_failure(&b, 0, MIDDLE));
    ck_assert(etv_backoff_allows(&b, 0));
    ck_assert(etv_backoff_failure(&b, 0, MIDDLE));
    ck_assert(etv_backoff_allows(&b, 2000));
    ck_assert(etv_backoff_success(&b));
    ck_assert(etv_backoff_allows(&b, 2000));
    ck_assert(etv_backoff_allows(&b, 2000));
    ck_assert(!etv_backoff_success(&b));
}
END_TEST

START_TEST(test_one_probe)
{
    etv_backoff_t b;

    etv_backoff_init(&b, 1, 1000, 8000);
    report_failures(&b, 0, 1);
    ck_assert(etv_backoff_allows(&b, 1000));
    ck_assert(!etv_backoff_allows(&b, 1000));
    ck_assert(!etv_backoff_allows(&b, 8999));
    /* lost: one other may try */
    ck_assert(etv_backoff_allows(&b, 9000));
    ck_assert(!etv_backoff_allows(&b, 9000));
    ck_assert(!etv_backoff_failure(&b, 9000, MIDDLE));
    ck_assert(!etv_backoff_allows(&b, 10900));
    ck_assert(etv_backoff_allows(&b, 11000));
}
END_TEST

START_TEST(test_late_failures_change_nothing)
{
    etv_backoff_t b;
    apr_time_t until;

    etv_backoff_init(&b, 1, 1000, 8000);
    report_failures(&b, 0, 1);
    until = b.open_until_us;
    report_failures(&b, 500, 50);
    ck_assert_int_eq(b.open_until_us, until);
    ck_assert_int_eq(b.failures, 1);
}
END_TEST

START_TEST(test_doubles_to_most)
{
    static const apr_interval_time_t waits[] = {1000, 2000, 4000, 8000, 9000, 9000, 9000};
    etv_backoff_t b;
    apr_time_t now = 7;

    etv_backoff_init(&b, 1, 1000, 9000);
    for (size_t i = 0; i < ETV_ROWS(waits); i++) {
        ck_assert(etv_backoff_allows(&b, now));
        ck_assert_int_eq(etv_backoff_failure(&b, now, MIDDLE), i == 0);
        ck_assert_int_ge(b.open_until_us - now, waits[i] - 1);
        ck_assert_int_le(b.open_until_us - now, waits[i] + 1);
        now = b.open_until_us;
    }
}
END_TEST

START_TEST(test_jitter)
{
    static const apr_interval_time_t firsts[] = {1, 3, 100, 1000000, APR_INT64_C(86400000000)};
    static const apr_uint32_t randoms[] = {0, 1, 0x1234567, MIDDLE, 0xfffffffeu, 0xffffffffu};

    for (size_t i = 0; i < ETV_ROWS(firsts); i++) {
        apr_interval_time_t last = 0;

        for (size_t k = 0; k < ETV_ROWS(randoms); k++) {
            etv_backoff_t b;
            apr_interval_time_t wait;

            etv_backoff_init(&b, 1, firsts[i], firsts[i]);
            etv_backoff_failure(&b, 100, randoms[k]);
            wait = b.open_until_us - 100;
            ck_assert_int_ge(wait, firsts[i] - firsts[i] / 4);
            ck_assert_int_le(wait, firsts[i] + firsts[i] / 4 + 1);
            ck_assert_int_ge(wait, last);
            last = wait;
        }
    }
}
END_TEST

START_TEST(test_odd_settings)
{
    etv_backoff_t b;

    etv_backoff_init(&b, 0, 0, -5);
    ck_assert(etv_backoff_allows(&b, 0));
    ck_assert(etv_backoff_failure(&b, -1, MIDDLE));
    ck_assert(!etv_backoff_allows(&b, -1));
    ck_assert(etv_backoff_allows(&b, 1));
    b.failures = 2147483647;
    ck_assert(!etv_backoff_failure(&b, 1, MIDDLE));
    ck_assert(etv_backoff_allows(&b, 10));
}
END_TEST

int main(void)
{
    return etv_check_run(
        "backoff", (const TTest *[]){test_opens_at_threshold, test_success_starts_anew,
                                     test_one_probe, test_late_failures_change_nothing,
                                     test_doubles_to_most, test_jitter, test_odd_settings, NULL});
}
