/* SPDX-License-Identifier: Apache-2.0 */
#include "core/token.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(make_is_time_and_chance)
{
    static const struct {
        apr_time_t now;
        apr_uint32_t random;
        apr_uint64_t token;
    } row[] = {{0, 0, 0},
               {1, 0, 1000},
               {1, 999, 1999},
               {1, 1000, 1000},
               {1, 4294967295u, 1295},
               {-5, 7, 7},
               {1785000000000000, 123, 1785000000000000123u}};

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        ck_assert_uint_eq(etv_token_make(row[i].now, row[i].random), row[i].token);
    }
}
END_TEST

START_TEST(after_never_repeats)
{
    apr_uint64_t last = 0;

    ck_assert_uint_eq(etv_token_after(0, 5, 1), 5001);
    ck_assert_uint_eq(etv_token_after(5000, 5, 1), 5001);
    ck_assert_uint_eq(etv_token_after(5001, 5, 1), 5002); /* the clock stands still */
    ck_assert_uint_eq(etv_token_after(9000, 5, 1), 9001); /* it stepped back */
    ck_assert_uint_eq(etv_token_after(9000, 10, 0), 10000);
    for (int i = 0; i < 5000; i++) {
        apr_uint64_t next = etv_token_after(last, 1000 - i, (apr_uint32_t)i * 7919u);

        ck_assert_uint_gt(next, last);
        last = next;
    }
}
END_TEST

START_TEST(format_writes_digits)
{
    static const struct {
        apr_uint64_t token;
        const char *text;
    } row[] = {{0, "0"},
               {9, "9"},
               {10, "10"},
               {1785000000000000123u, "1785000000000000123"},
               {18446744073709551615u, "18446744073709551615"}};

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        char text[ETV_TOKEN_TEXT_ROOM];

        ck_assert_uint_eq(etv_token_format(text, row[i].token), strlen(row[i].text));
        ck_assert_str_eq(text, row[i].text);
    }
}
END_TEST

START_TEST(stays_below_two_to_63_until_2262)
{
    apr_time_t year_2262 = (apr_time_t)9214646400 * 1000000;

    ck_assert_uint_lt(etv_token_make(year_2262, 999), (apr_uint64_t)1 << 63);
}
END_TEST

START_TEST(short_forms_differ_as_tokens_do)
{
    unsigned char token[600], out[ETV_TOKEN_SHORT_MOST + 1], other[ETV_TOKEN_SHORT_MOST];

    for (size_t i = 0; i < sizeof(token); i++) {
        token[i] = (unsigned char)(i * 7);
    }
    for (apr_size_t len = 0; len <= sizeof(token); len++) {
        apr_size_t wanted = len < ETV_TOKEN_SHORT_MOST ? len : ETV_TOKEN_SHORT_MOST;

        memset(out, 0xee, sizeof(out));
        ck_assert_uint_eq(etv_token_shorten(out, token, len), wanted);
        ck_assert_uint_eq(out[wanted], 0xee); /* nothing behind its end */
        if (len < ETV_TOKEN_SHORT_MOST) {
            ck_assert_mem_eq(out, token, len);
        } else {
            ck_assert_mem_ne(out, token, ETV_TOKEN_SHORT_MOST);
        }
        if (len) { /* every byte counts, and so does the length */
            token[len - 1] ^= 1;
            ck_assert_uint_eq(etv_token_shorten(other, token, len), wanted);
            ck_assert_mem_ne(out, other, wanted);
            token[len - 1] ^= 1;
            if (len > ETV_TOKEN_SHORT_MOST) {
                etv_token_shorten(other, token, len - 1);
                ck_assert_mem_ne(out, other, ETV_TOKEN_SHORT_MOST);
            }
        }
    }
    /* No token of another length is the short form of a longer one. */
    etv_token_shorten(out, token, sizeof(token));
    ck_assert_uint_eq(etv_token_shorten(other, out, ETV_TOKEN_SHORT_MOST), ETV_TOKEN_SHORT_MOST);
    ck_assert_mem_ne(out, other, ETV_TOKEN_SHORT_MOST);
    ck_assert_uint_eq(etv_token_shorten(out, "", 0), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("token");
    TCase *tc = tcase_create("token");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_add_test(tc, make_is_time_and_chance);
    tcase_add_test(tc, after_never_repeats);
    tcase_add_test(tc, format_writes_digits);
    tcase_add_test(tc, stays_below_two_to_63_until_2262);
    tcase_add_test(tc, short_forms_differ_as_tokens_do);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
