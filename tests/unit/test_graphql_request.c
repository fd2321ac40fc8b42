/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_check.h"

#include <apr_strings.h>

#include "core/graphql_request.h"

typedef void read_fn(apr_pool_t *p, etv_graphql_request_t *request, const char *text,
                     apr_size_t len);

static const char *const whats[] = {"reads", "changes", "listens", "named", "unknown"};

/* What was understood, as `reads: A,B`; `-` where there is nothing of GraphQL. */
static const char *read_bytes(read_fn *read, const char *text, apr_size_t len)
{
    etv_graphql_request_t request;
    char *exact = malloc(len ? len : 1); /* so that sanitizers see a read beyond it */
    const char *out;

    memset(&request, 0x5a, sizeof(request));
    memcpy(exact, text, len);
    read(pool, &request, exact, len);
    free(exact);
    ck_assert_int_eq(request.n == 0, request.what == ETV_GRAPHQL_UNKNOWN);
    if (!request.present) {
        ck_assert_int_eq(request.n, 0);
        return "-";
    }
    out = whats[request.what];
    for (int i = 0; i < request.n; i++)
        out = apr_psprintf(pool, "%s%s %c%s", out, i ? "," : ":", "qmsn"[request.kinds[i]],
                           request.names[i]);
    return out;
}

typedef struct {
    const char *text, *expected;
} row_t;

static void check_rows(read_fn *read, const row_t *rows, apr_size_t n)
{
    for (apr_size_t i = 0; i < n; i++) {
        const char *got = read_bytes(read, rows[i].text, strlen(rows[i].text));

        ck_assert_msg(strcmp(got, rows[i].expected) == 0, "%s: %s", rows[i].text, got);
    }
}

