/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_check.h"

#include <apr_strings.h>

#include "core/admin_request.h"
#include "core/version_json.h"

typedef const char *read_fn(apr_pool_t *p, etv_admin_request_t *request, const char *text,
                            apr_size_t len);

/* What was understood, as `model`, `model?digest`, with commas; or the reason. */
static const char *read_bytes(read_fn *read, const char *text, apr_size_t len)
{
    etv_admin_request_t *request = apr_pcalloc(pool, sizeof(*request));
    const char *out = "", *wrong;
    char *exact = malloc(len ? len : 1); /* so that sanitizers see a read beyond it */

    memcpy(exact, text, len);
    wrong = read(pool, request, exact, len);
    free(exact);
    if (wrong)
        return apr_pstrcat(pool, "wrong: ", wrong, NULL);
    for (int i = 0; i < request->n; i++) {
        const etv_admin_bump_t *bump = request->bumps + i;

        ck_assert_uint_eq(bump->model_len, strlen(bump->model));
        out = apr_pstrcat(pool, out, i ? "," : "", bump->model, bump->digest ? "?" : "",
                          bump->digest ? bump->digest : "", NULL);
    }
    return out;
}

typedef struct {
    const char *text;
    const char *expected; /* NULL: wrong */
} row_t;

static void check_rows(read_fn *read, const row_t *rows, apr_size_t n)
{
    for (apr_size_t i = 0; i < n; i++) {
        const char *got = read_bytes(read, rows[i].text, strlen(rows[i].text));

        if (rows[i].expected)
            ck_assert_msg(strcmp(got, rows[i].expected) == 0, "%s: %s", rows[i].text, got);
        else
            ck_assert_msg(strncmp(got, "wrong: ", 7) == 0, "%s: %s", rows[i].text, got);
    }
}

START_TEST(test_form)
{
    static const row_t rows[] = {
        {"", ""},
        {"&&", ""},
        {"model=a", "a"},
        {"model=a&model=b", "a,b"},
        {"model=a&&model=b&", "a,b"},
        {"model=a&model=a", "a"},
        {"model=a&if-digest=x", "a?x"},
        {"if-digest=x&model=a", "a?x"},
        {"%6Dodel=a%2eB%20c+d", "a.B c d"},
        {"model=a%26b%3dc", "a&b=c"},
        {"model=a=b", "a=b"},
        {"model=%C3%A9", "\xc3\xa9"},
        {"model=a&if-digest=sha-256=:Zg%3D%3D:", "a?sha-256=:Zg==:"},
        {"model", NULL},
        {"model=", NULL},
        {"=a", NULL},
        {"Model=a", NULL},
        {"models=a", NULL},
        {"model=a&x=1", NULL},
        {"model=%", NULL},
        {"model=%4", NULL},
        {"model=%4g", NULL},
        {"model=%g4", NULL},
        {"mod%el=a", NULL},
        {"model=a%00b", NULL},
        {"model=a%0ab", NULL},
        {"model=a%7f", NULL},
        {"model=%25epoch", NULL},
        {"model=%ff", NULL},
        {"model=%ed%a0%80", NULL},
        {"model=%c0%af", NULL},
        {"if-digest=x", NULL},
        {"model=a&model=b&if-digest=x", NULL},
        {"model=a&model=a&if-digest=x", NULL},
        {"model=a&if-digest=x&if-digest=x", NULL},
        {"model=a&if-digest=", NULL},
        {"model=a&if-digest", NULL},
        {"model=a&if-digest=a+b", NULL},
        {"model=a&if-digest=%c3%a9", NULL},
        {"model=a&if-digest=a%00b", NULL},
    };

    check_rows(etv_admin_request_form, rows, ETV_ROWS(rows));
    ck_assert_int_eq(strncmp(read_bytes(etv_admin_request_form, "model=a\0b", 9), "wrong: ", 7), 0);
}
END_TEST

