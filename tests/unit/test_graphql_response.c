/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_check.h"

#include "core/graphql_response.h"

/* In pieces of this many bytes. */
static int scan_in(const char *text, apr_size_t len, apr_size_t piece)
{
    etv_graphql_scan_t scan;
    int goes_on = 1;

    etv_graphql_scan_init(&scan);
    for (apr_size_t at = 0; at < len; at += piece) {
        apr_size_t n = len - at < piece ? len - at : piece;
        char *exact = malloc(n); /* so that sanitizers see a read beyond it */

        memcpy(exact, text + at, n);
        goes_on = etv_graphql_scan_feed(&scan, exact, n);
        free(exact);
    }
    ck_assert_int_eq(etv_graphql_scan_feed(&scan, NULL, 0), goes_on);
    ck_assert_int_le(etv_graphql_scan_is_clean(&scan), goes_on);
    return etv_graphql_scan_is_clean(&scan);
}

static int is_clean(const char *text, apr_size_t len)
{
    int clean = scan_in(text, len, len ? len : 1);

    for (apr_size_t piece = 1; piece < len && piece < 12; piece++)
        ck_assert_msg(scan_in(text, len, piece) == clean, "%s in %d", text, (int)piece);
    return clean;
}

START_TEST(test_clean)
{
    static const char *const rows[] = {
        "{\"data\":{\"a\":1}}",
        " \r\n\t{ \"data\" : 1 } \n",
        "{\"data\":null,\"extensions\":{\"x\":[1,2.5,-3e+7,true,false,null]}}",
        "{\"data\":{\"errors\":[{\"message\":\"x\"}]}}",
        "{\"data\":[{\"errors\":1}]}",
        "{\"data\":[[{\"errors\":1}]]}",
        "{\"data\":\"errors\"}",
        "{\"data\":\"\\\"errors\\\":[1]\"}",
        "{\"a\":\"x\\\\\",\"data\":\"\\u00e9\\/\\b\\f\\n\\r\\t\"}",
        "{\"data\":{\"b\":\"}]\\\"}\"}}",
        "{\"Errors\":1,\"data\":1}",
        "{\"error\":1,\"data\":1}",
        "{\"errors_\":1,\"data\":1}",
        "{\"xerrors\":1,\"data\":1}",
        "{\"\":1,\"data\":1}",
        "{\"errors\":null,\"data\":1}",
        "{\"data\":1,\"errors\":[]}",
        "{ \"errors\" : [ ] , \"data\" : null }",
        "{\"errors\" :\tnull ,\"data\":[]}",
        "[{\"data\":1},{\"data\":2}]",
        "[ {\"data\":{}} , {\"data\":{}} ]",
        "[{\"errors\":[],\"data\":1},{\"data\":1,\"errors\":null}]",
        "{\"\xc3\xa9\":\"\xc3\xa9\",\"data\":1}",
        "{\"data\":{\"a\":[[[{}]]]}}",
    };

    for (apr_size_t i = 0; i < ETV_ROWS(rows); i++)
        ck_assert_msg(is_clean(rows[i], strlen(rows[i])), "%s", rows[i]);
}
END_TEST

/* What a gateway says that is in the way. */
START_TEST(test_no_answer)
{
    static const char *const rows[] = {
        "{}",
        "[]",
        " { } ",
        "{\"message\":\"service unavailable\"}",
        "{\"error\":\"x\"}",
        "{\"errors\":null}",
        "{\"errors\":[]}",
        "{\"dat\":1}",
        "{\"data_\":1}",
        "{\"Data\":1}",
        "{\"xdata\":1}",
        "{\"a\":{\"data\":1}}",
        "{\"a\":\"data\"}",
        "[{\"data\":1},{}]",
        "[{},{\"data\":1}]",
        "[{\"data\":1},1]",
        "[{\"data\":1},[]]",
        "[[{\"data\":1}]]",
        "[1,\"errors\",null]",
    };

    for (apr_size_t i = 0; i < ETV_ROWS(rows); i++)
        ck_assert_msg(!is_clean(rows[i], strlen(rows[i])), "%s", rows[i]);
}
END_TEST