START_TEST(test_json)
{
    static const row_t rows[] = {
        {"{\"query\":\"{a}\"}", "reads: q"},
        {" {\"query\":\"query A{a}\"}\n", "reads: qA"},
        {"{\"query\":\"\\u007ba\\u007d\"}", "reads: q"},
        {"{\"query\":\"mutation M{a}\"}", "changes: mM"},
        {"{\"query\":\"subscription S{a}\"}", "listens: sS"},
        {"{\"query\":\"query A{a} mutation M{b}\",\"operationName\":\"A\"}", "named: nA"},
        {"{\"query\":\"query A{a} mutation M{b}\",\"operationName\":\"M\"}", "changes: mM"},
        {"{\"operationName\":null,\"variables\":null,\"extensions\":null,\"query\":\"{a}\"}",
         "reads: q"},
        {"{\"query\":\"query A{a}\",\"operationName\":\"\"}", "reads: qA"},
        {"{\"query\":\"query A{a}\",\"variables\":{\"query\":\"mutation{a}\"},\"x\":null}",
         "reads: qA"},
        {"{\"query\":\"query A{a}\",\"extensions\":{\"persistedQuery\":{\"version\":1}}}",
         "named: nA"},
        {"{\"query\":\"mutation M{a}\",\"extensions\":{\"persistedQuery\":{}}}", "changes: mM"},
        {"{\"query\":\"query A{a}\",\"extensions\":{\"clientLibrary\":{\"name\":\"x\"}}}",
         "reads: qA"},
        {"{\"query\":\"query A{a}\",\"x\":[1]}", "unknown"},
        {"{\"query\":\"query A{a}\",\"queryId\":\"1\"}", "unknown"},
        {"{\"query\":\"query A{a}\",\"operation_name\":\"B\"}", "unknown"},
        {"{\"query\":\"query A{a}\",\"extensions\":{\"operationId\":\"x\"}}", "unknown"},
        {"{\"query\":\"query A{a}\",\"extensions\":{\"a\":{},\"documentHash\":\"x\"}}", "unknown"},
        {"{\"query\":\"query A{a}\",\"extensions\":{\"ID\":\"x\"}}", "unknown"},
        {"{\"query\":\"query A{a}\",\"extensions\":{\"persistedQuery\":null,\"a\":1}}",
         "reads: qA"},
        {"{\"operationName\":\"A\",\"extensions\":{\"persistedQuery\":{\"sha256Hash\":\"0\"}}}",
         "named: nA"},
        {"{\"query\":null,\"operationName\":\"A\",\"extensions\":{\"persistedQuery\":{}}}",
         "named: nA"},
        {"{\"query\":\"\",\"operationName\":\"A\",\"id\":\"x\"}", "named: nA"},
        {"{\"operationName\":\"A\",\"documentId\":\"x\"}", "named: nA"},
        {"{\"operationName\":\"A\",\"doc_id\":17}", "named: nA"},
        {"{\"query\":\"{a}\",\"id\":null}", "reads: q"},
        {"", "unknown"},
        {"{}", "unknown"},
        {"[]", "unknown"},
        {"null", "unknown"},
        {"\"{a}\"", "unknown"},
        {"{\"query\":\"{a}\"", "unknown"},
        {"{\"query\":\"{a}\"} x", "unknown"},
        {"{\"query\":\"{a}\"}{}", "unknown"},
        {"\xef\xbb\xbf{\"query\":\"{a}\"}", "unknown"},
        {"{\"query\":\"{a}\",\"query\":\"{a}\"}", "unknown"},
        {"{\"query\":\"{a}\",\"variables\":{\"a\":1,\"a\":2}}", "unknown"},
        {"{\"query\":\"{a\"}", "unknown"},
        {"{\"query\":\"{a} type T{a:Int}\"}", "unknown"},
        {"{\"query\":\"{a}\\u0000\"}", "unknown"},
        {"{\"query\":\"query A{a} query B{b}\"}", "unknown"},
        {"{\"query\":\"query A{a} query B{b}\",\"operationName\":\"\"}", "unknown"},
        {"{\"query\":\"query A{a} query B{b}\",\"operationName\":\"C\"}", "unknown"},
        {"{\"query\":\"query A{a}\",\"operationName\":\"B\"}", "unknown"},
        {"{\"query\":\"{a}\",\"operationName\":\"B\"}", "unknown"},
        {"{\"query\":\"query A{a}\",\"operationName\":\" A\"}", "unknown"},
        {"{\"query\":\"query A{a}\",\"operationName\":1}", "unknown"},
        {"{\"query\":\"query A{a}\",\"operationName\":[\"A\"]}", "unknown"},
        {"{\"query\":1}", "unknown"},
        {"{\"query\":[\"{a}\"]}", "unknown"},
        {"{\"query\":{\"query\":\"{a}\"}}", "unknown"},
        {"{\"query\":\"{a}\",\"variables\":\"{}\"}", "unknown"},
        {"{\"query\":\"{a}\",\"variables\":[]}", "unknown"},
        {"{\"query\":\"{a}\",\"extensions\":\"{}\"}", "unknown"},
        {"{\"query\":\"{a}\",\"extensions\":{\"persistedQuery\":\"x\"}}", "unknown"},
        {"{\"query\":\"{a}\",\"extensions\":{\"persistedquery\":{}}}", "unknown"},
        {"{\"query\":\"{a}\",\"extensions\":{\"per\xc5\xbfistedQuery\":{}}}", "unknown"},
        {"{\"query\":\"{a}\",\"Query\":\"{a}\"}", "unknown"},
        {"{\"QUERY\":\"{a}\"}", "unknown"},
        {"{\"query\":\"{a}\",\"operationname\":\"A\"}", "unknown"},
        {"{\"query\":\"{a}\",\"exten\xc5\xbfions\":{}}", "unknown"},
        {"{\"query\":\"{a}\",\"documentID\":\"x\"}", "unknown"},
        {"{\"query\":\"{a}\",\"id\":\"x\"}", "unknown"},
        {"{\"query\":\"{a}\",\"doc_id\":1}", "unknown"},
        {"{\"query\":\"{a}\",\"id\":{}}", "unknown"},
        {"{\"query\":\"\"}", "unknown"},
        {"{\"operationName\":\"A\"}", "unknown"},
        {"{\"operationName\":\"A\",\"id\":\"\"}", "unknown"},
        {"{\"operationName\":\"A\",\"id\":true}", "unknown"},
        {"{\"operationName\":\"A\",\"id\":\"x\",\"doc_id\":\"x\"}", "unknown"},
        {"{\"id\":\"x\"}", "unknown"},
        {"{\"operationName\":\"\",\"id\":\"x\"}", "unknown"},
        {"{\"operationName\":\"A B\",\"id\":\"x\"}", "unknown"},
        {"{\"operationName\":\"A\\u0000\",\"id\":\"x\"}", "unknown"},
    };

    check_rows(etv_graphql_request_json, rows, ETV_ROWS(rows));
    ck_assert_str_eq(read_bytes(etv_graphql_request_json, "{\"query\":\"{a}\",\"x\":1\0}", 22),
                     "unknown");
    ck_assert_str_eq(read_bytes(etv_graphql_request_json, "{\"query\":\"{a}\"}\0", 16), "unknown");
}
END_TEST

