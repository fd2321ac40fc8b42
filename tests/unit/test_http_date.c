/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_check.h"

#include <apr_date.h>
#include <apr_strings.h>
#include <apr_time.h>

#include "core/http_date.h"

START_TEST(test_forms)
{
    static const char *const rows[] = {
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        /* OWS around it */
        " \tSun, 06 Nov 1994 08:49:37 GMT \t",
        "\tSunday, 06-Nov-94 08:49:37 GMT\t",
        "  Sun Nov  6 08:49:37 1994  ",
        /* the weekday may be another one */
        "Mon, 06 Nov 1994 08:49:37 GMT",
        "Wednesday, 06-Nov-94 08:49:37 GMT",
        "Sat Nov 06 08:49:37 1994",
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        etv_http_date_t first, date;

        ck_assert(etv_http_date_parse(rows[0], &first));
        ck_assert_msg(etv_http_date_parse(rows[i], &date), "[%s]", rows[i]);
        ck_assert_msg(date == first, "[%s]", rows[i]);
    }
}
END_TEST

START_TEST(test_no_date)
{
    static const char *const rows[] = {
        NULL,
        "",
        " \t",
        "foo",
        "0",
        "1234",
        "784111777",
        "!nv@l!d",
        "*",
        "2007-10-21 23:21:47 +0000",
        "2007-10-21T23:21:47Z",
        /* something before, behind, between */
        "Sun, 06 Nov 1994 08:49:37 GMT; length=1",
        "Sun, 06 Nov 1994 08:49:37 GMT+1",
        "Sun, 06 Nov 1994 08:49:37 GMTx",
        "Sun, 06 Nov 1994 08:49:37 GMT,",
        ",Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
        "\"Sun, 06 Nov 1994 08:49:37 GMT\"",
        "Sun Nov  6 08:49:37 1994 GMT",
        "Sun Nov  6 08:49:37 19945",
        "Sunday, 06-Nov-94 08:49:37 GMT Sunday",
        "Sun, 06 Nov 1994 08:49:37 GMT\n",
        "\vSun, 06 Nov 1994 08:49:37 GMT",
        "Sun,  06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994  08:49:37 GMT",
        "Sun,\t06 Nov 1994 08:49:37 GMT",
        "Sun,06 Nov 1994 08:49:37 GMT",
        "Sun 06 Nov 1994 08:49:37 GMT",
        "06 Nov 1994 08:49:37 GMT",
        /* cut short */
        "Su",
        "Sun",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 GM",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sun, 06 Nov 1994",
        "Sun Nov  6 08:49:37 199",
        "Sun Nov ",
        /* other zones */
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 06 Nov 1994 08:49:37 EST",
        /* case matters, §5.6.7 */
        "sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 NOV 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 gmt",
        "SUNDAY, 06-Nov-94 08:49:37 GMT",
        /* parts of another form */
        "Sunday, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sunday Nov  6 08:49:37 1994",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov   6 08:49:37 1994",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun,  6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 08.49.37 GMT",
        /* names and numbers that are none */
        "Son, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nob 1994 08:49:37 GMT",
        "Sun, 06 anF 1994 08:49:37 GMT",
        "X, 06 Nov 1994 08:49:37 GMT",
        "X, 06-Nov-94 08:49:37 GMT",
        "X Nov  6 08:49:37 1994",
        "Sun, 06 X 1994 08:49:37 GMT",
        "Sun, 06 ",
        "Sun, 06 Nov 1994 0x:49:37 GMT",
        "Sun, 0: Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1/94 08:49:37 GMT",
        "Sun, 06 Nov -994 08:49:37 GMT",
        "Sun, 06 Nov 11994 08:49:37 GMT",
        /* what does not exist */
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 32 Jan 1994 08:49:37 GMT",
        "Sun Nov  0 08:49:37 1994",
        "Sun Nov 31 08:49:37 1994",
        "Sunday, 31-Nov-94 08:49:37 GMT",
        "Mon, 29 Feb 2010 00:00:00 GMT",
        "Mon, 29 Feb 2100 00:00:00 GMT",
        "Mon, 30 Feb 2000 00:00:00 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
    };
    etv_http_date_t date = 42;

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        ck_assert_msg(!etv_http_date_parse(rows[i], &date), "[%s]", rows[i]);
        ck_assert_int_eq(date, 42);
    }
}
END_TEST

