/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_check.h"

#include <apr_strings.h>

#include "core/cache_control.h"

START_TEST(test_merge)
{
    static const struct {
        const char *a, *b, *merged;
    } rows[] = {
        {NULL, NULL, NULL},
        {"", " ,\t", NULL},
        {"Max-Age=060", NULL, "max-age=60"},
        {NULL, "no-store,private", "no-store, private"},
        /* smallest lifetimes */
        {"max-age=60", "max-age=10", "max-age=10"},
        {"max-age=10", "max-age=60", "max-age=10"},
        {"max-age=60, max-age=10", NULL, "max-age=10"},
        {"max-age=\"60\"", "max-age=70", "max-age=60"},
        {"max-age=60", "stale-while-revalidate=5, stale-if-error=9", "max-age=60"},
        {"private", "max-age=60, stale-while-revalidate=5",
         "private, max-age=60, "
         "stale-while-revalidate=5"},
        {"max-age=60, stale-if-error=9", NULL, "max-age=60, stale-if-error=9"},
        {"max-age=9, stale-if-error=9", "max-age=5, stale-if-error=3",
         "max-age=5, stale-if-error=3"},
        {"no-cache", "stale-if-error=9", "no-cache"},
        {"stale-while-revalidate=7", "stale-while-revalidate=5", "stale-while-revalidate=5"},
        {"max-age=2147483648", "max-age=99999999999999999999999999", "max-age=2147483648"},
        {"max-age=ten", "max-age=60", "max-age=0"},
        {"max-age", "max-age=60", "max-age=0"},
        {"max-age=", "", "max-age=0"},
        {"max-age=-1", "", "max-age=0"},
        {"max-age=1.5", "", "max-age=0"},
        {"max-age=60;", "", "max-age=0"},
        {"max-age =60", "", "max-age=0"},
        {"max-age=\"6\\0\"", "", "max-age=0"},
        /* one side's s-maxage does not lengthen the other's max-age for shared caches */
        {"max-age=10", "s-maxage=3600", "max-age=10, s-maxage=10"},
        {"max-age=10, s-maxage=3600", NULL, "max-age=10, s-maxage=3600"},
        {"max-age=10, s-maxage=3600", "max-age=5", "max-age=5, s-maxage=5"},
        {"max-age=10, s-maxage=20", "max-age=5, s-maxage=30", "max-age=5, s-maxage=20"},
        {"max-age=100", "s-maxage=10", "max-age=100, s-maxage=10"},
        /* strictest wins */
        {"public, max-age=60", "private", "max-age=60, private"},
        {"private=\"A\"", "public", "private=\"A\""},
        {"no-store", "public, max-age=60", "no-store, public, max-age=60"},
        {"must-revalidate", "no-transform, proxy-revalidate, NO-CACHE",
         "must-revalidate, no-transform, proxy-revalidate, no-cache"},
        {"immutable, max-age=60", "max-age=60", "immutable, max-age=60"},
        {"immutable, max-age=60", "max-age=0", "max-age=0"},
        {"immutable", NULL, "immutable"},
        {"no-store=1, immutable=x", "must-revalidate=\"a\"",
         "no-store, immutable, must-revalidate"},
        /* must-understand undoes a no-store beside it */
        {"no-store", "must-understand, max-age=60", "no-store, max-age=60"},
        {"must-understand", "no-store", "no-store"},
        {"must-understand, no-store", NULL, "must-understand, no-store"},
        {"must-understand, no-store", "must-understand", "must-understand, no-store"},
        {"must-understand, no-store", "no-store", "no-store"},
        /* lists of fields */
        {"private=\"A, b\"", "private=B", "private=\"A, b\""},
        {"private=\"A\"", "private=\"C,D\"", "private=\"A, C, D\""},
        {"private=\"A\", max-age=1, private=\"B\"", NULL, "private=\"A, B\", max-age=1"},
        {"private=\"A\"", "private", "private"},
        {"no-cache", "no-cache=\"A\"", "no-cache"},
        {"no-cache=\"A\"", "private", "no-cache=\"A\", private"},
        {"private=\"\"", NULL, "private"},
        {"private=\"*\"", NULL, "private"},
        {"private=\"A B\"", NULL, "private"},
        {"private=\"A\\B\"", NULL, "private"},
        {"private=\"A", NULL, "private"},
        /* unknown ones are kept, each once */
        {"ext=1, ext=2, EXT=1", "other=\"x, y\", ext=2", "ext=1, ext=2, other=\"x, y\""},
        {"ext=\"a\\\"b\"", "ext", "ext=\"a\\\"b\", ext"},
        /* malformed */
        {"private=\"a, no-store", "public", "private, no-store"},
        {"private=\"a", "no-store=\"b\"", "private, no-store"},
        {"ext=\"a\"b, no-store", NULL, "ext=\"\\\"a\\\"b\", no-store"},
        {"ext=a\"b, no-store", NULL, "ext=\"a\\\"b\", no-store"},
        {"ext=\"a\\", "b", "ext=\"\\\"a\\\\\", b"},
        {"no-cache; no-store", NULL, "no-cache, no-store"},
        {"private no-store", NULL, "private, no-store"},
        {"x= private", NULL, "x=\"\", private"},
        {"\"no-store\", private", NULL, "private"},
        {"@x, =y, \"z, private", NULL, "private"},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        const char *merged = etv_cache_control_merge(pool, rows[i].a, rows[i].b);

        if (!rows[i].merged) {
            ck_assert_ptr_null(merged);
            continue;
        }
        ck_assert_ptr_nonnull(merged);
        ck_assert_str_eq(merged, rows[i].merged);
        ck_assert_str_eq(etv_cache_control_merge(pool, merged, merged), merged);
        ck_assert_str_eq(etv_cache_control_merge(pool, merged, rows[i].a), merged);
        ck_assert_str_eq(etv_cache_control_merge(pool, merged, rows[i].b), merged);
    }
}
END_TEST