START_TEST(test_batches)
{
#define Q(name) "{\"query\":\"query " name "{a}\"}"
#define M       "{\"query\":\"mutation M{a}\"}"
#define L       "{\"query\":\"subscription L{a}\"}"
#define N       "{\"operationName\":\"N\",\"extensions\":{\"persistedQuery\":{}}}"
    static const row_t rows[] = {
        {"[" Q("A") "]", "reads: qA"},
        {"[" Q("A") "," Q("B") "]", "reads: qA, qB"},
        {"[" Q("A") "," Q("A") "]", "reads: qA, qA"},
        {"[" Q("A") "," M "]", "changes: qA, mM"},
        {"[" Q("A") "," L "]", "listens: qA, sL"},
        {"[" L "," M "]", "changes: sL, mM"},
        {"[" N "," Q("A") "]", "named: nN, qA"},
        {"[" N "," M "]", "unknown"},
        {"[" N "," L "]", "unknown"},
        {"[" Q("A") ",{}]", "unknown"},
        {"[" Q("A") ",1]", "unknown"},
        {"[" Q("A") ",null]", "unknown"},
        {"[[" Q("A") "]]", "unknown"},
        {"[" Q("A") ",]", "unknown"},
        {"[" M ",{\"query\":\"{\"}]", "unknown"},
    };
    const char *many = "", *expected = "reads:";

    check_rows(etv_graphql_request_json, rows, ETV_ROWS(rows));
    for (int i = 0; i < ETV_GRAPHQL_BATCH_MOST; i++) {
        many = apr_pstrcat(pool, many, i ? "," : "", Q("A"), NULL);
        expected = apr_pstrcat(pool, expected, i ? "," : "", " qA", NULL);
    }
    many = apr_pstrcat(pool, "[", many, "]", NULL);
    ck_assert_str_eq(read_bytes(etv_graphql_request_json, many, strlen(many)), expected);
    many = apr_pstrcat(pool, "[" Q("A") ",", many + 1, NULL);
    ck_assert_str_eq(read_bytes(etv_graphql_request_json, many, strlen(many)), "unknown");
}
END_TEST

