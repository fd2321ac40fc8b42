/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_check.h"

#include "core/accept_encoding.h"

START_TEST(test_allows)
{
    static const struct {
        const char *field, *coding;
        int allows;
    } rows[] = {
        {NULL, "gzip", 0},
        {NULL, "identity", 0},
        {"", "gzip", 0},
        {"", "identity", 1},
        {"gzip", "gzip", 1},
        {"GZip", "gzIP", 1},
        {"deflate, gzip , br", "gzip", 1},
        {"gzip, deflate", "br", 0},
        {"gzipped, xgzip", "gzip", 0},
        {"gzip", "gzi", 0},
        {"gzip", "", 0},
        /* aliases, §8.4.1 */
        {"x-gzip", "gzip", 1},
        {"gzip", "x-gzip", 1},
        {"X-Compress", "compress", 1},
        {"x-gzip;q=0, *", "gzip", 0},
        {"x-br", "br", 0},
        /* weights, §12.4.2 */
        {"gzip;q=1", "gzip", 1},
        {"gzip;q=1.000", "gzip", 1},
        {"gzip;q=0.001", "gzip", 1},
        {"gzip ; q=0.5 ,br", "gzip", 1},
        {"gzip;Q=0.5", "gzip", 1},
        {"gzip;q=1.", "gzip", 1},
        {"gzip;q=0.", "gzip", 0},
        {"gzip;q=0", "gzip", 0},
        {"gzip;q=0.000", "gzip", 0},
        {"gzip;q=0.0001", "gzip", 0},
        {"gzip;q=1.001", "gzip", 0},
        {"gzip;q=2", "gzip", 0},
        {"gzip;q=", "gzip", 0},
        {"gzip;q", "gzip", 0},
        {"gzip;", "gzip", 0},
        {"gzip;q=-1", "gzip", 0},
        {"gzip;q =1", "gzip", 0},
        {"gzip;q=.5", "gzip", 0},
        {"gzip;q=0.5;x=1", "gzip", 0},
        {"gzip;level=1", "gzip", 0},
        {"gzip br", "gzip", 0},
        {"gzip br", "br", 0},
        /* several members for one coding */
        {"gzip, gzip;q=0", "gzip", 0},
        {"gzip;q=0, gzip", "gzip", 0},
        {"*, *;q=0", "gzip", 0},
        /* the rest */
        {"*", "gzip", 1},
        {"*;q=0", "gzip", 0},
        {"*;q=0, gzip", "gzip", 1},
        {"gzip;q=0, *", "gzip", 0},
        {"gzip;q=0, *", "br", 1},
        {"br, *;q=0.1", "gzip", 1},
        {"*;q=x", "gzip", 0},
        /* identity, §12.5.3 */
        {"gzip", "identity", 1},
        {"*;q=0", "identity", 0},
        {"identity;q=0", "identity", 0},
        {"*;q=0, identity;q=0.5", "identity", 1},
        /* several codings */
        {"gzip, br", "gzip+br", 1},
        {"gzip", "gzip+br", 0},
        {"x-gzip, br", "br+gzip", 1},
        {"*", "br+gzip+x", 1},
        {"*", "gzip+", 0},
        {"*", "+gzip", 0},
        {"*", "+", 0},
        {"*", "gzip++br", 0},
        /* nonsense */
        {", ;q=1, @gzip, =", "gzip", 0},
        {"@, gzip", "gzip", 1},
        {"\"gzip\"", "gzip", 0},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        int allows =
            etv_accept_encoding_allows(rows[i].field, rows[i].coding, strlen(rows[i].coding));

        ck_assert_msg(allows == rows[i].allows, "[%s] [%s]", rows[i].field, rows[i].coding);
    }
    /* the coding is not terminated */
    ck_assert(etv_accept_encoding_allows("gzip", "gzip+br", 4));
}
END_TEST

/* Each coding is held against the whole field: a tag that names many would cost too much. */
START_TEST(test_many_codings)
{
    char coding[2 * 32] = "a";

    for (int count = 1; count <= 31; count++) {
        int allows = etv_accept_encoding_allows("a, b;q=0.5", coding, strlen(coding));

        ck_assert_msg(allows == (count <= ETV_CODINGS_MOST), "%d codings", count);
        allows = etv_accept_encoding_allows("*", coding, strlen(coding));
        ck_assert_msg(allows == (count <= ETV_CODINGS_MOST), "%d codings, any", count);
        strcat(coding, "+a");
    }
}
END_TEST

/* A part that is not accepted refuses the whole, wherever it stands. */
START_TEST(test_each_of_several_codings)
{
    static const char *const refused[] = {"x+a+a+a", "a+x+a+a", "a+a+x+a", "a+a+a+x",
                                          "a+a+a+",  "+a+a+a",  "a+a+a+a+"};

    ck_assert(etv_accept_encoding_allows("a", "a+a+a+a", 7));
    for (size_t i = 0; i < ETV_ROWS(refused); i++) {
        ck_assert_msg(!etv_accept_encoding_allows("a", refused[i], strlen(refused[i])), "[%s]",
                      refused[i]);
    }
}
END_TEST

int main(void)
{
    return etv_check_run("accept_encoding", (const TTest *[]){test_allows, test_many_codings,
                                                              test_each_of_several_codings, NULL});
}
