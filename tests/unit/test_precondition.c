/* SPDX-License-Identifier: Apache-2.0 */
#include "precondition_rows.h"

START_TEST(test_no_condition)
{
    static const row_t rows[] = {
        {NOTHING, BARE, SEND},
        {NOTHING, TAG("\"a\""), SEND},
        {NOTHING, BOTH("\"a\"", D_47), SEND},
        {NOTHING, {.etag = "W/\"a-gzip\"", .identity_etag = "\"a\"", .own = 1}, SEND},
    };

    check_rows(rows, ETV_ROWS(rows));
    ck_assert(!etv_conditions_any(&rows[0].c));
    ck_assert(etv_conditions_any(&(etv_conditions_t)IM("")));
    ck_assert(etv_conditions_any(&(etv_conditions_t)INM("")));
    ck_assert(etv_conditions_any(&(etv_conditions_t)IMS("")));
    ck_assert(etv_conditions_any(&(etv_conditions_t)IUS("")));
    ck_assert(!etv_conditions_any(&(etv_conditions_t)RANGE_IF("\"a\"")));
}
END_TEST

/* §13.1.2, on which servers agree. */
START_TEST(test_if_none_match)
{
    static const row_t rows[] = {
        {INM("\"foo\""), TAG("\"foo\""), SAME, "\"foo\"", 0},
        {INM("\"foo\""), TAG("\"bar\""), SEND},
        {INM("\"Foo\""), TAG("\"foo\""), SEND},
        {INM("\"foo\""), BARE, SEND},
        {INM("\"foo\""), DATE(D_47), SEND},
        {INM(LONG_A), DATE(D_47), SEND},
        /* weak comparison, §8.8.3.2; the 304 has the tag as the 200 has it */
        {INM("W/\"foo\""), TAG("W/\"foo\""), SAME, "W/\"foo\"", 0},
        {INM("\"foo\""), TAG("W/\"foo\""), SAME, "W/\"foo\"", 0},
        {INM("W/\"foo\""), TAG("\"foo\""), SAME, "\"foo\"", 0},
        {INM("W/\"xyzzy1\""), TAG("W/\"xyzzy2\""), SEND},
        {INM("\"1\""), TAG("W/\"1\""), SAME, "W/\"1\"", 0},
        {INM("W/\"t\""), BOTH("\"t\"", D_47), SAME, "\"t\"", 0},
        /* lists */
        {INM(LONG_A), BOTH(LONG_A, D_47), SAME, LONG_A, 0},
        {INM(LONG_B), BOTH(LONG_A, D_47), SEND},
        {INM(LONG_A ", " LONG_B), BOTH(LONG_A, D_47), SAME, LONG_A, 0},
        {INM(LONG_B "," LONG_A), BOTH(LONG_A, D_47), SAME, LONG_A, 0},
        {INM("\"xyzzy1\", \"xyzzy2\""), TAG("\"xyzzy1\""), SAME, "\"xyzzy1\"", 0},
        {INM("\"xyzzy1\", \"xyzzy2\""), TAG("\"xyzzy\""), SEND},
        {INM("\"xyzzy1\""), TAG("\"xyzzy\""), SEND},
        {INM("W/\"xyzzy1\", W/\"xyzzy2\""), TAG("W/\"xyzzy3\""), SEND},
        {INM("\"\" ,  \"etag\", W/\"weak\""), TAG("\"etag\""), SAME, "\"etag\"", 0},
        {INM("\"\" ,  \"etag\", W/\"weak\""), TAG("\"\""), SAME, "\"\"", 0},
        {INM("\"\" ,  \"etag\", W/\"weak\""), TAG("W/\"weak\""), SAME, "W/\"weak\"", 0},
        {INM("\"a,b\", \"c\""), TAG("\"a,b\""), SAME, "\"a,b\"", 0},
        {INM("\"a,b\", \"c\""), TAG("\"b\""), SEND},
        {INM("\"x\", \"foo\""), TAG("\"foo\""), SAME, "\"foo\"", 0}, /* two lines of the field */
        {INM(" \t,, \"foo\" ,"), TAG("\"foo\""), SAME, "\"foo\"", 0},
        /* no list */
        {INM(""), TAG("\"foo\""), SEND},
        {INM(","), TAG("\"foo\""), SEND},
        {INM("foo"), TAG("\"foo\""), SEND},
        {INM("spam"), TAG("\"eggs\""), SEND},
        {INM("\"foo"), TAG("\"foo\""), SEND},
        {INM("w/\"foo\""), TAG("\"foo\""), SEND},
        {INM("\"\"\""), TAG(LONG_A), SEND},
        {INM("\"\"\""), TAG("\"\""), SEND},
        {INM("\"etag\", \"e\\\"t\\\"ag\""), TAG("\"etag\""), SAME, "\"etag\"", 0},
        {INM("\"etag\", \"e\\\"t\\\"ag\""), TAG("\"e\""), SEND},
        {INM("\"foo\", \"bar\", W/\"baz\", blar"), TAG("\"bar\""), SAME, "\"bar\"", 0},
        {INM("blar, \"bar\""), TAG("\"bar\""), SEND},
        /* any */
        {INM("*"), BOTH(LONG_A, D_47), SAME, LONG_A, 0},
        {INM("*"), TAG("W/\"xyzzy\""), SAME, "W/\"xyzzy\"", 0},
        {INM(" *\t"), BARE, SAME, NULL, 0},
        {INM("*"), DATE(D_47), SAME, NULL, 0},
        {INM("*"), TAG("no tag"), SAME, "no tag", 0},
        {INM("\"*\""), TAG("\"xyzzy\""), SEND},
        {INM("*, \"foo\""), TAG("\"foo\""), SEND},
        {INM("\"foo\", *"), TAG("\"bar\""), SEND},
        {INM("\"foo\", *"), TAG("\"foo\""), SAME, "\"foo\"", 0},
        /* a representation whose tag is none, or several */
        {INM("1234"), TAG("1234"), SEND},
        {INM("\"1234\""), TAG("1234"), SEND},
        {INM("\"a\""), TAG("\"a\", \"b\""), SEND},
        {INM("\"a\""), TAG(",\"a\""), SEND},
        {INM("\"a\""), TAG("\"a\","), SEND},
        {INM("*"), TAG(""), SAME, "", 0},
        {INM("\"a\""), TAG("*"), SEND},
        {INM("\"a\""), TAG(" \"a\" "), SAME, " \"a\" ", 0},
    };

    check_rows(rows, ETV_ROWS(rows));
}
END_TEST

