/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_check.h"

#include <apr_strings.h>

#include "core/graphql_document.h"

static const char *const kinds[] = {"query", "mutation", "subscription"};

/* What was found: `kind name`, `kind`, or why not. */
static const char *find_bytes(const char *text, apr_size_t len, const char *wanted)
{
    etv_graphql_operation_t operation;
    char *exact = malloc(len ? len : 1); /* so that sanitizers see a read beyond it */
    const char *out;

    memcpy(exact, text, len);
    switch (
        etv_graphql_document_find(exact, len, wanted, wanted ? strlen(wanted) : 0, &operation)) {
    case ETV_GRAPHQL_FOUND:
        ck_assert_int_eq(operation.name != NULL, operation.name_len > 0);
        out = apr_pstrcat(pool, kinds[operation.kind], operation.name ? " " : "",
                          apr_pstrmemdup(pool, operation.name, operation.name_len), NULL);
        break;
    case ETV_GRAPHQL_MALFORMED:
        out = "malformed";
        break;
    case ETV_GRAPHQL_ABSENT:
        out = "absent";
        break;
    default:
        out = "ambiguous";
    }
    free(exact);
    return out;
}

typedef struct {
    const char *text, *wanted, *expected;
} row_t;

static void check_rows(const row_t *rows, apr_size_t n)
{
    for (apr_size_t i = 0; i < n; i++) {
        const char *got = find_bytes(rows[i].text, strlen(rows[i].text), rows[i].wanted);

        ck_assert_msg(strcmp(got, rows[i].expected) == 0, "%s: %s", rows[i].text, got);
    }
}

START_TEST(test_operations)
{
    static const row_t rows[] = {
        {"{a}", NULL, "query"},
        {"query{a}", NULL, "query"},
        {"query A{a}", NULL, "query A"},
        {"mutation A{a}", NULL, "mutation A"},
        {"subscription _A9 {a}", NULL, "subscription _A9"},
        {"mutation{a}", NULL, "mutation"},
        {"query query{query}", NULL, "query query"},
        {"query mutation{a}", NULL, "query mutation"},
        {"query fragment{a}", NULL, "query fragment"},
        {"query on{a}", NULL, "query on"},
        {"\xef\xbb\xbf query A{a}", NULL, "query A"},
        {", ,\t\r\n # note\r\n query,A,{a},", NULL, "query A"},
        {"query A($id:ID!=\"x\",$o:[In!]={a:[1,{b:null}]}@d)@live@x(a:$id){a(b:{c:[$o]}){...F "
         "...on "
         "T@include(if:true){x:y}}}",
         NULL, "query A"},
        {"query A @a @b {a}", NULL, "query A"},
        {"query($a:Int){a}", NULL, "query"},
        {"fragment F on T{a} query A{...F}", NULL, "query A"},
        {"query A{...F} fragment F on T@d(a:1){a}", NULL, "query A"},
        {"query A{...query} fragment query on mutation{a}", NULL, "query A"},
        {"query A{a} mutation B{b}", "A", "query A"},
        {"query A{a} mutation B{b}", "B", "mutation B"},
        {"query A{a} query A1{b}", "A", "query A"},
        {"query A{a}", "A", "query A"},
        {"query A{a} mutation B{b}", NULL, "ambiguous"},
        {"query A{a} mutation B{b}", "C", "absent"},
        {"query A{a}", "a", "absent"},
        {"query A{a}", "", "absent"},
        {"{a}", "", "absent"},
        {"{a}", "A", "absent"},
        {"{a}{b}", NULL, "ambiguous"},
        {"{a} mutation B{b}", "B", "ambiguous"},
        {"mutation B{b} query{a}", "B", "ambiguous"},
        {"query A{a} mutation A{b}", "A", "ambiguous"},
        {"query A{a} query A{b}", NULL, "ambiguous"},
        {"query A{a} query B{b} query B{c}", "A", "query A"},
        {"", NULL, "absent"},
        {" # nothing", NULL, "absent"},
        {"\xef\xbb\xbf", NULL, "absent"},
        {"fragment F on T{a}", NULL, "absent"},
        {"fragment F on T{a}", "F", "absent"},
    };

    check_rows(rows, ETV_ROWS(rows));
}
END_TEST