START_TEST(test_args)
{
    static const row_t rows[] = {
        {"", "-"},
        {"&&", "-"},
        {"a=1&b", "-"},
        {"a=%zz&b=%", "-"},
        {"variables=%7B%7D", "-"},
        {"variables=1&variables=2", "-"},
        {"queries=1&querying=2&aquery=3", "-"},
        {"query={a}", "reads: q"},
        {"query=query+A{a}", "reads: qA"},
        {"query=query%20A%7Ba%7D", "reads: qA"},
        {"%71uery=%7ba%7d", "reads: q"},
        {"&&query={a}&&", "reads: q"},
        {"query={a(b:1)}&variables=%7B%22a%22:1%7D&x=%zz", "reads: q"},
        {"query=mutation%20M{a}", "changes: mM"},
        {"query=query A{a} mutation B{b}&operationName=A", "named: nA"},
        {"query={a}&_=17&format=json", "reads: q"},
        {"query={a}&queryId=1", "unknown"},
        {"query={a}&_method=DELETE", "unknown"},
        {"query={a}&batchOperations=[A,B]", "unknown"},
        {"operationName=B&query=query A{a} mutation B{b}", "changes: mB"},
        {"query=query A{a}&operationName=", "reads: qA"},
        {"query=query A{a}&operationName", "reads: qA"},
        {"query={a}&extensions=", "reads: q"},
        {"query={a}&extensions={}", "reads: q"},
        {"operationName=A&extensions={\"persistedQuery\":{\"version\":1}}", "named: nA"},
        {"operationName=A&extensions=%7B%22persistedQuery%22%3A%7B%7D%7D&variables={}",
         "named: nA"},
        {"operationName=A&id=x", "named: nA"},
        {"operationName=A&documentId=x", "named: nA"},
        {"operationName=A&doc_id=1&query=", "named: nA"},
        {"query=", "unknown"},
        {"query", "unknown"},
        {"operationName=A", "unknown"},
        {"id=1", "unknown"},
        {"id", "unknown"},
        {"operationName=A&id=", "unknown"},
        {"operationName=A&id=1&doc_id=1", "unknown"},
        {"extensions={\"persistedQuery\":{}}", "unknown"},
        {"operationName=A&extensions={}", "unknown"},
        {"operationName=A&extensions={\"persistedQuery\":1}", "unknown"},
        {"operationName=A&extensions=[]", "unknown"},
        {"operationName=A&extensions={", "unknown"},
        {"operationName=A%00&id=x", "unknown"},
        {"operationName=A+B&id=x", "unknown"},
        {"query={a}&query={a}", "unknown"},
        {"query={a}&query=", "unknown"},
        {"query={a}&operationName=&operationName=", "unknown"},
        {"query={a}&variables=1&variables=2", "unknown"},
        {"query={a}&extensions={}&extensions={}", "unknown"},
        {"query={a}&id=1", "unknown"},
        {"query=%", "unknown"},
        {"query={a}%2", "unknown"},
        {"query={a}%2g", "unknown"},
        {"query={a}&variables=%", "unknown"},
        {"query={a}&operationName=%", "unknown"},
        {"query={a}%00", "unknown"},
        {"query={a%23%ff%0a}", "unknown"},
        {"query={a}&x%=1", "unknown"},
        {"x%z=1", "unknown"},
        {"Query={a}", "unknown"},
        {"query={a}&QUERY={b}", "unknown"},
        {"query={a}&query[]={b}", "unknown"},
        {"query={a}&query[x]={b}", "unknown"},
        {"query={a}&+query={b}", "unknown"},
        {"query={a}&query+={b}", "unknown"},
        {"query={a}&query%00x={b}", "unknown"},
        {"query={a}&doc.id=1", "unknown"},
        {"query={a}&doc+id=1", "unknown"},
        {"query={a}&exten%c5%bfions={}", "unknown"},
        {"query={a};query={b}", "unknown"},
        {"x=1;query={b}", "unknown"},
        {"query={a}&x=;", "unknown"},
    };

    check_rows(etv_graphql_request_args, rows, ETV_ROWS(rows));
    ck_assert_str_eq(read_bytes(etv_graphql_request_args, "query={a}\0", 10), "unknown");
    ck_assert_str_eq(read_bytes(etv_graphql_request_args, "x=\0&query={a}", 13), "reads: q");
}
END_TEST