static const char *many(int n, const char *format)
{
    char *all = apr_palloc(pool, (apr_size_t)n * 40 + 1);
    char *at = all;

    *at = '\0';
    for (int i = 0; i < n; i++) {
        at += apr_snprintf(at, 40, "%s", i ? ", " : "");
        /* the formats are literals of this file */
        at += apr_snprintf(at, 40, "%s%d%s", format, i, strchr(format, '"') ? "\"" : "");
    }
    return all;
}

START_TEST(test_limit)
{
    const char *most = many(ETV_CACHE_CONTROL_MOST, "x");
    const char *more = many(ETV_CACHE_CONTROL_MOST + 1, "x");
    const char *lists = many(ETV_CACHE_CONTROL_MOST + 1, "private=\"x");
    const char *lifes = many(100000, "max-age=1");

    ck_assert_str_eq(etv_cache_control_merge(pool, most, most), most);
    ck_assert_str_eq(etv_cache_control_merge(pool, more, NULL), "no-store");
    ck_assert_str_eq(etv_cache_control_merge(pool, NULL, more), "no-store");
    ck_assert_str_eq(etv_cache_control_merge(pool, most, "y"), "no-store");
    ck_assert_str_eq(etv_cache_control_merge(pool, lists, NULL), "no-store");
    ck_assert_str_eq(etv_cache_control_merge(pool, lifes, lifes), "max-age=10");
}
END_TEST

/* Quotes and escapes by the hundred thousand must not take quadratic time. */
START_TEST(test_linear)
{
    static const char *const parts[] = {"a=\"",  "a=\"\\", "\"",   "\",\"", "a=\"\\\",",
                                        ",\"\\", "\\\"",   " \"a", "=",     "a="};

    for (size_t i = 0; i < ETV_ROWS(parts); i++) {
        apr_size_t len = strlen(parts[i]);
        char *text = apr_palloc(pool, len * 300000 + 16);

        for (size_t n = 0; n < 300000; n++) {
            memcpy(text + n * len, parts[i], len);
        }
        memcpy(text + len * 300000, " , no-store", 12);
        etv_cache_control_has(text, "no-store");
        etv_cache_control_merge(pool, text, text);
    }
}
END_TEST