/* §13.1.1 */
START_TEST(test_if_match)
{
    static const row_t rows[] = {
        {IM("\"foo\""), TAG("\"foo\""), SEND},
        {IM("\"foo\""), BOTH("\"t\"", D_47), FAIL},
        {IM("\"foo\""), BARE, FAIL},
        {IM("\"Z\", \"A\""), TAG("\"A\""), SEND},
        {IM("\"foo\", \"bar\", \t\"t\" , \"baz\""), BOTH("\"t\"", D_47), SEND},
        {IM("\"foo\", \"bar\", \"s\""), BOTH("\"s\"", D_47), SEND},
        {IM(" \"foo\",, \"bar\" ,"), BOTH("\"s\"", D_47), FAIL},
        /* strong comparison, §8.8.3.2 */
        {IM("W/\"A\""), TAG("W/\"A\""), FAIL},
        {IM("\"A\""), TAG("W/\"A\""), FAIL},
        {IM("W/\"A\""), TAG("\"A\""), FAIL},
        {IM("W/\"t\""), BOTH("\"t\"", D_47), FAIL},
        {IM(LONG_A), TAG("W/" LONG_A), FAIL},
        {IM("W/" LONG_A), TAG("W/" LONG_A), FAIL},
        {IM("W/" LONG_A), BOTH(LONG_A, D_47), FAIL},
        {IM("W/\"1\""), TAG("W/\"1\""), FAIL},
        {IM("W/\"A\", \"A\""), TAG("\"A\""), SEND},
        /* any */
        {IM("*"), TAG("\"A\""), SEND},
        {IM("*"), BOTH("W/\"t\"", D_47), SEND},
        {IM(" * "), BARE, SEND},
        {IM("*, \"x\""), TAG("\"A\""), FAIL},
        {IM("\"*\""), TAG("\"A\""), FAIL},
        /* what can be read counts, and nothing matches nothing */
        {IM("\"A\", nonsense"), TAG("\"A\""), SEND},
        {IM("nonsense, \"A\""), TAG("\"A\""), FAIL},
        {IM("A"), TAG("\"A\""), FAIL},
        {IM(""), TAG("\"A\""), FAIL},
        {IM(","), TAG("\"A\""), FAIL},
        {IM("\"a\""), TAG("\"a\", \"b\""), FAIL},
        /* what httpd encoded answers to the tag of what it encoded */
        {IM("\"a\""), {.etag = "W/\"a-gzip\"", .identity_etag = "\"a\""}, SEND},
        {IM("\"b\""), {.etag = "W/\"a-gzip\"", .identity_etag = "\"a\""}, FAIL},
        {IM("\"a\""), {.etag = "W/\"a-gzip\"", .identity_etag = "W/\"a\""}, FAIL},
        {IM("W/\"a\""), {.etag = "W/\"a-gzip\"", .identity_etag = "\"a\""}, FAIL},
        {IM("\"a-gzip\""), {.etag = "W/\"a-gzip\"", .identity_etag = "\"a\""}, FAIL},
        {IM("\"a-gzip\""), {.etag = "\"a-gzip\"", .identity_etag = "\"a\""}, SEND},
        {IM("\"a\""), {.identity_etag = "\"a\""}, SEND},
    };

    check_rows(rows, ETV_ROWS(rows));
}
END_TEST