/* A body with anything else in it may be JSON, or a document, for a server that does not ask for
 * the media type. */
START_TEST(test_form)
{
    static const row_t rows[] = {
        {"query={a}", "reads: q"},
        {"&query=query+A{a}&operationName=A&variables={}&extensions=&", "reads: qA"},
        {"operationName=A&id=x", "named: nA"},
        {"", "-"},
        {"a=1", "-"},
        {"query={a}&x=1", "unknown"},
        {"x&query={a}", "unknown"},
        {"{\"query\":\"mutation{x}\",\"z\":\"&query={a}&\"}", "unknown"},
        {"mutation{x(a:\"&query={a}&\")}", "unknown"},
    };

    check_rows(etv_graphql_request_form, rows, ETV_ROWS(rows));
}
END_TEST

START_TEST(test_document)
{
    static const row_t rows[] = {
        {"query A{a}", "reads: qA"},
        {"mutation{a}", "changes: m"},
        {"{a} fragment F on T{b}", "reads: q"},
        {"subscription S{a}", "listens: sS"},
        {"query A{a} query B{b}", "unknown"},
        {"", "unknown"},
        {"{\"query\":\"{a}\"}", "unknown"},
        {"query={a}", "unknown"},
    };

    check_rows(etv_graphql_request_document, rows, ETV_ROWS(rows));
}
END_TEST

START_TEST(test_limits)
{
    apr_size_t big = ETV_GRAPHQL_BODY_MOST + 1;
    char *text = apr_palloc(pool, big + 1);
    char name[ETV_GRAPHQL_NAME_MOST + 2];
    const char *body;

    memset(text, ' ', big);
    text[big] = '\0';
    memcpy(text, "{a}", 3);
    ck_assert_str_eq(read_bytes(etv_graphql_request_document, text, big - 1), "reads: q");
    ck_assert_str_eq(read_bytes(etv_graphql_request_document, text, big), "unknown");
    memcpy(text, "{\"query\":\"{a}\"}", 15);
    ck_assert_str_eq(read_bytes(etv_graphql_request_json, text, big - 1), "reads: q");
    ck_assert_str_eq(read_bytes(etv_graphql_request_json, text, big), "unknown");
    memset(text, '&', big);
    memcpy(text, "query={a}", 9);
    ck_assert_str_eq(read_bytes(etv_graphql_request_form, text, big - 1), "reads: q");
    ck_assert_str_eq(read_bytes(etv_graphql_request_form, text, big), "unknown");
    memset(text, '[', big);
    ck_assert_str_eq(read_bytes(etv_graphql_request_json, text, big - 1), "unknown");
    memset(name, 'n', sizeof(name));
    name[ETV_GRAPHQL_NAME_MOST] = '\0';
    body = apr_psprintf(pool, "query %s{a}", name);
    ck_assert_str_eq(read_bytes(etv_graphql_request_document, body, strlen(body)),
                     apr_psprintf(pool, "reads: q%s", name));
    body = apr_psprintf(pool, "query %sn{a}", name);
    ck_assert_str_eq(read_bytes(etv_graphql_request_document, body, strlen(body)), "unknown");
    body = apr_psprintf(pool, "operationName=%sn&id=x", name);
    ck_assert_str_eq(read_bytes(etv_graphql_request_form, body, strlen(body)), "unknown");
}
END_TEST

/* A request beside a list that holds `n` lists, one in another or side by side. */
static const char *read_lists(int n, int nested)
{
    char *text = apr_pcalloc(pool, 100 + 3 * (apr_size_t)n), *to = text;

    to += strlen(strcpy(to, "{\"query\":\"{a}\",\"variables\":{\"x\":["));
    for (int i = 0; i < n; i++)
        to += strlen(strcpy(to, nested ? "[" : i ? ",[]" : "[]"));
    for (int i = 0; nested && i < n; i++)
        *to++ = ']';
    strcpy(to, "]}}");
    return read_bytes(etv_graphql_request_json, text, strlen(text));
}

