/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_check.h"

#include "core/model_list.h"

#define N63  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define N255 N63 "b" N63 "b" N63 "b" N63

static etv_model_list_e parse(etv_model_list_t *list, const char *value)
{
    return etv_model_list_parse(list, pool, value, strlen(value));
}

START_TEST(lists)
{
    static const struct {
        const char *value, *text; /* NULL: not right */
    } rows[] = {
        {"", ""},
        {" \t", ""},
        {",", ""},
        {" , ,\t,", ""},
        {"a", "a"},
        {" a\t", "a"},
        {"b,a", "a,b"},
        {"a, b ,c", "a,b,c"},
        {",a,,b,", "a,b"},
        {"a,b,a,a", "a,b"},
        {"ab,a,abc", "a,ab,abc"},
        {"A,a", "A,a"},
        {"two words,a", "a,two words"},
        {"proteins.Protein:egfp, proteins.Protein", "proteins.Protein,proteins.Protein:egfp"},
        {"\xc3\xa9,z", "z,\xc3\xa9"}, /* by their bytes, unsigned */
        {"a%,b", "a%,b"},
        {"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16", "1,10,11,12,13,14,15,16,2,3,4,5,6,7,8,9"},
        {"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,1,2", "1,10,11,12,13,14,15,16,2,3,4,5,6,7,8,9"},
        {N255 "c", N255 "c"},
        {"%a", NULL},
        {"a, %b", NULL},
        {"a\x01", NULL},
        {"a\tb", NULL},
        {"a\x7f", NULL},
        {"a\nb", NULL},
        {N255 "cd", NULL},
        {"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", NULL},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        char text[ETV_MODEL_LIST_TEXT_MOST];
        etv_model_list_t list;
        etv_model_list_e result = parse(&list, rows[i].value);

        ck_assert_msg((result == ETV_MODEL_LIST_OK) == (rows[i].text != NULL), "[%s]",
                      rows[i].value);
        if (rows[i].text) {
            apr_size_t len = etv_model_list_write(&list, text);

            ck_assert_uint_eq(len, strlen(rows[i].text));
            ck_assert_mem_eq(text, rows[i].text, len);
        }
    }
}
END_TEST

START_TEST(what_is_wrong_is_told_apart)
{
    etv_model_list_t list;
    char *most = apr_palloc(pool, ETV_MODEL_LIST_VALUE_MOST + 2);

    memset(most, ' ', ETV_MODEL_LIST_VALUE_MOST + 1);
    most[ETV_MODEL_LIST_VALUE_MOST + 1] = '\0';
    ck_assert_int_eq(parse(&list, most), ETV_MODEL_LIST_TOO_MANY);
    ck_assert_int_eq(parse(&list, most + 1), ETV_MODEL_LIST_OK);
    ck_assert_int_eq(parse(&list, "a,b\x01"), ETV_MODEL_LIST_NO_NAME);
    ck_assert_int_eq(etv_model_list_parse(&list, pool, "a\0b", 3), ETV_MODEL_LIST_NO_NAME);
    ck_assert_int_eq(parse(&list, "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"),
                     ETV_MODEL_LIST_TOO_MANY);
}
END_TEST

START_TEST(the_longest_list_fits)
{
    char *value = apr_palloc(pool, ETV_MODEL_LIST_TEXT_MOST + 1), *to = value;
    char text[ETV_MODEL_LIST_TEXT_MOST];
    etv_model_list_t list;

    for (int i = 0; i < ETV_MODEL_LIST_MOST; i++) {
        if (i)
            *to++ = ',';
        memset(to, 'a' + i, ETV_MODEL_NAME_MOST);
        to += ETV_MODEL_NAME_MOST;
    }
    *to = '\0';
    ck_assert_int_eq(parse(&list, value), ETV_MODEL_LIST_OK);
    ck_assert_int_eq(list.n, ETV_MODEL_LIST_MOST);
    ck_assert_uint_eq(etv_model_list_write(&list, text), ETV_MODEL_LIST_TEXT_MOST);
    ck_assert_mem_eq(text, value, ETV_MODEL_LIST_TEXT_MOST);
}
END_TEST

int main(void)
{
    return etv_check_run("model_list", (const TTest *[]){lists, what_is_wrong_is_told_apart,
                                                         the_longest_list_fits, NULL});
}