/* §13.1.3 */
START_TEST(test_if_modified_since)
{
    static const row_t rows[] = {
        {IMS(D_2000), DATE(D_2000_01), SEND},
        {IMS(D_2000_01), DATE(D_2000), SAME, NULL, 0},
        {IMS(D_47), DATE(D_47), SAME, NULL, 0},
        {IMS(D_YEARS_AFTER), DATE(D_47), SAME, NULL, 0},
        {IMS(D_46), BOTH("\"h\"", D_47), SEND},
        {IMS(D_47), BOTH("\"h\"", D_47), SAME, "\"h\"", 0},
        {IMS(D_48), BOTH("\"h\"", D_47), SAME, "\"h\"", 0},
        {IMS(D_47), BOTH("W/\"h\"", D_47), SAME, "W/\"h\"", 0},
        {IMS(D_47), BOTH(LONG_A, D_47), SAME, LONG_A, 0},
        {IMS(D_YEARS_AFTER), BOTH(LONG_A, D_47), SAME, LONG_A, 0},
        {IMS("Sat, 12 Feb 2011 17:38:44 GMT"), DATE("Sat, 12 Feb 2011 17:35:44 GMT"), SAME, NULL,
         0},
        {IMS("Tue, 19 Jan 2038 03:14:07 GMT"), BOTH("\"t\"", D_47), SAME, "\"t\"", 0},
        {IMS("Tue, 19 Jan 2038 03:14:08 GMT"), BOTH("\"t\"", D_47), SAME, "\"t\"", 0},
        /* a date in the future is one */
        {IMS(D_2480), DATE(D_47), SAME, NULL, 0},
        {IMS(D_47), DATE(D_2480), SEND},
        {IMS(D_2480), DATE(D_2480), SAME, NULL, 0},
        {IMS("Thu, 07 Feb 2174 06:28:16 GMT"), DATE("Thu, 07 Feb 2174 06:28:16 GMT"), SAME, NULL,
         0},
        /* so is one long ago */
        {IMS("Thu, 01 Jan 1970 00:00:00 GMT"), DATE("Thu, 01 Jan 1970 00:00:00 GMT"), SAME, NULL,
         0},
        {IMS("Thu, 01 Jan 1970 00:00:00 GMT"), DATE(D_47), SEND},
        {IMS(D_47), DATE("Thu, 01 Jan 1970 00:00:00 GMT"), SAME, NULL, 0},
        /* the three forms of §5.6.7 */
        {IMS("Sunday, 21-Oct-07 23:21:47 GMT"), DATE(D_47), SAME, NULL, 0},
        {IMS("Sunday, 21-Oct-07 23:21:46 GMT"), DATE(D_47), SEND},
        {IMS("Sun Oct 21 23:21:47 2007"), DATE(D_47), SAME, NULL, 0},
        {IMS("Sun Oct 21 23:21:46 2007"), DATE(D_47), SEND},
        {IMS(D_47), DATE("Sun Oct 21 23:21:47 2007"), SAME, NULL, 0},
        {IMS(" " D_47 "\t"), DATE(D_47), SAME, NULL, 0},
        /* ignored: no modification date, or one that is none */
        {IMS(D_2000), BARE, SEND},
        {IMS("Sat, 12 Feb 2011 17:38:44 GMT"), BARE, SEND},
        {IMS(D_47), TAG("\"h\""), SEND},
        {IMS(D_2000), DATE("foo"), SEND},
        {IMS(D_47), DATE("1234"), SEND},
        {IMS("foo"), DATE("foo"), SEND},
        {IMS(D_47), DATE(D_47 ", " D_47), SEND},
        /* ignored: not one date */
        {IMS("foo"), DATE(D_2000), SEND},
        {IMS(""), DATE(D_47), SEND},
        {IMS("!nv@l!d"), BOTH("\"h\"", D_47), SEND},
        {IMS("2007-10-21 23:21:47 +0000"), DATE(D_47), SEND},
        {IMS(D_47 "; length=100"), DATE(D_47), SEND},
        {IMS(D_47 ", " D_47), DATE(D_47), SEND},
        {IMS("1193008907"), DATE(D_47), SEND},
        {IMS("*"), DATE(D_47), SEND},
        /* what httpd encoded has the date of what it encoded */
        {IMS(D_47),
         {.etag = "W/\"a-gzip\"", .identity_etag = "\"a\"", .last_modified = D_47},
         SAME,
         "W/\"a-gzip\"",
         0},
    };

    check_rows(rows, ETV_ROWS(rows));
}
END_TEST