START_TEST(test_errors)
{
    static const char *const rows[] = {
        "{\"data\":1,\"errors\":[{\"message\":\"x\"}]}",
        "{\"data\":1,\"errors\":[null]}",
        "{\"data\":1,\"errors\":[[]]}",
        "{\"data\":1,\"errors\":{}}",
        "{\"data\":1,\"errors\":\"\"}",
        "{\"data\":1,\"errors\":0}",
        "{\"data\":1,\"errors\":false}",
        "{\"data\":1,\"errors\":[],\"errors\":[1]}",
        "{\"data\":{\"a\":[{}]},\"errors\":[1]}",
        "{\"data\":\"x\",\"errors\":[1]}",
        "{\"data\":1,\"errors\":[1]}",
        "{\"data\":1,\"error\\u0073\":[1]}",
        "{\"data\":1,\"data\\n\":1}",
        "{\"data\":1,\"\\u0065rrors\":[1]}",
        "[{\"data\":1,\"errors\":[1]}]",
        "[{\"data\":1},{\"data\":{},\"errors\":[1]},{\"data\":1}]",
        "[[],{\"data\":1,\"errors\":[1]}]",
        "{\"data\":1,\"errors\":nul}",
        "{\"data\":1,\"errors\":nulll}",
        "{\"data\":1,\"errors\":null1}",
        "{\"data\":1,\"errors\":n}",
        "{\"data\":1,\"errors\":[}}",
        "{\"data\":1,\"errors\":[x}",
        "{\"data\":1,\"errors\":[",
        "{\"data\":1,\"errors\":[]",
    };

    for (apr_size_t i = 0; i < ETV_ROWS(rows); i++)
        ck_assert_msg(!is_clean(rows[i], strlen(rows[i])), "%s", rows[i]);
}
END_TEST

START_TEST(test_no_json)
{
    static const char *const rows[] = {
        "",
        " ",
        "null",
        "\"a\"",
        "1",
        "<html>",
        "\xef\xbb\xbf{\"data\":1}",
        "--boundary\r\n\r\n{\"data\":1}",
        "data: {\"data\":1}\n\n",
        "{",
        "[",
        "}",
        "]",
        "{]",
        "[}",
        "{\"data\":1}}",
        "{\"data\":1}{\"data\":1}",
        "{\"data\":1} x",
        "{\"data\":1},",
        "[]]",
        "{\"data\"}",
        "{\"data\":}",
        "{\"data\":1,}",
        "{,\"data\":1}",
        "{\"data\" \"b\"}",
        "{\"data\":1 2}",
        "{\"data\":1 \"b\":2}",
        "{\"data\"::1}",
        "{\"data\":\"b\" \"c\"}",
        "{\"data\":[}}",
        "{\"data\":[{]}}",
        "{\"data\":{[}]}",
        "{\"data\":{\"data\":1}",
        "{\"data\":\"b",
        "{\"data\":\"b\\\"}",
        "{\"data\":\"\\x\"}",
        "{\"data\":\"\n\"}",
        "{\"a\n\":1}",
        "{'errors':[1]}",
        "{errors:[1]}",
        "{a:1}",
        "{\"data\":{'b':1}}",
        "{\"data\":{/* */}}",
        "{\"data\":'b'}",
        "{\"data\":(1)}",
        "{\"data\":[\\]}",
        "{1:2}",
        "[{\"data\":1},]",
        "[,{\"data\":1}]",
        "[{\"data\":1} {\"data\":1}]",
        "[{\"data\":1}}",
        "{\"data\":1]",
        "[{\"data\":1]",
        "[{\"data\":1}}",
        "[{\"data\":1}{\"data\":1}]",
        "[\"a\":1]",
        "{\"data\":1}\x1a",
    };

    for (apr_size_t i = 0; i < ETV_ROWS(rows); i++)
        ck_assert_msg(!is_clean(rows[i], strlen(rows[i])), "%s", rows[i]);
    ck_assert_int_eq(is_clean("{\"data\":1}\0", 11), 0);
    ck_assert_int_eq(is_clean("{\"data\":\"\0\"}", 12), 0);
    ck_assert_int_eq(is_clean("{\"data\":\"\\\0\"}", 13), 0);
    ck_assert_int_eq(is_clean("{\"data\":[\0]}", 12), 0);
    ck_assert_int_eq(is_clean("{\"data\":1,\"errors\":[\0]}", 23), 0);
    ck_assert_int_eq(is_clean("{\"data\":1,\"errors\0\":1}", 22), 0);
}
END_TEST