START_TEST(test_json)
{
    static const row_t rows[] = {
        {"{\"models\":[]}", ""},
        {"{\"models\":[\"a\",\"b\"]}", "a,b"},
        {" {\t\"models\" : [ \"a\" , \"a\" ] }\n", "a"},
        {"{\"model\":\"a\"}", "a"},
        {"{\"model\":\"a\",\"if-digest\":\"x\"}", "a?x"},
        {"{\"bumps\":[{\"model\":\"a\",\"if-digest\":\"x\"},{\"model\":\"b\"}]}", "a?x,b"},
        {"{\"bumps\":[]}", ""},
        {"{\"model\":\"\\u00e9\\ud83d\\ude00\"}", "\xc3\xa9\xf0\x9f\x98\x80"},
        {"{\"model\":\"[[[[[[[[[[[[{{{{{{{{{\\\"[[[[\"}", "[[[[[[[[[[[[{{{{{{{{{\"[[[["},
        {"", NULL},
        {"{", NULL},
        {"{}", NULL},
        {"[]", NULL},
        {"[\"a\"]", NULL},
        {"\"a\"", NULL},
        {"null", NULL},
        {"{\"models\":\"a\"}", NULL},
        {"{\"models\":{}}", NULL},
        {"{\"models\":[1]}", NULL},
        {"{\"models\":[null]}", NULL},
        {"{\"models\":[[\"a\"]]}", NULL},
        {"{\"models\":[{\"model\":\"a\"}]}", NULL},
        {"{\"models\":[\"a\"],\"bumps\":[]}", NULL},
        {"{\"models\":[\"a\"],\"model\":\"a\"}", NULL},
        {"{\"models\":[\"a\"],\"if-digest\":\"x\"}", NULL},
        {"{\"models\":[\"a\"],\"x\":1}", NULL},
        {"{\"model\":1}", NULL},
        {"{\"model\":\"a\",\"if-digest\":1}", NULL},
        {"{\"model\":\"a\",\"if-digest\":null}", NULL},
        {"{\"model\":\"a\",\"if-digest\":\"\"}", NULL},
        {"{\"model\":\"a\",\"x\":\"b\"}", NULL},
        {"{\"if-digest\":\"a\"}", NULL},
        {"{\"model\":\"a\",\"model\":\"b\"}", NULL},
        {"{\"models\":[\"a\"],\"models\":[\"a\"]}", NULL},
        {"{\"bumps\":[\"a\"]}", NULL},
        {"{\"bumps\":[{}]}", NULL},
        {"{\"bumps\":[{\"model\":\"a\",\"if-digest\":\"x\"},{\"model\":\"a\"}]}", NULL},
        {"{\"model\":\"\"}", NULL},
        {"{\"model\":\"%epoch\"}", NULL},
        {"{\"model\":\"a\\u0000b\"}", NULL},
        {"{\"model\":\"a\\nb\"}", NULL},
        {"{\"model\":\"a\nb\"}", NULL},
        {"{\"model\":\"\\ud83d\"}", NULL},
        {"{\"model\":\"\xff\"}", NULL},
        {"{\"model\":\"a\"} x", NULL},
        {"{\"model\":\"a\"}{}", NULL},
        {"{'model':'a'}", NULL},
        {"{\"models\":[\"a\",]}", NULL},
        {"{\"models\":[[[[[[[[[[\"a\"]]]]]]]]]]}", NULL},
    };

    check_rows(etv_admin_request_json, rows, ETV_ROWS(rows));
}
END_TEST

START_TEST(test_reasons_repeat_nothing)
{
    static const char *const forms[] = {"model=%25SECRET", "SECRET=1", "model=a&if-digest=SE+CRET"};

    for (apr_size_t i = 0; i < ETV_ROWS(forms); i++) {
        const char *got = read_bytes(etv_admin_request_form, forms[i], strlen(forms[i]));

        ck_assert_msg(!strstr(got, "CRET"), "%s", got);
    }
    ck_assert_ptr_null(strstr(
        read_bytes(etv_admin_request_json, "{\"SECRET\" SECRET", strlen("{\"SECRET\" SECRET")),
        "SECRET"));
}
END_TEST