/* §13.1.4 */
START_TEST(test_if_unmodified_since)
{
    static const row_t rows[] = {
        {IUS(D_47), DATE(D_47), SEND},
        {IUS(D_47), BOTH(LONG_A, D_47), SEND},
        {IUS(D_YEARS_AFTER), BOTH(LONG_A, D_47), SEND},
        {IUS(D_48), DATE(D_47), SEND},
        {IUS(D_46), DATE(D_47), FAIL},
        {IUS(D_DAY_BEFORE), BOTH(LONG_A, D_47), FAIL},
        {IUS(D_2480), DATE(D_47), SEND},
        {IUS("Sat Oct 20 23:21:47 2007"), DATE(D_47), FAIL},
        {IUS("Saturday, 20-Oct-07 23:21:47 GMT"), DATE(D_47), FAIL},
        {IUS("Thu, 01 Jan 1970 00:00:00 GMT"), DATE(D_47), FAIL},
        /* ignored */
        {IUS(D_DAY_BEFORE), BARE, SEND},
        {IUS(D_DAY_BEFORE), TAG(LONG_A), SEND},
        {IUS(D_DAY_BEFORE), DATE("foo"), SEND},
        {IUS("foo"), DATE(D_47), SEND},
        {IUS(""), DATE(D_47), SEND},
        {IUS(D_DAY_BEFORE ", " D_DAY_BEFORE), DATE(D_47), SEND},
        {IUS(D_DAY_BEFORE " x"), DATE(D_47), SEND},
        {IUS("2007-10-20 23:21:47 +0000"), DATE(D_47), SEND},
    };

    check_rows(rows, ETV_ROWS(rows));
}
END_TEST

#define FOUR(im, ius, inm, ims)                                                                    \
    {.if_match = im, .if_unmodified_since = ius, .if_none_match = inm, .if_modified_since = ims}