/* Each row is later than the one before it. */
START_TEST(test_order)
{
    static const char *const rows[] = {
        "Sat, 01 Jan 0000 00:00:00 GMT",    "Mon Dec 31 23:59:59 1900",
        "Wed, 31 Dec 1969 23:59:59 GMT",    "Thu, 01 Jan 1970 00:00:00 GMT",
        "Thursday, 01-Jan-70 00:00:01 GMT", "Mon, 28 Sep 1970 06:00:00 GMT",
        "Friday, 31-Dec-99 23:59:59 GMT",   "Saturday, 01-Jan-00 00:00:00 GMT",
        "Tue, 29 Feb 2000 00:00:00 GMT",    "Wed Mar  1 00:00:00 2000",
        "Sun, 21 Oct 2007 23:21:46 GMT",    "Sun, 21 Oct 2007 23:21:47 GMT",
        "Sun, 21 Oct 2007 23:22:00 GMT",    "Wed, 29 Feb 2012 12:00:00 GMT",
        "Sat, 31 Dec 2016 23:59:59 GMT",    "Sat, 31 Dec 2016 23:59:60 GMT",
        "Sun, 01 Jan 2017 00:00:00 GMT",    "Tue, 19 Jan 2038 03:14:07 GMT",
        "Tue, 19 Jan 2038 03:14:08 GMT",    "Tuesday, 31-Dec-69 23:59:59 GMT",
        "Wed, 01 Jan 2070 00:00:00 GMT",    "Thu, 07 Feb 2174 06:28:16 GMT",
        "Mon, 01 Jan 2480 00:00:00 GMT",    "Fri, 31 Dec 9999 23:59:59 GMT",
    };
    etv_http_date_t before, date;

    ck_assert(etv_http_date_parse(rows[0], &before));
    for (size_t i = 1; i < ETV_ROWS(rows); i++) {
        ck_assert_msg(etv_http_date_parse(rows[i], &date), "[%s]", rows[i]);
        ck_assert_msg(date > before, "[%s]", rows[i]);
        before = date;
    }
}
END_TEST

/* APR writes and reads the first form, too. From 1970 to 2500, in steps of a week and some seconds
 * less. */
START_TEST(test_beside_apr)
{
    const apr_int64_t step = 7 * 86400 - 17, last = APR_INT64_C(16725225600);
    etv_http_date_t before = -1, date, again;

    for (apr_int64_t second = 1; second < last; second += step) {
        static const char *const names[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                            "Thursday", "Friday", "Saturday"};
        static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        char text[APR_RFC822_DATE_LEN];
        apr_time_exp_t parts;

        ck_assert_int_eq(apr_rfc822_date(text, apr_time_from_sec(second)), APR_SUCCESS);
        ck_assert_msg(etv_http_date_parse(text, &date), "[%s]", text);
        ck_assert_int_eq(apr_date_parse_http(text), apr_time_from_sec(second));
        ck_assert_msg(date > before, "[%s]", text);
        before = date;

        apr_time_exp_gmt(&parts, apr_time_from_sec(second));
        apr_pool_clear(pool);
        ck_assert(
            etv_http_date_parse(apr_psprintf(pool, "%s %s %2d %02d:%02d:%02d %04d", "Mon",
                                             months[parts.tm_mon], parts.tm_mday, parts.tm_hour,
                                             parts.tm_min, parts.tm_sec, 1900 + parts.tm_year),
                                &again));
        ck_assert_msg(again == date, "[%s]", text);
        ck_assert(etv_http_date_parse(apr_psprintf(pool, "%s, %02d-%s-%02d %02d:%02d:%02d GMT",
                                                   names[parts.tm_wday], parts.tm_mday,
                                                   months[parts.tm_mon], parts.tm_year % 100,
                                                   parts.tm_hour, parts.tm_min, parts.tm_sec),
                                      &again));
        ck_assert_msg((again == date) == (parts.tm_year < 170), "[%s]", text);
    }
}
END_TEST

int main(void)
{
    return etv_check_run("http_date", (const TTest *[]){test_forms, test_no_date, test_order,
                                                        test_beside_apr, NULL});
}