/* What hides an operation, or looks as if it were one. */
START_TEST(test_hidden)
{
    static const row_t rows[] = {
        {"# mutation B{b}\nquery A{a}", NULL, "query A"},
        {"query A{a # }\n}", NULL, "query A"},
        {"query A{a #\"\n}", NULL, "query A"},
        {"query A{a(b:\"} mutation B{b\")}", NULL, "query A"},
        {"query A{a(b:\"\\\"} mutation B{b\")}", NULL, "query A"},
        {"query A{a(b:\"\\\\\")} mutation B{b(c:\"\")}", "B", "mutation B"},
        {"query A{a(b:\"# \")}", NULL, "query A"},
        {"query A{a(b:\"\\u0022\\b\\f\\n\\r\\t\\/\\\\\")}", NULL, "query A"},
        {"query A{a(b:\"\"\"} mutation B{b\r\n # \\n\"\"\")}", NULL, "query A"},
        {"query A{a(b:\"\"\"\"\"\")}", NULL, "query A"},
        {"query A{a(b:\"\")}", NULL, "query A"},
        {"query A{a(b:\"\xc3\xa9\xf0\x9f\x98\x80\t\")}# \xe2\x82\xac", NULL, "query A"},
        /* old servers see other strings */
        {"query A{a(b:[\"\"\"x\"])} mutation B{b(c:[\"y\"\"\"])}", NULL, "malformed"},
        {"query A{a(b:\"\"\"a\"b\"\"\")}", NULL, "malformed"},
        {"query A{a(b:\"\"\"a\\\"\"\"b\"\"\")}", NULL, "malformed"},
        {"query A{a(b:\"\"\"a\\\\\"\"\")}", NULL, "malformed"},
        {"query A{a(b:\"\"\"\"a\"\"\")}", NULL, "malformed"},
        {"query A{a(b:\"\"\"a\"\"\"\")}", NULL, "malformed"},
        {"query A{a(b:\"\"\"\"\"\"\"\")}", NULL, "malformed"},
        {"query A{a(b:[\"a\"\"b\"])}", NULL, "malformed"},
        /* and other ends of lines */
        {"query A{a # \r mutation\n}", NULL, "malformed"},
        {"query A{a} # x\r", NULL, "malformed"},
        {"query A{a # \xe2\x80\xa8\n}", NULL, "malformed"},
        {"query A{a # \xe2\x80\xa9\n}", NULL, "malformed"},
        {"query A{a # \xc2\x85\n}", NULL, "malformed"},
        {"query A{a # \x0b\n}", NULL, "malformed"},
        {"query A{a\r}", NULL, "query A"},
    };

    check_rows(rows, ETV_ROWS(rows));
}
END_TEST

START_TEST(test_malformed)
{
    static const char *const rows[] = {
        "query",
        "query A",
        "query A{",
        "query A{a",
        "query A{a}}",
        "query A{a)",
        "query A{a(b:[1)]}",
        "query A{}",
        "{}",
        "{ }",
        "query A(){a}",
        "query A(a:1{a}",
        "query A B{a}",
        "query A{a} B",
        "query A{a} ;",
        "query A{a} \"x\"",
        "query A{a} 1",
        "query A{a} @d",
        "query A{a} (b:1)",
        "\"described\" query A{a}",
        "\"\"\"described\"\"\" query A{a}",
        "Query A{a}",
        "QUERY A{a}",
        "que ry A{a}",
        "queryA{a}",
        "query \"A\"{a}",
        "query 9A{a}",
        "query $A{a}",
        "query A@{a}",
        "query A@d()",
        "query A@d(){a}",
        "query A@d($a:Int){a} @",
        "query A@d($a:Int){a} fragment",
        "fragment on on T{a} query A{a}",
        "fragment F of T{a} query A{a}",
        "fragment F on {a} query A{a}",
        "fragment F($a:Int) on T{a} query A{a}",
        "fragment F on T query A{a}",
        "type T{a:Int} query A{a}",
        "schema{query:Q}",
        "extend type T{a:Int}",
        "directive@d on FIELD query A{a}",
        "enum E{A}",
        "{\"query\":\"{a}\"}",
        "[{a}]",
        "query A{\"a\"}",
        "query A{a:\"b\"}",
        "query A{1}",
        "query A{[a]}",
        "query A{$a}",
        "query A{a=b}",
        "query A{a!}",
        "query A{a{\"b\":1}}",
        "query A{a(b:...F)}",
        "query A{a(b:{...F})}",
        "query A{a(b:1) 2}",
        "query A($a:Int) 1{a}",
        "query A{a|b}",
        "query A{a&b}",
        "query A{a(b:1.)}",
        "query A{a(b:01)}",
        "query A{a(b:-)}",
        "query A{a(b:-a)}",
        "query A{a(b:1a)}",
        "query A{a(b:0x1)}",
        "query A{a(b:1.2.3)}",
        "query A{a(b:.5)}",
        "query A{a(b:1e)}",
        "query A{a(b:1e+)}",
        "query A{a(b:1_)}",
        "query A{..F}",
        "query A{....F}",
        "query A{. . .F}",
        "query A{a(b:\"x)}",
        "query A{a(b:\"x\n\")}",
        "query A{a(b:\"x\r\")}",
        "query A{a(b:\"\\x\")}",
        "query A{a(b:\"\\u12\")}",
        "query A{a(b:\"\\u12g4\")}",
        "query A{a(b:\"\\u{1F600}\")}",
        "query A{a(b:\"\\",
        "query A{a(b:\"\\u",
        "query A{a(b:\"",
        "query A{a(b:\"\"\"",
        "query A{a(b:\"\"\"x",
        "query A{a(b:\"\"\"x\"",
        "query A{a(b:\"\"\"x\"\"",
        "query A{a(b:\"\x01\")}",
        "query A{a(b:\"\xff\")}",
        "query A{a(b:\"\xc3\")}",
        "query A{a(b:\"\"\"\xed\xa0\x80\"\"\")}",
        "query A{a} # \xc0\xaf",
        "query \xc3\x81{a}",
        "query A{a \xef\xbb\xbf}",
        "query\xc2\xa0{a}",
        "query A{a?}",
        "query A{a\x0c}",
        "\xef\xbb",
        "\x80",
    };

    for (apr_size_t i = 0; i < ETV_ROWS(rows); i++) {
        ck_assert_msg(strcmp(find_bytes(rows[i], strlen(rows[i]), NULL), "malformed") == 0, "%s",
                      rows[i]);
        ck_assert_msg(strcmp(find_bytes(rows[i], strlen(rows[i]), "A"), "malformed") == 0, "%s",
                      rows[i]);
    }
    ck_assert_str_eq(find_bytes("query A{a}\0", 11, NULL), "malformed");
    ck_assert_str_eq(find_bytes("query\0A{a}", 10, NULL), "malformed");
    ck_assert_str_eq(find_bytes("{a#\0\n}", 6, NULL), "malformed");
    ck_assert_str_eq(find_bytes("{a(b:\"\0\")}", 10, NULL), "malformed");
    ck_assert_str_eq(find_bytes("{a(b:\"\\\0\")}", 11, NULL), "malformed");
}
END_TEST