/* §13.2.2: which of several decides. */
START_TEST(test_order)
{
    static const row_t rows[] = {
        /* If-Modified-Since is not looked at beside If-None-Match */
        {FOUR(NULL, NULL, "\"foo\"", D_2000_01), BOTH("\"foo\"", D_2000), SAME, "\"foo\"", 0},
        {FOUR(NULL, NULL, "\"foo\"", D_2000), BOTH("\"foo\"", D_2000_01), SAME, "\"foo\"", 0},
        {FOUR(NULL, NULL, "\"foo\"", D_2000_01), BOTH("\"bar\"", D_2000), SEND},
        {FOUR(NULL, NULL, "\"foo\"", D_2000), BOTH("\"bar\"", D_2000_01), SEND},
        {FOUR(NULL, NULL, LONG_A, D_DAY_BEFORE), BOTH(LONG_A, D_47), SAME, LONG_A, 0},
        {FOUR(NULL, NULL, LONG_B, D_DAY_BEFORE), BOTH(LONG_A, D_47), SEND},
        {FOUR(NULL, NULL, LONG_B, D_47), BOTH(LONG_A, D_47), SEND},
        {FOUR(NULL, NULL, LONG_A, D_47), BOTH(LONG_A, D_47), SAME, LONG_A, 0},
        {FOUR(NULL, NULL, "\"foo\"", D_47), DATE(D_47), SEND},
        {FOUR(NULL, NULL, "", D_47), BOTH("\"foo\"", D_47), SEND},
        {FOUR(NULL, NULL, "nonsense", D_47), BOTH("\"foo\"", D_47), SEND},
        {FOUR(NULL, NULL, "\"foo\"", "nonsense"), BOTH("\"foo\"", D_47), SAME, "\"foo\"", 0},
        /* If-Unmodified-Since is not looked at beside If-Match */
        {FOUR(LONG_A, D_47, NULL, NULL), BOTH(LONG_A, D_47), SEND},
        {FOUR(LONG_A, D_DAY_BEFORE, NULL, NULL), BOTH(LONG_A, D_47), SEND},
        {FOUR("\"A\"", D_DAY_BEFORE, NULL, NULL), BOTH("\"A\"", D_47), SEND},
        {FOUR("*", D_DAY_BEFORE, NULL, NULL), BOTH("\"A\"", D_47), SEND},
        {FOUR(LONG_B, D_DAY_BEFORE, NULL, NULL), BOTH(LONG_A, D_47), FAIL},
        {FOUR(LONG_B, D_47, NULL, NULL), BOTH(LONG_A, D_47), FAIL},
        {FOUR("", D_47, NULL, NULL), BOTH(LONG_A, D_47), FAIL},
        /* 412 comes before 304 */
        {FOUR("\"1\"", NULL, "\"1\"", NULL), TAG("\"1\""), SAME, "\"1\"", 0},
        {FOUR("\"2\"", NULL, "\"1\"", NULL), TAG("\"1\""), FAIL},
        {FOUR("\"1\"", NULL, "\"2\"", NULL), TAG("\"1\""), SEND},
        {FOUR("\"2\"", NULL, "\"2\"", NULL), TAG("\"1\""), FAIL},
        {FOUR("\"1\"", NULL, NULL, D_47), BOTH("\"1\"", D_47), SAME, "\"1\"", 0},
        {FOUR("\"2\"", NULL, NULL, D_47), BOTH("\"1\"", D_47), FAIL},
        {FOUR(NULL, D_47, "\"1\"", NULL), BOTH("\"1\"", D_47), SAME, "\"1\"", 0},
        {FOUR(NULL, D_46, "\"1\"", NULL), BOTH("\"1\"", D_47), FAIL},
        {FOUR(NULL, "nonsense", "\"1\"", NULL), BOTH("\"1\"", D_47), SAME, "\"1\"", 0},
        {FOUR(NULL, D_46, NULL, D_47), BOTH("\"1\"", D_47), FAIL},
        {FOUR(NULL, D_47, NULL, D_47), BOTH("\"1\"", D_47), SAME, "\"1\"", 0},
        {FOUR(NULL, D_47, NULL, D_46), BOTH("\"1\"", D_47), SEND},
        /* all four */
        {FOUR("\"1\"", D_46, "\"2\"", D_47), BOTH("\"1\"", D_47), SEND},
        {FOUR("\"1\"", D_46, "\"1\"", D_46), BOTH("\"1\"", D_47), SAME, "\"1\"", 0},
        {FOUR("\"2\"", D_47, "\"1\"", D_47), BOTH("\"1\"", D_47), FAIL},
        {FOUR("*", D_46, "*", D_46), BOTH("\"1\"", D_47), SAME, "\"1\"", 0},
    };

    check_rows(rows, ETV_ROWS(rows));
}
END_TEST