START_TEST(test_nesting)
{
    ck_assert_str_eq(read_lists(61, 1), "reads: q");
    ck_assert_str_eq(read_lists(62, 1), "unknown");
    ck_assert_str_eq(read_lists(4093, 0), "reads: q");
    ck_assert_str_eq(read_lists(4094, 0), "unknown");
}
END_TEST

START_TEST(test_is_in)
{
    static const struct {
        const char *args;
        int expected;
    } rows[] = {
        {NULL, 0},          {"", 0},           {"&;&", 0},        {"a=query", 0},
        {"a=1&b=%zz", 0},   {"queryx=1", 0},   {"query_id=1", 1}, {"query=", 1},
        {"query", 1},       {"a&query=1", 1},  {"a;query=1", 1},  {"operationName=1", 1},
        {"variables=1", 1}, {"extensions", 1}, {"id=5", 1},       {"documentId=5", 1},
        {"doc_id=5", 1},    {"%69d=5", 1},     {"QUERY=1", 1},    {"query[]=1", 1},
        {"+query=1", 1},    {"a%zz=1", 1},     {"a%=1", 1},       {"ids=5", 0},
    };

    for (apr_size_t i = 0; i < ETV_ROWS(rows); i++)
        ck_assert_msg(etv_graphql_request_is_in(rows[i].args) == rows[i].expected, "%s",
                      rows[i].args);
}
END_TEST

START_TEST(test_matches)
{
    static const struct {
        const char *pattern, *name;
        int expected;
    } rows[] = {
        {"", "", 1},
        {"", "A", 0},
        {"*", "", 1},
        {"*", "Any", 1},
        {"?", "", 0},
        {"?", "A", 1},
        {"?", "AB", 0},
        {"A", "A", 1},
        {"A", "a", 0},
        {"A", "AB", 0},
        {"AB", "A", 0},
        {"_FPB_*", "_FPB_Any", 1},
        {"_FPB_*", "_FPB_", 1},
        {"_FPB_*", "_FPB", 0},
        {"*List", "SpectraList", 1},
        {"*List", "ListLists", 0},
        {"*List", "ListList", 1},
        {"S*m", "Spectrum", 1},
        {"S*m", "Sm", 1},
        {"S*m", "S", 0},
        {"*a*b*", "xxaxxbxx", 1},
        {"*a*b*", "xxbxxaxx", 0},
        {"**", "", 1},
        {"*?", "", 0},
        {"*?", "A", 1},
        {"?*?", "A", 0},
        {"?*?", "AB", 1},
        {"a?c", "abc", 1},
        {"a?c", "ac", 0},
        {"[a]", "a", 0},
        {"a*", "b", 0},
        {"*ab", "aab", 1},
        {"\\*", "*", 0},
    };
    char name[ETV_GRAPHQL_NAME_MOST + 1], pattern[201];

    for (apr_size_t i = 0; i < ETV_ROWS(rows); i++)
        ck_assert_msg(etv_graphql_request_matches(rows[i].pattern, rows[i].name) ==
                          rows[i].expected,
                      "%s %s", rows[i].pattern, rows[i].name);
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    for (apr_size_t i = 0; i < 200; i += 2)
        memcpy(pattern + i, "*a", 2);
    pattern[199] = 'b';
    pattern[200] = '\0';
    ck_assert_int_eq(etv_graphql_request_matches(pattern, name), 0);
    name[ETV_GRAPHQL_NAME_MOST - 1] = 'b';
    ck_assert_int_eq(etv_graphql_request_matches(pattern, name), 1);
}
END_TEST

int main(void)
{
    return etv_check_run("graphql_request",
                         (const TTest *[]){test_json, test_batches, test_args, test_form,
                                           test_document, test_limits, test_nesting, test_is_in,
                                           test_matches, NULL});
}
