/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_check.h"

#include <apr_strings.h>

#include "core/vary.h"

START_TEST(test_next)
{
    static const struct {
        const char *field, *members;
    } rows[] = {
        {NULL, ""},  {"", ""}, {" ,\t, ", ""}, {"A", "A|"}, {" A ,,\tB\t, C d ,", "A|B|C d|"},
        {"*", "*|"},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        const char *cursor = rows[i].field;
        const char *name, *all = "";
        apr_size_t len;

        while (etv_vary_next(&cursor, &name, &len)) {
            all = apr_psprintf(pool, "%s%.*s|", all, (int)len, name);
        }
        ck_assert_str_eq(all, rows[i].members);
        ck_assert_int_eq(etv_vary_next(&cursor, &name, &len), 0);
    }
}
END_TEST

START_TEST(test_has)
{
    ck_assert(etv_vary_has("Cookie, Accept-Encoding", "accept-encoding"));
    ck_assert(etv_vary_has("cookie", "Cookie"));
    ck_assert(!etv_vary_has("X-Cookie, Cookie2", "Cookie"));
    ck_assert(!etv_vary_has(NULL, "Cookie"));
    ck_assert(!etv_vary_has("*", "Cookie"));
    ck_assert(!etv_vary_has("*", "*"));
    ck_assert(etv_vary_has_any("*"));
    ck_assert(etv_vary_has_any("Cookie, * "));
    ck_assert(!etv_vary_has_any("Cookie, **, a*"));
    ck_assert(!etv_vary_has_any(NULL));
}
END_TEST

START_TEST(test_union)
{
    static const struct {
        const char *a, *b, *both;
        char which; /* `a`, `b`: must be that argument itself */
    } rows[] = {
        {NULL, NULL, NULL, 0},       {"", " , ", NULL, 0},
        {"A, B", NULL, "A, B", 'a'}, {NULL, "A", "A", 'b'},
        {"A, B", "b", "A, B", 'a'},  {"a", "A", "a", 'a'},
        {"A", "a, b", "A, b", 0},    {"A", "A, B", "A, B", 'b'},
        {"A,B", "A", "A, B", 0},     {" A", "", "A", 0},
        {"A, A", NULL, "A", 0},      {"Cookie", "Accept-Encoding", "Cookie, Accept-Encoding", 0},
        {"Cookie", "*", "*", 0},     {"*, Cookie", "A", "*", 0},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        const char *both = etv_vary_union(pool, rows[i].a, rows[i].b);

        if (!rows[i].both) {
            ck_assert_ptr_null(both);
            continue;
        }
        ck_assert_str_eq(both, rows[i].both);
        if (rows[i].which) {
            ck_assert_ptr_eq(both, rows[i].which == 'a' ? rows[i].a : rows[i].b);
        }
    }
}
END_TEST

START_TEST(test_same)
{
    ck_assert(etv_vary_same("A, b", "B,a,A"));
    ck_assert(etv_vary_same(NULL, " ,"));
    ck_assert(!etv_vary_same("A", "A, B"));
    ck_assert(!etv_vary_same("A, B", "A"));
    ck_assert(!etv_vary_same("A", NULL));
    ck_assert(etv_vary_same("*", "A, *"));
    ck_assert(!etv_vary_same("*", "A"));
    ck_assert(!etv_vary_same("A", "*"));
}
END_TEST

/* n members x0, x1, … */
static const char *many(int from, int n)
{
    const char *all = "";

    for (int i = from; i < from + n; i++) {
        all = apr_psprintf(pool, "%s,x%d", all, i);
    }
    return all;
}

START_TEST(test_limit)
{
    const char *most = many(0, ETV_VARY_MOST);
    const char *more = many(0, ETV_VARY_MOST + 1);

    ck_assert(!etv_vary_has_any(most));
    ck_assert(etv_vary_has_any(more));
    ck_assert_str_ne(etv_vary_union(pool, most, most), "*");
    ck_assert_str_eq(etv_vary_union(pool, more, NULL), "*");
    ck_assert_str_eq(etv_vary_union(pool, most, "y"), "*");
    ck_assert(etv_vary_same(most, most));
    ck_assert(!etv_vary_same(most, more));
    ck_assert(!etv_vary_same(most, many(1, ETV_VARY_MOST)));
}
END_TEST

START_TEST(test_field_name)
{
    ck_assert(etv_vary_is_field_name("Accept-Encoding"));
    ck_assert(etv_vary_is_field_name("x!#$%&'*+-.^_`|~09AZaz"));
    ck_assert(!etv_vary_is_field_name(NULL));
    ck_assert(!etv_vary_is_field_name(""));
    for (int c = 1; c < 256; c++) {
        char name[2] = {(char)c, '\0'};
        int token = c < 128 && ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                                (c >= 'a' && c <= 'z') || strchr("!#$%&'*+-.^_`|~", c));

        ck_assert_int_eq(etv_vary_is_field_name(name), token);
    }
}
END_TEST

int main(void)
{
    return etv_check_run("vary", (const TTest *[]){test_next, test_has, test_union, test_same,
                                                   test_limit, test_field_name, NULL});
}
