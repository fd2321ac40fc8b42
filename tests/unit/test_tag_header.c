/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_check.h"

#include <apr_strings.h>

#include "core/tag_header.h"

enum {
    KEY = ETV_TAG_HEADER_SURROGATE_KEY,
    XKEY = ETV_TAG_HEADER_XKEY,
    TAG = ETV_TAG_HEADER_CACHE_TAG
};

/* The names are separated by `|`. */
static const char *value(int kind, const char *present, const char *list)
{
    etv_tag_header_name_t names[64];
    int n = 0;

    while (*list && n < 64) {
        names[n].name = list;
        names[n].len = strcspn(list, "|");
        list += names[n].len;
        list += *list == '|';
        n++;
    }
    return etv_tag_header_value(pool, (etv_tag_header_e)kind, present, names, n);
}

START_TEST(test_encode)
{
    static const struct {
        const char *name;
        apr_size_t len;
        const char *text;
    } rows[] = {
        {"proteins.Protein:egfp", 21, "proteins.Protein:egfp"},
        {"a b", 3, "a%20b"},
        {"a,b", 3, "a%2Cb"},
        {"50%", 3, "50%25"},
        {"a%20b", 5, "a%2520b"},
        {"\xc3\xbc", 2, "%C3%BC"},
        {"a\0b", 3, "a%00b"},
        {"\r\nX: y\x7f", 7, "%0D%0AX:%20y%7F"},
        {"!\"#$&'()*+-./:;<=>?@[\\]^_`{|}~", 30, "!\"#$&'()*+-./:;<=>?@[\\]^_`{|}~"},
        {"", 0, ""},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++)
        ck_assert_str_eq(etv_tag_header_encode(pool, rows[i].name, rows[i].len), rows[i].text);
}
END_TEST

/* No two names are one when encoded, and none has a byte that separates. */
START_TEST(test_encode_each_byte)
{
    for (int c = 0; c < 256; c++) {
        char name[1] = {(char)c};
        const char *text = etv_tag_header_encode(pool, name, 1);

        ck_assert_int_eq((int)strcspn(text, " ,\t\r\n\x7f"), (int)strlen(text));
        if (text[1])
            ck_assert_int_eq((int)strtol(text + 1, NULL, 16), c);
        else
            ck_assert_int_eq((unsigned char)*text, c);
    }
}
END_TEST

START_TEST(test_value)
{
    static const struct {
        int kind;
        const char *present, *names, *all;
    } rows[] = {
        {KEY, NULL, "a|b", "a b"},
        {XKEY, NULL, "a|b", "a b"},
        {TAG, NULL, "a|b", "a,b"},
        {TAG, NULL, "a b|c,d", "a%20b,c%2Cd"},
        {KEY, "", "a", "a"},
        {KEY, NULL, "a|a|b|a", "a b"},
        {KEY, "x  y", "a", "x  y a"},
        {KEY, "a", "a", "a"},
        {KEY, "x a y", "a|b", "x a y b"},
        {KEY, "ab ba", "a|b", "ab ba a b"},
        {KEY, "A", "a", "A a"},
        {KEY, "a,b", "a|b", "a,b a b"}, /* one key to Fastly */
        {XKEY, "a,b", "a|b|c", "a,b c"},
        {TAG, "x , y", "y|x|z", "x , y,z"},
        {TAG, "x y", "x", "x y,x"},
        {TAG, "x,", "x|y", "x,,y"},
        {TAG, " ,, x", "x", " ,, x"},
        {KEY, "a%20b", "a b", "a%20b"},
        {KEY, " ", "a", "  a"},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++)
        ck_assert_str_eq(value(rows[i].kind, rows[i].present, rows[i].names), rows[i].all);
}
END_TEST

/* n times the same character. */
static char *times(apr_size_t n, char c)
{
    char *text = apr_palloc(pool, n + 1);

    memset(text, c, n);
    text[n] = '\0';
    return text;
}

START_TEST(test_longest_name)
{
    const char *most = times(ETV_TAG_HEADER_NAME_MOST, 'x');
    const char *more = times(ETV_TAG_HEADER_NAME_MOST + 1, 'x');

    for (int kind = 1; kind <= ETV_TAG_HEADER_KINDS; kind++) {
        ck_assert_str_eq(value(kind, NULL, most), most);
        ck_assert_ptr_null(value(kind, NULL, more));
        /* what counts is the encoded one */
        ck_assert_ptr_null(value(kind, NULL, times(ETV_TAG_HEADER_NAME_MOST / 3 + 1, ' ')));
        ck_assert_ptr_null(value(kind, more, apr_pstrcat(pool, "a|", more, NULL)));
    }
}
END_TEST

START_TEST(test_longest_value)
{
    for (int kind = 1; kind <= ETV_TAG_HEADER_KINDS; kind++) {
        apr_size_t most = etv_tag_header_most((etv_tag_header_e)kind);
        const char *present = times(most - 2, 'x');
        const char *all = value(kind, present, "a");

        ck_assert_ptr_nonnull(all);
        ck_assert_uint_eq(strlen(all), most);
        ck_assert_ptr_null(value(kind, present, "ab"));
        ck_assert_ptr_null(value(kind, present, "a|b"));
        ck_assert_ptr_null(value(kind, times(most, 'x'), "a"));
        /* what the application says is its own affair when there is nothing to add */
        present = apr_pstrcat(pool, times(most, 'x'),
                              etv_tag_header_separator((etv_tag_header_e)kind), "a", NULL);
        ck_assert_ptr_eq(value(kind, present, "a"), present);
    }
}
END_TEST

START_TEST(test_fields)
{
    ck_assert_str_eq(etv_tag_header_field(ETV_TAG_HEADER_SURROGATE_KEY), "Surrogate-Key");
    ck_assert_str_eq(etv_tag_header_field(ETV_TAG_HEADER_XKEY), "xkey");
    ck_assert_str_eq(etv_tag_header_field(ETV_TAG_HEADER_CACHE_TAG), "Cache-Tag");
    ck_assert_uint_lt(etv_tag_header_most(ETV_TAG_HEADER_XKEY), 8192);
}
END_TEST

int main(void)
{
    return etv_check_run("tag_header", (const TTest *[]){test_encode, test_encode_each_byte,
                                                         test_value, test_longest_name,
                                                         test_longest_value, test_fields, NULL});
}
