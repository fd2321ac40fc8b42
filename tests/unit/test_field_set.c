/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_check.h"

#include <apr_date.h>
#include <apr_strings.h>

#include "core/field_set.h"

#define DATE  "Sat, 06 Nov 2004 08:49:37 GMT"
#define LATER "Sat, 06 Nov 2004 09:49:37 GMT"

#define FOUR(text)      text text text text
#define SEVENTEEN(text) FOUR(FOUR(text)) text

/* The text of the three that every response may have. */
static const char *text_of(const char *cache_control, const char *expires, const char *vary)
{
    etv_field_set_field_t fields[] = {
        {"Cache-Control", cache_control}, {"Expires", expires}, {"Vary", vary}};
    const char *text = "nothing";
    apr_size_t len = etv_field_set_write(pool, fields, 3, apr_date_parse_http(DATE), &text);

    return len ? apr_pstrmemdup(pool, text, len) : NULL;
}

START_TEST(texts)
{
    static const struct {
        const char *cache_control, *expires, *vary, *text;
    } rows[] = {
        {NULL, NULL, NULL, NULL}, /* nothing to name */
        {"no-cache", NULL, NULL, "Cache-Control: no-cache\n"},
        {NULL, NULL, "", "Vary: \n"},
        {"foo=\"a, b\"", NULL, "Cookie, X-A", "Cache-Control: foo=\"a, b\"\nVary: Cookie, X-A\n"},
        /* a date of its own, which may be another one with each response */
        {NULL, LATER, NULL, NULL},
        {"public", LATER, "Cookie", NULL},
        {"max-age=60", LATER, NULL, NULL},
        {"max-age=7200", LATER, NULL, NULL},
        {"s-maxage=3600", LATER, NULL, NULL},
        {"max-age=3597", LATER, NULL, NULL},
        {"max-age=3603", LATER, NULL, NULL},
        {"max-age=3600, max-age=3600", LATER, NULL, NULL},
        {"max-age=x", LATER, NULL, NULL},
        {NULL, "Mon, 01 Jan 2001 00:00:00 GMT", NULL, NULL},
        {NULL, "a while ago", NULL, NULL},
        {NULL, "978307200", NULL, NULL},
        /* what has long been over */
        {NULL, "Sun, 31 Dec 2000 23:59:59 GMT", NULL, "Expires: Sun, 31 Dec 2000 23:59:59 GMT\n"},
        {"no-cache", "Thu, 01 Jan 1970 00:00:00 GMT", NULL,
         "Cache-Control: no-cache\nExpires: Thu, 01 Jan 1970 00:00:00 GMT\n"},
        {"max-age=60", "0", NULL, "Cache-Control: max-age=60\nExpires: 0\n"},
        {NULL, "-1", NULL, "Expires: -1\n"},
        {NULL, "", NULL, "Expires: \n"},
        /* one that repeats max-age moves on with it */
        {"max-age=0", DATE, NULL, "Cache-Control: max-age=0\nExpires: +0\n"},
        {"max-age=3600", LATER, NULL, "Cache-Control: max-age=3600\nExpires: +3600\n"},
        {"public, Max-Age=\"3600\"", LATER, NULL,
         "Cache-Control: public, Max-Age=\"3600\"\nExpires: +3600\n"},
        {"max-age=3602", LATER, NULL, "Cache-Control: max-age=3602\nExpires: +3602\n"},
        {"max-age=3598", LATER, NULL, "Cache-Control: max-age=3598\nExpires: +3598\n"},
        {"max-age=3600, s-maxage=9", LATER, NULL,
         "Cache-Control: max-age=3600, s-maxage=9\nExpires: +3600\n"},
        {"max-age=3599, s-maxage=9", LATER, NULL, NULL},
        /* what would be read as something else, or cannot be sent */
        {NULL, "+60", NULL, NULL},
        {"a\nb", NULL, NULL, NULL},
        {"a\x7f", NULL, NULL, NULL},
        {"a\tb", NULL, NULL, "Cache-Control: a\tb\n"},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        const char *text = text_of(rows[i].cache_control, rows[i].expires, rows[i].vary);

        if (rows[i].text) {
            ck_assert_ptr_nonnull(text);
            ck_assert_str_eq(text, rows[i].text);
        } else {
            ck_assert_msg(text == NULL, "row %d: %s", (int)i, text);
        }
    }
}
END_TEST

