/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_check.h"

#include "core/model_name.h"

START_TEST(names)
{
    static const struct {
        const char *name;
        int right;
    } rows[] = {
        {"proteins.Protein", 1},
        {"proteins.Protein:egfp", 1},
        {"a b", 1},
        {"100%", 1},
        {"\xc3\xa9", 1},
        {"", 0},
        {"%epoch", 0},
        {"%", 0},
        {"a\nb", 0},
        {"a\x7f", 0},
        {"\x1f", 0},
        {"\t", 0},
    };
    char longest[ETV_MODEL_NAME_MOST + 2];

    for (size_t i = 0; i < ETV_ROWS(rows); i++)
        ck_assert_int_eq(etv_model_name_is_right(rows[i].name, strlen(rows[i].name)),
                         rows[i].right);
    memset(longest, 'a', sizeof(longest));
    longest[ETV_MODEL_NAME_MOST + 1] = '\0';
    ck_assert_int_eq(etv_model_name_is_right(longest, ETV_MODEL_NAME_MOST + 1), 0);
    longest[ETV_MODEL_NAME_MOST] = '\0';
    ck_assert_int_eq(etv_model_name_is_right(longest, ETV_MODEL_NAME_MOST), 1);
}
END_TEST

int main(void)
{
    return etv_check_run("model_name", (const TTest *[]){names, NULL});
}