/* §13.1.5 and step 5 of §13.2.2. */
START_TEST(test_range)
{
    static const row_t rows[] = {
        {RANGE, TAG("\"A\""), PART},
        {RANGE, BARE, PART},
        {{.range = "bytes=1000-2000"}, TAG("\"A\""), PART}, /* which is 416 */
        {{.if_range = "\"A\""}, TAG("\"A\""), SEND},
        /* a tag: strong comparison */
        {RANGE_IF("\"A\""), TAG("\"A\""), PART},
        {RANGE_IF(" \"A\"\t"), TAG("\"A\""), PART},
        {RANGE_IF("\"B\""), TAG("\"A\""), SEND},
        {RANGE_IF("W/\"A\""), TAG("W/\"A\""), SEND},
        {RANGE_IF("\"A\""), TAG("W/\"A\""), SEND},
        {RANGE_IF("W/\"A\""), TAG("\"A\""), SEND},
        {RANGE_IF("W/\"Test\""), TAG("\"Test\""), SEND},
        {RANGE_IF("\"A\""), BARE, SEND},
        {RANGE_IF("\"A\""), DATE(D_47), SEND},
        {RANGE_IF("\"A\""), TAG("A"), SEND},
        /* one tag, nothing else */
        {RANGE_IF("\"A\", \"A\""), TAG("\"A\""), SEND},
        {RANGE_IF("\"A\","), TAG("\"A\""), SEND},
        {RANGE_IF(",\"A\""), TAG("\"A\""), SEND},
        {RANGE_IF("*"), TAG("\"A\""), SEND},
        {RANGE_IF("A"), TAG("\"A\""), SEND},
        {RANGE_IF(""), TAG("\"A\""), SEND},
        {RANGE_IF("wrong"), BOTH("\"t\"", D_47), SEND},
        {RANGE_IF("wrong"), TAG("\"t\""), SEND},
        {RANGE_IF("foo"), BOTH("\"s\"", D_47), SEND},
        {RANGE_IF("foo"), DATE("foo"), SEND},
        /* a date: this one */
        {RANGE_IF("Wed, 25 Jun 2014 17:12:18 GMT"), DATE("Wed, 25 Jun 2014 17:12:18 GMT"), PART},
        {RANGE_IF("Wed, 25 Jun 2014 17:12:19 GMT"), DATE("Wed, 25 Jun 2014 17:12:18 GMT"), SEND},
        {RANGE_IF("Mon, 28 Sep 1970 06:00:00 GMT"), DATE("Mon, 28 Sep 1970 06:00:00 GMT"), PART},
        {RANGE_IF("Thu, 01 Jan 1970 00:00:00 GMT"), DATE("Thu, 01 Jan 1970 00:00:00 GMT"), PART},
        {RANGE_IF(D_47), BOTH("\"s\"", D_47), PART},
        {RANGE_IF(D_DAY_BEFORE), BOTH("\"s\"", D_47), SEND},
        {RANGE_IF(D_48), BOTH("\"s\"", D_47), SEND},
        {RANGE_IF(D_47), TAG("\"s\""), SEND},
        {RANGE_IF(D_47), DATE("foo"), SEND},
        {RANGE_IF(D_47 ", " D_47), DATE(D_47), SEND},
        {RANGE_IF("Sun Oct 21 23:21:47 2007"), DATE(D_47), PART},
        /* what httpd encoded has other bytes each time: neither its tag nor the date is enough */
        {RANGE_IF(D_47),
         {.etag = "W/\"a-gzip\"", .identity_etag = "\"a\"", .last_modified = D_47},
         SEND},
        {RANGE_IF(D_47), {.identity_etag = "\"a\"", .last_modified = D_47}, SEND},
        {RANGE_IF(D_47), {.etag = "\"a\"", .identity_etag = "\"a\"", .last_modified = D_47}, PART},
        {RANGE_IF("\"a\""), {.etag = "W/\"a-gzip\"", .identity_etag = "\"a\""}, SEND},
        /* content tags, and version tags */
        {RANGE_IF(C), {.etag = C, .own = 1}, PART},
        {RANGE_IF(C), {.etag = C}, PART},
        {RANGE_IF("\"c" T2 "\""), {.etag = C, .own = 1}, SEND},
        {RANGE_IF("\"h" T "\""), {.etag = "\"h" T "\"", .own = 1}, PART},
        {RANGE_IF("\"v" T "\""), {.etag = "\"v" T "\"", .own = 1}, SEND},
        {RANGE_IF("\"u" T "\""), {.etag = "\"u" T "\"", .own = 1}, SEND},
        {RANGE_IF("\"v" T "\""), {.etag = "\"v" T "\""}, SEND},
        {RANGE_IF("\"v" T "-x\""), {.etag = "\"v" T "-x\""}, SEND},
        {RANGE_IF("\"v" T "x\""), {.etag = "\"v" T "x\""}, PART},
        {RANGE_IF("\"v1\""), TAG("\"v1\""), PART},
        /* beside conditions: step 5 comes when they hold */
        {{.range = "bytes=1-4", .if_none_match = "\"h\""}, BOTH("\"h\"", D_47), SAME, "\"h\"", 0},
        {{.range = "bytes=1-4", .if_none_match = "\"x\""}, BOTH("\"h\"", D_47), PART},
        {{.range = "bytes=1-4", .if_modified_since = D_46}, BOTH("\"h\"", D_47), PART},
        {{.range = "bytes=1-4", .if_modified_since = D_47}, BOTH("\"h\"", D_47), SAME, "\"h\"", 0},
        {{.range = "bytes=1-4", .if_match = "\"h\""}, BOTH("\"h\"", D_47), PART},
        {{.range = "bytes=1-4", .if_match = "\"x\""}, BOTH("\"h\"", D_47), FAIL},
        {{.range = "bytes=1-4", .if_unmodified_since = D_46}, BOTH("\"h\"", D_47), FAIL},
        {{.range = "bytes=1-4", .if_range = "\"x\"", .if_match = "\"h\""}, TAG("\"h\""), SEND},
        {{.range = "bytes=1-4", .if_range = "\"h\"", .if_match = "\"h\""}, TAG("\"h\""), PART},
    };

    check_rows(rows, ETV_ROWS(rows));
}
END_TEST

START_TEST(test_is_content_tag)
{
    static const struct {
        const char *value;
        int is;
    } rows[] = {
        {C, 1},
        {" " C "\t", 1},
        {"W/" C, 1},
        {C_X "gzip\"", 1},
        {"\"c" T2 "\"", 1},
        {NULL, 0},
        {"", 0},
        {"*", 0},
        {D_47, 0},
        {"c" T, 0},
        {"\"v" T "\"", 0},
        {"\"u" T "\"", 0},
        {"\"h" T "\"", 0},
        {"\"x" T "\"", 0},
        {"\"c" T "x\"", 0},
        {"\"cAbCd\"", 0},
        {"\"c" T "-\"", 0},
        {C ",", 0},
        {"," C, 0},
        {C ", " C, 0},
        {C "x", 0},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        ck_assert_msg(etv_precondition_is_content_tag(rows[i].value) == rows[i].is, "[%s]",
                      rows[i].value);
    }
}
END_TEST

int main(void)
{
    return etv_check_run("precondition",
                         (const TTest *[]){test_no_condition, test_if_none_match, test_if_match,
                                           test_if_modified_since, test_if_unmodified_since,
                                           test_order, test_range, test_is_content_tag, NULL});
}