START_TEST(what_was_written_comes_back)
{
    const char *text = text_of("max-age=60, private", "Sat, 06 Nov 2004 08:50:37 GMT", "Cookie");
    etv_field_set_field_t fields[ETV_FIELD_SET_FIELDS_MOST];
    apr_time_t date = apr_date_parse_http("Sun, 07 Nov 2004 00:00:00 GMT");

    ck_assert_int_eq(etv_field_set_read(pool, text, strlen(text), date, fields), 3);
    ck_assert_str_eq(fields[0].name, "Cache-Control");
    ck_assert_str_eq(fields[0].value, "max-age=60, private");
    ck_assert_str_eq(fields[1].value, "Sun, 07 Nov 2004 00:01:00 GMT");
    ck_assert_str_eq(fields[2].name, "Vary");
    text = text_of("max-age=0", DATE, NULL);
    ck_assert_int_eq(etv_field_set_read(pool, text, strlen(text), date, fields), 2);
    ck_assert_str_eq(fields[1].value, "Sun, 07 Nov 2004 00:00:00 GMT");
    text = text_of(NULL, "Thu, 01 Jan 1970 00:00:00 GMT", NULL);
    ck_assert_int_eq(etv_field_set_read(pool, text, strlen(text), date, fields), 1);
    ck_assert_str_eq(fields[0].value, "Thu, 01 Jan 1970 00:00:00 GMT");
    text = text_of(NULL, NULL, "");
    ck_assert_int_eq(etv_field_set_read(pool, text, strlen(text), date, fields), 1);
    ck_assert_str_eq(fields[0].value, "");
}
END_TEST

START_TEST(what_was_not_written_here)
{
    static const char *const wrong[] = {
        "",
        "Vary: a",
        "Vary\n",
        "Vary:a\n",
        "Vary:\n",
        ": a\n",
        "V ary: a\n",
        "Vary: a\x01\n",
        "Vary: a\r\n",
        "Expires: +\n",
        "Expires: +00\n",
        "Expires: +01\n",
        "Expires: +1x\n",
        "Expires: +-1\n",
        "Expires: +99999999999\n",
        "Expires: +2147483649\n",
        "\n",
        "Vary: a\n\n",
        "a: 1\n",
        "Set-Cookie: a=1\n",
        "Vary: a\nLocation: /\n",
        "vary: a\n",
        SEVENTEEN("Vary: 1\n"),
    };
    etv_field_set_field_t fields[ETV_FIELD_SET_FIELDS_MOST];

    for (size_t i = 0; i < ETV_ROWS(wrong); i++)
        ck_assert_msg(!etv_field_set_read(pool, wrong[i], strlen(wrong[i]), 0, fields), "%s",
                      wrong[i]);
    ck_assert_int_eq(etv_field_set_read(pool, "Vary\0: 1\n", 9, 0, fields), 0);
}
END_TEST

/* However long a backend goes on, it has as many texts as it has lifetimes. */
START_TEST(time_makes_no_other_text)
{
    apr_time_t date = apr_date_parse_http(DATE);
    const char *first = NULL, *text;

    for (int i = 0; i < 1000; i++, date += apr_time_from_sec(61)) {
        char expires[APR_RFC822_DATE_LEN];
        etv_field_set_field_t fields[] = {{"Cache-Control", "max-age=60"}, {"Expires", expires}};

        apr_rfc822_date(expires, date + apr_time_from_sec(58 + i % 5));
        ck_assert_uint_gt(etv_field_set_write(pool, fields, 2, date, &text), 0);
        first = first ? first : text;
        ck_assert_str_eq(text, first);
        apr_rfc822_date(expires, date + apr_time_from_sec(3600));
        ck_assert_uint_eq(etv_field_set_write(pool, fields, 2, date, &text), 0);
        apr_rfc822_date(expires, date - apr_time_from_sec(3600));
        ck_assert_uint_eq(etv_field_set_write(pool, fields, 2, date, &text), 0);
    }
}
END_TEST

START_TEST(fields_that_are_not_written)
{
    static const char *const names[] = {"Set-Cookie", "vary", "", "X"};
    const char *text;

    for (size_t i = 0; i < ETV_ROWS(names); i++) {
        etv_field_set_field_t field = {names[i], "a"};

        ck_assert_uint_eq(etv_field_set_write(pool, &field, 1, 0, &text), 0);
    }
}
END_TEST

START_TEST(the_longest_set)
{
    char *value = apr_palloc(pool, ETV_FIELD_SET_MOST + 1);
    apr_size_t most = ETV_FIELD_SET_MOST - strlen("Vary: \n");

    memset(value, 'a', ETV_FIELD_SET_MOST);
    value[most] = '\0';
    ck_assert_uint_eq(strlen(text_of(NULL, NULL, value)), ETV_FIELD_SET_MOST);
    value[most] = 'a';
    value[most + 1] = '\0';
    ck_assert_ptr_null(text_of(NULL, NULL, value));
}
END_TEST

int main(void)
{
    return etv_check_run("field_set",
                         (const TTest *[]){texts, what_was_written_comes_back,
                                           what_was_not_written_here, time_makes_no_other_text,
                                           fields_that_are_not_written, the_longest_set, NULL});
}