/* Every byte on its own, where a string and where a nested value is. */
START_TEST(test_bytes)
{
    for (int byte = 0; byte < 256; byte++) {
        char string[] = "{\"data\":\"?\"}", deep[] = "{\"data\":[?]}";

        string[9] = deep[9] = (char)byte;
        ck_assert_int_eq(is_clean(string, sizeof(string) - 1),
                         byte >= 0x20 && byte != '"' && byte != '\\');
        ck_assert_int_eq(is_clean(deep, sizeof(deep) - 1),
                         byte && strchr(" \t\r\n,:+-.0123456789abcdefghijklmnopqrstuvwxyz"
                                        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                                        byte) != NULL);
    }
}
END_TEST

/* Long strings are looked at several bytes at once. */
START_TEST(test_long_strings)
{
    for (apr_size_t at = 0; at < 60; at++) {
        char text[80] = "{\"data\":[\"";
        apr_size_t from = strlen(text);

        memset(text + from, at % 2 ? 'x' : '\xe9', 60);
        strcpy(text + from + 60, "\"]}");
        ck_assert_int_eq(is_clean(text, strlen(text)), 1);
        text[from + at] = '\n';
        ck_assert_int_eq(is_clean(text, strlen(text)), 0);
        text[from + at] = '"';
        ck_assert_int_eq(is_clean(text, strlen(text)), 0);
        text[from + at] = '\\';
        ck_assert_int_eq(is_clean(text, strlen(text)), 0);
        text[from + at + 1] = at == 59 ? '"' : 'n';
        ck_assert_int_eq(is_clean(text, strlen(text)), at != 59);
    }
}
END_TEST

START_TEST(test_cut)
{
    static const char text[] =
        "[{\"data\":{\"a\":[1,\"b\\\"\",{}]},\"errors\":[]},{\"data\":null}]";

    ck_assert_int_eq(is_clean(text, strlen(text)), 1);
    for (apr_size_t len = 0; len < strlen(text); len++)
        ck_assert_int_eq(is_clean(text, len), 0);
}
END_TEST

/* {"data":[[…]]}, every other bracket a brace */
static int deep_is_clean(int depth, int wrong_at)
{
    apr_size_t len = 9 + 2 * (apr_size_t)depth;
    char text[9 + 2 * (ETV_GRAPHQL_SCAN_DEPTH_MOST + 1)];

    memcpy(text, "{\"data\":", 8);
    for (int i = 0; i < depth; i++) {
        int square = i % 3 != 1;

        text[8 + i] = square ? '[' : '{';
        text[len - 2 - (apr_size_t)i] = square != (i == wrong_at) ? ']' : '}';
    }
    text[len - 1] = '}';
    return is_clean(text, len);
}

START_TEST(test_depth)
{
    ck_assert_int_eq(deep_is_clean(ETV_GRAPHQL_SCAN_DEPTH_MOST, -1), 1);
    ck_assert_int_eq(deep_is_clean(ETV_GRAPHQL_SCAN_DEPTH_MOST + 1, -1), 0);
    for (int i = 0; i < 40; i++)
        ck_assert_int_eq(deep_is_clean(40, i), 0);
}
END_TEST

int main(void)
{
    return etv_check_run("graphql_response",
                         (const TTest *[]){test_clean, test_no_answer, test_errors, test_no_json,
                                           test_bytes, test_long_strings, test_cut, test_depth,
                                           NULL});
}