START_TEST(test_has)
{
    static const struct {
        const char *field, *name;
        int has, bare;
    } rows[] = {
        {NULL, "private", 0, 0},
        {"", "private", 0, 0},
        {"private", "private", 1, 1},
        {"max-age=1,PRIVATE ,x", "private", 1, 1},
        {"private=\"A\"", "private", 1, 0},
        {"private=\"A\", private", "private", 1, 1},
        {"private=\"\"", "private", 1, 1},
        {"no-cache=\"A B\"", "no-cache", 1, 1},
        {"max-age=1", "max-age", 1, 0},
        {"max-age=", "max-age", 1, 0},
        {"private2, x-private, privat", "private", 0, 0},
        {"x=\"private, no-store\"", "private", 0, 0},
        {"x=\"a\\\", private, \"", "private", 0, 0},
        {"\"private\"", "private", 0, 0},
        {"x=private", "private", 0, 0},
        {"x=\"a, private", "private", 1, 1},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        ck_assert_msg(etv_cache_control_has(rows[i].field, rows[i].name) == rows[i].has, "%s",
                      rows[i].field);
        ck_assert_msg(etv_cache_control_has_bare(rows[i].field, rows[i].name) == rows[i].bare, "%s",
                      rows[i].field);
    }
}
END_TEST

START_TEST(test_without)
{
    static const char *const names[] = {"public", "s-maxage", "must-revalidate", NULL};
    static const struct {
        const char *field, *rest;
    } rows[] = {
        {"Public, Max-Age=1,x=\"a, public\"", "max-age=1, x=\"a, public\""},
        {"s-maxage=1, PUBLIC", NULL},
        {"a=\"b,must-revalidate, c", "a=\"\\\"b\", c"},
        {"public,a,a", "a, a"},
    };
    const char *same = "Max-Age=1,,x ";

    ck_assert_ptr_null(etv_cache_control_without(pool, NULL, names));
    ck_assert_ptr_eq(etv_cache_control_without(pool, same, names), same);
    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        const char *rest = etv_cache_control_without(pool, rows[i].field, names);

        if (rows[i].rest) {
            ck_assert_str_eq(rest, rows[i].rest);
        } else {
            ck_assert_ptr_null(rest);
        }
    }
}
END_TEST

START_TEST(test_check)
{
    static const struct {
        const char *text;
        const char *normal; /* NULL: wrong */
        const char *says;   /* then this is in the sentence */
    } rows[] = {
        {"max-age=60", "max-age=60", NULL},
        {" Private ,NO-CACHE=\"Set-Cookie, A\",  x=Y, z=\"a\\\"b\" ",
         "private, no-cache=\"Set-Cookie, A\", x=Y, z=\"a\\\"b\"", NULL},
        {"max-age=\"60\"", "max-age=\"60\"", NULL},
        {"max-age=2147483647", "max-age=2147483647", NULL},
        {"", NULL, "at least one"},
        {"  ", NULL, "at least one"},
        {"a,,b", NULL, "missing"},
        {"a,", NULL, "missing"},
        {",a", NULL, "missing"},
        {"max-age=1h", NULL, "whole seconds"},
        {"max-age", NULL, "whole seconds"},
        {"s-maxage=-1", NULL, "whole seconds"},
        {"max-age=2147483648", NULL, "at most"},
        {"max-age = 60", NULL, "white space"},
        {"max-age= 60", NULL, "name=token"},
        {"max-age=", NULL, "name=token"},
        {"a=\"b", NULL, "name=token"},
        {"a=\"b\x01\"", NULL, "name=token"},
        {"a;b", NULL, "name=token"},
        {"a=b;c", NULL, "name=token"},
        {"=a", NULL, "begin"},
        {"\"a\"", NULL, "begin"},
        {"private max-age=60", NULL, "comma is missing"},
        {"no-store=1", NULL, "takes no argument"},
        {"private=\"a b\"", NULL, "list of field names"},
        {"public, private", NULL, "contradict"},
        {"max-age=1, Max-Age=2", NULL, "twice"},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        const char *normal = NULL;
        const char *wrong = etv_cache_control_check(pool, rows[i].text, &normal);

        if (rows[i].normal) {
            ck_assert_msg(!wrong, "%s: %s", rows[i].text, wrong);
            ck_assert_str_eq(normal, rows[i].normal);
        } else {
            ck_assert_msg(wrong && strstr(wrong, rows[i].says), "%s: %s", rows[i].text, wrong);
        }
    }
    ck_assert_ptr_nonnull(strstr(
        etv_cache_control_check(pool, many(ETV_CACHE_CONTROL_MOST + 1, "x"), &(const char *){NULL}),
        "more than"));
}
END_TEST

int main(void)
{
    return etv_check_run("cache_control",
                         (const TTest *[]){test_merge, test_limit, test_linear, test_has,
                                           test_without, test_check, NULL});
}