START_TEST(test_numbers)
{
    static const char *const rows[] = {"0",    "-0",      "12",  "-3.25", "1e9",
                                       "1E-9", "0.5e+10", "-10", "0e0"};

    for (apr_size_t i = 0; i < ETV_ROWS(rows); i++) {
        const char *text =
            apr_psprintf(pool, "query A{a(b:%s c:[%s,%s])}", rows[i], rows[i], rows[i]);

        ck_assert_msg(strcmp(find_bytes(text, strlen(text), NULL), "query A") == 0, "%s", text);
    }
}
END_TEST

/* Cut anywhere, a document is malformed, or none; and its name is not found in pieces of it. */
START_TEST(test_cut)
{
    static const char text[] = "query Abc($i:ID=\"\\u00e9\"){a(b:\"\"\"x\"\"\" c:-1.5e3){...F}}";

    ck_assert_str_eq(find_bytes(text, strlen(text), NULL), "query Abc");
    for (apr_size_t len = 1; len < strlen(text); len++)
        ck_assert_str_eq(find_bytes(text, len, NULL), "malformed");
}
END_TEST

static const char *nested(int depth)
{
    char *text = apr_pcalloc(pool, (apr_size_t)depth * 3 + 1), *to = text;

    for (int i = 0; i < depth; i++) {
        *to++ = '{';
        *to++ = 'a';
    }
    memset(to, '}', (apr_size_t)depth);
    return text;
}

START_TEST(test_limits)
{
    const char *deep = nested(ETV_GRAPHQL_BRACKETS_MOST);
    apr_size_t big = 1 << 20;
    char *text = apr_palloc(pool, big);

    ck_assert_str_eq(find_bytes(deep, strlen(deep), NULL), "query");
    deep = nested(ETV_GRAPHQL_BRACKETS_MOST + 1);
    ck_assert_str_eq(find_bytes(deep, strlen(deep), NULL), "malformed");
    memset(text, ',', big);
    ck_assert_str_eq(find_bytes(text, big, NULL), "absent");
    memset(text, '"', big);
    ck_assert_str_eq(find_bytes(text, big, NULL), "malformed");
    memset(text, '#', big);
    ck_assert_str_eq(find_bytes(text, big, NULL), "absent");
    memset(text, '{', big);
    ck_assert_str_eq(find_bytes(text, big, NULL), "malformed");
    memset(text, 'a', big);
    memcpy(text, "query ", 6);
    memcpy(text + big - 3, "{a}", 3);
    ck_assert_uint_eq(strlen(find_bytes(text, big, NULL)), big - 3);
    for (apr_size_t i = 0; i < big; i += 8)
        memcpy(text + i, "query{a}", 8);
    ck_assert_str_eq(find_bytes(text, big, NULL), "ambiguous");
}
END_TEST

START_TEST(test_names)
{
    ck_assert_int_eq(etv_graphql_is_name("_a9Z", 4), 1);
    ck_assert_int_eq(etv_graphql_is_name("a9-", 2), 1);
    ck_assert_int_eq(etv_graphql_is_name("a9-", 3), 0);
    ck_assert_int_eq(etv_graphql_is_name("9a", 2), 0);
    ck_assert_int_eq(etv_graphql_is_name("", 0), 0);
    ck_assert_int_eq(etv_graphql_is_name("a\0", 2), 0);
    ck_assert_int_eq(etv_graphql_is_name("\xc3\xa9", 2), 0);
}
END_TEST

int main(void)
{
    return etv_check_run("graphql_document",
                         (const TTest *[]){test_operations, test_hidden, test_malformed,
                                           test_numbers, test_cut, test_limits, test_names, NULL});
}