/* A million of anything is refused without much ado. */
START_TEST(test_limits)
{
    char *big = apr_pcalloc(pool, ETV_ADMIN_BODY_MOST + 1);
    const char *many = "";
    char *name = apr_pcalloc(pool, 400);

    memset(big, '[', ETV_ADMIN_BODY_MOST);
    ck_assert_ptr_nonnull(
        strstr(read_bytes(etv_admin_request_json, big, ETV_ADMIN_BODY_MOST), "too deeply"));
    memset(big, '&', ETV_ADMIN_BODY_MOST);
    ck_assert_str_eq(read_bytes(etv_admin_request_form, big, ETV_ADMIN_BODY_MOST), "");

    for (int i = 0; i < ETV_ADMIN_BUMPS_MOST; i++)
        many = apr_psprintf(pool, "%s&model=m%d", many, i);
    ck_assert_int_ne(strncmp(read_bytes(etv_admin_request_form, many, strlen(many)), "wrong", 5),
                     0);
    many = apr_pstrcat(pool, many, "&model=m0", NULL); /* one that is there already */
    ck_assert_int_ne(strncmp(read_bytes(etv_admin_request_form, many, strlen(many)), "wrong", 5),
                     0);
    many = apr_pstrcat(pool, many, "&model=more", NULL);
    ck_assert_ptr_nonnull(
        strstr(read_bytes(etv_admin_request_form, many, strlen(many)), "at most 128"));

    strcpy(name, "model=");
    memset(name + 6, 'n', 256);
    ck_assert_str_eq(read_bytes(etv_admin_request_form, name, strlen(name)), name + 6);
    name[6 + 256] = 'n';
    ck_assert_int_eq(strncmp(read_bytes(etv_admin_request_form, name, strlen(name)), "wrong: ", 7),
                     0);
    strcpy(name, "model=m&if-digest=");
    memset(name + 18, 'd', 128);
    name[18 + 128] = '\0';
    ck_assert_str_eq(read_bytes(etv_admin_request_form, name, strlen(name)),
                     apr_pstrcat(pool, "m?", name + 18, NULL));
    name[18 + 128] = 'd';
    name[18 + 129] = '\0';
    ck_assert_int_eq(strncmp(read_bytes(etv_admin_request_form, name, strlen(name)), "wrong: ", 7),
                     0);
}
END_TEST

START_TEST(test_two_sources)
{
    etv_admin_request_t request;
    static const char query[] = "model=a&if-digest=x", body[] = "{\"models\":[\"b\",\"c\"]}";

    memset(&request, 0, sizeof(request));
    ck_assert_ptr_null(etv_admin_request_form(pool, &request, query, strlen(query)));
    ck_assert_ptr_null(etv_admin_request_json(pool, &request, body, strlen(body)));
    ck_assert_int_eq(request.n, 3);
    ck_assert_str_eq(request.bumps[0].digest, "x");
    ck_assert_ptr_null(request.bumps[1].digest);
    /* the same model without the condition */
    ck_assert_ptr_nonnull(etv_admin_request_form(pool, &request, "model=a", 7));
}
END_TEST

/* --- versions --- */

static const char *shown(const void *token, apr_size_t len)
{
    json_t *object = json_object();
    char *text;
    const char *copy;

    etv_version_json_add(object, token, len);
    text = json_dumps(object, JSON_COMPACT);
    copy = apr_pstrdup(pool, text);
    free(text);
    json_decref(object);
    return copy;
}

START_TEST(test_versions)
{
    static const struct {
        const char *token;
        apr_size_t len;
        const char *expected;
    } rows[] = {
        {"1", 1, "{\"version\":\"1\"}"},
        {"a\"b", 3, "{\"version\":\"a\\\"b\"}"},
        {"", 0, "{\"version\":null,\"version_base64\":\"\"}"},
        {"a b", 3, "{\"version\":null,\"version_base64\":\"YSBi\"}"},
        {"\0\xff", 2, "{\"version\":null,\"version_base64\":\"AP8=\"}"},
        {"1700000000123456789", 19,
         "{\"version\":\"1700000000123456789\",\"token_time\":\"2023-11-14T22:13:20.123456Z\"}"},
        {"1420070400000000000", 19,
         "{\"version\":\"1420070400000000000\",\"token_time\":\"2015-01-01T00:00:00.000000Z\"}"},
        {"1420070399999999999", 19, "{\"version\":\"1420070399999999999\"}"},
        {"4102444800000000000", 19, "{\"version\":\"4102444800000000000\"}"},
        {"9999999999999999999", 19, "{\"version\":\"9999999999999999999\"}"},
        {"170000000012345678x", 19, "{\"version\":\"170000000012345678x\"}"},
    };
    unsigned char longest[ETV_TOKEN_SHORT_MOST];

    for (apr_size_t i = 0; i < ETV_ROWS(rows); i++)
        ck_assert_str_eq(shown(rows[i].token, rows[i].len), rows[i].expected);
    memset(longest, 'x', sizeof(longest));
    ck_assert_str_eq(shown(longest, sizeof(longest)), "{\"version\":null,\"opaque\":true}");
    memset(longest, 0xff, sizeof(longest));
    ck_assert_ptr_nonnull(strstr(shown(longest, sizeof(longest) - 1), "version_base64"));
}
END_TEST

int main(void)
{
    return etv_check_run("admin_request",
                         (const TTest *[]){test_form, test_json, test_reasons_repeat_nothing,
                                           test_limits, test_two_sources, test_versions, NULL});
}
