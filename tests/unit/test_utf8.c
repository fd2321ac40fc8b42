/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_check.h"

#include "core/utf8.h"

START_TEST(characters)
{
    static const struct {
        const char *bytes;
        apr_size_t n;
        int shows;
    } rows[] = {
        {"a", 1, 1},
        {"\x1f", 1, 0},
        {"\t", 1, 0},
        {" ", 1, 1},
        {"\x7f", 1, 0},
        {"\x80", 0, 0},
        {"\x9b", 0, 0},
        {"\xff", 0, 0},
        {"\xc2\x80", 2, 0}, /* C1 */
        {"\xc2\x9b", 2, 0},
        {"\xc2\x9f", 2, 0},
        {"\xc2\xa0", 2, 1},
        {"\xc3\x9b", 2, 1},
        {"\xc3", 0, 0},
        {"\xc3(", 0, 0},
        {"\xc0\x9b", 0, 0}, /* over-long */
        {"\xe0\x82\x9b", 0, 0},
        {"\xed\xa0\x80", 0, 0}, /* a surrogate */
        {"\xe2\x82\xac", 3, 1},
        {"\xe2\x82", 0, 0},
        {"\xf0\x9f\x98\x80", 4, 1},
        {"\xf4\x90\x80\x80", 0, 0}, /* above U+10FFFF */
        {"\xf5\x80\x80\x80", 0, 0},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        apr_size_t left = strlen(rows[i].bytes);
        int shows = -1;

        ck_assert_msg(etv_utf8_character(rows[i].bytes, left) == rows[i].n, "row %d", (int)i);
        ck_assert_uint_eq(etv_utf8_step(rows[i].bytes, left, &shows), rows[i].n ? rows[i].n : 1);
        ck_assert_msg(shows == rows[i].shows, "row %d", (int)i);
    }
}
END_TEST

int main(void)
{
    return etv_check_run("utf8", (const TTest *[]){characters, NULL});
}
