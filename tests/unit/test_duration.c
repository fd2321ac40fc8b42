/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_check.h"

#include "core/duration.h"

#define DAY_US (APR_INT64_C(86400) * 1000000)

START_TEST(test_parse)
{
    static const struct {
        const char *text;
        apr_interval_time_t us; /* -1: wrong */
    } rows[] = {
        {"0", 0},
        {"0ms", 0},
        {"2", 2000000},
        {"007s", 7000000},
        {"250ms", 250000},
        {"2s", 2000000},
        {"5m", APR_INT64_C(300000000)},
        {"1h", APR_INT64_C(3600000000)},
        {"7d", 7 * DAY_US},
        {"3650d", 3650 * DAY_US},
        {"315360000", 3650 * DAY_US},
        {"315360000000ms", 3650 * DAY_US},
        {"3651d", -1},
        {"315360001", -1},
        {"315360000001ms", -1},
        {"99999999999999999999999999999", -1},
        {"18446744073709551617", -1},
        {NULL, -1},
        {"", -1},
        {"s", -1},
        {"-1s", -1},
        {"+1s", -1},
        {" 1s", -1},
        {"1 s", -1},
        {"1s ", -1},
        {"1.5s", -1},
        {"1S", -1},
        {"1us", -1},
        {"1min", -1},
        {"1h30m", -1},
        {"0x1s", -1},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        apr_interval_time_t us = -1;

        ck_assert_int_eq(etv_duration_parse(rows[i].text, &us), rows[i].us >= 0);
        ck_assert_int_eq(us, rows[i].us);
    }
}
END_TEST

int main(void)
{
    return etv_check_run("duration", (const TTest *[]){test_parse, NULL});
}
