/* SPDX-License-Identifier: Apache-2.0 */
/* If-None-Match where the response is encoded, or was when the client got it. */
#include "precondition_rows.h"

/* Tags that are not ours: what httpd encoded answers to its own tag and to that before. */
START_TEST(test_encoded_foreign)
{
#define GZ(inm, ae)                                                                                \
    INM(inm),                                                                                      \
    {                                                                                              \
        .etag = "W/\"a-gzip\"", .identity_etag = "\"a\"", .accept_encoding = ae                    \
    }
    static const row_t rows[] = {
        {GZ("\"a\"", "gzip"), SAME, "\"a\"", 0},
        {GZ("W/\"a\"", "gzip"), SAME, "\"a\"", 0},
        {GZ("W/\"a-gzip\"", "gzip"), SAME, "W/\"a-gzip\"", 0},
        {GZ("\"a-gzip\"", "gzip"), SAME, "W/\"a-gzip\"", 0},
        {GZ("W/\"a-gzip\"", NULL), SAME, "W/\"a-gzip\"", 0}, /* it was selected, so it matches */
        {GZ("W/\"a-br\"", "gzip, br"), SEND},
        {GZ("\"b\"", "gzip"), SEND},
        {GZ("*", "gzip"), SAME, "W/\"a-gzip\"", 0},
        /* of both, that of the 200, wherever it stands; but not behind nonsense */
        {GZ("\"a\", W/\"a-gzip\"", "gzip"), SAME, "W/\"a-gzip\"", 0},
        {GZ("W/\"a-gzip\", \"a\"", "gzip"), SAME, "W/\"a-gzip\"", 0},
        {GZ("\"a\", x, W/\"a-gzip\"", "gzip"), SAME, "\"a\"", 0},
        {GZ("\"a\", *", "gzip"), SAME, "\"a\"", 0},
        /* not encoded this time: the encoded form is something else */
        {INM("W/\"a-gzip\""), {.etag = "\"a\"", .accept_encoding = "gzip"}, SEND},
        /* a weak tag before, tags that are none, and only the one before */
        {INM("\"a\""), {.etag = "W/\"a-gzip\"", .identity_etag = "W/\"a\""}, SAME, "W/\"a\"", 0},
        {INM("\"a\""), {.etag = "W/\"a-gzip\"", .identity_etag = "a"}, SEND},
        {INM("\"a\""), {.etag = "a-gzip", .identity_etag = "\"a\""}, SAME, "\"a\"", 0},
        {INM("\"a\""), {.identity_etag = "\"a\""}, SAME, "\"a\"", 0},
        {INM("*"), {.identity_etag = "\"a\""}, SAME, NULL, 0},
        /* a backend's tag in the shape of ours is a text like others */
        {INM(C_X "br\""), {.etag = C_X "gzip\"", .accept_encoding = "br, gzip"}, SEND},
        {INM(C), {.etag = C_X "gzip\"", .accept_encoding = "br, gzip"}, SEND},
    };
#undef GZ

    check_rows(rows, ETV_ROWS(rows));
}
END_TEST

/* Tags of ours: letter and digest name the representation, in every coding that is accepted. */
START_TEST(test_encoded_own)
{
#define GZ(inm, ae)                                                                                \
    INM(inm),                                                                                      \
    {                                                                                              \
        .etag = C_X "gzip\"", .identity_etag = C, .own = 1, .accept_encoding = ae                  \
    }
#define ID(inm, ae)                                                                                \
    INM(inm),                                                                                      \
    {                                                                                              \
        .etag = C, .own = 1, .accept_encoding = ae                                                 \
    }
    static const row_t rows[] = {
        /* without coding: always */
        {GZ(C, "gzip"), SAME, C, 0},
        {GZ("W/" C, "gzip"), SAME, C, 0},
        {GZ(C, NULL), SAME, C, 0},
        {ID(C, NULL), SAME, C, 0},
        {ID("W/" C, "gzip"), SAME, C, 0},
        /* the coding of the 200, in its text: not where the request does not accept it */
        {GZ(C_X "gzip\"", "gzip"), SAME, C_X "gzip\"", 0},
        {GZ("\"c" T "-gzip\"", "gzip"), SAME, C_X "gzip\"", 0},
        {GZ(C_X "gzip\"", NULL), SEND},
        {GZ(C_X "gzip\"", "gzip;q=0"), SEND},
        {GZ(C_X "gzip\"", "identity"), SEND},
        {GZ(C_X "gzip\", " C, "br"), SAME, C, 0},
        {GZ("*", NULL), SAME, C_X "gzip\"", 0},
        /* another one: where the request accepts it */
        {GZ(C_X "br\"", "gzip, br"), SAME, C_X "br\"", 0},
        {GZ("\"c" T "-br\"", "gzip, br"), SAME, C_X "br\"", 0},
        {GZ(C_X "br\"", "gzip"), SEND},
        {GZ(C_X "br\"", "gzip, br;q=0"), SEND},
        {GZ(C_X "br+gzip\"", "gzip, br"), SAME, C_X "br+gzip\"", 0},
        {GZ(C_X "br+gzip\"", "gzip"), SEND},
        {ID(C_X "gzip\"", "gzip"), SAME, C_X "gzip\"", 0},
        {ID(C_X "gzip\"", "br"), SEND},
        {ID(C_X "gzip\"", NULL), SEND},
        /* other letters, other digests, other shapes */
        {GZ("\"v" T "\"", "gzip"), SEND},
        {GZ("W/\"v" T "-gzip\"", "gzip"), SEND},
        {GZ("\"c" T2 "\"", "gzip"), SEND},
        {GZ("W/\"c" T2 "-gzip\"", "gzip"), SEND},
        {GZ("\"c" T "-\"", "gzip"), SEND},
        {GZ("\"c" T "x\"", "gzip"), SEND},
        {GZ("\"a\"", "gzip"), SEND},
        /* of several: that of the 200, else the first */
        {GZ(C ", " C_X "br\", " C_X "gzip\"", "gzip, br"), SAME, C_X "gzip\"", 0},
        {GZ(C ", " C_X "br\"", "gzip, br"), SAME, C, 0},
        {GZ(C_X "br\", " C, "gzip, br"), SAME, C_X "br\"", 0},
        {GZ(C_X "br\", " C, "gzip"), SAME, C, 0},
        {GZ(C_X "br\", " C ", x, " C_X "gzip\"", "gzip, br"), SAME, C_X "br\"", 0},
        {GZ("*", "gzip"), SAME, C_X "gzip\"", 0},
        {GZ("x, " C, "gzip"), SEND},
        /* the backend encoded it: there is no tag without coding but that which we write */
        {INM(C), {.etag = C_X "gzip\"", .own = 1}, SAME, "W/" C, 0},
        {INM(C_X "gzip\""),
         {.etag = C_X "gzip\"", .own = 1, .accept_encoding = "gzip"},
         SAME,
         C_X "gzip\"",
         0},
        {INM(C_X "gzip\""), {.etag = C_X "gzip\"", .own = 1}, SEND},
        {INM(C_X "gzip\""), {.etag = C_X "gzip\""}, SAME, C_X "gzip\"", 0},
        {INM(C_X "br\""),
         {.etag = C_X "gzip\"", .own = 1, .accept_encoding = "br"},
         SAME,
         C_X "br\"",
         0},
        /* the backend encoded it and httpd once more */
        {INM(C_X "gzip\""),
         {.etag = C_X "gzip+br\"",
          .identity_etag = C_X "gzip\"",
          .own = 1,
          .accept_encoding = "br, gzip"},
         SAME,
         C_X "gzip\"",
         0},
        {INM(C_X "gzip\""),
         {.etag = C_X "gzip+br\"",
          .identity_etag = C_X "gzip\"",
          .own = 1,
          .accept_encoding = "br"},
         SEND},
        {INM(C),
         {.etag = C_X "gzip+br\"", .identity_etag = C_X "gzip\"", .own = 1},
         SAME,
         "W/" C,
         0},
        /* version and header tags likewise */
        {INM("W/\"v" T "\""),
         {.etag = "W/\"v" T "-br\"", .identity_etag = "W/\"v" T "\"", .own = 1},
         SAME,
         "W/\"v" T "\"",
         0},
        {INM("\"h" T "-br\""),
         {.etag = "W/\"h" T "\"", .own = 1, .accept_encoding = "br"},
         SAME,
         "W/\"h" T "-br\"",
         0},
        {INM("W/\"u" T "\""), {.etag = "W/\"v" T "\"", .own = 1}, SEND},
        /* a claim that the text does not bear out: equal texts only */
        {INM("\"a\""), {.etag = "\"a\"", .own = 1}, SAME, "\"a\"", 0},
        {INM(C_X "br\""), {.etag = "\"a\"", .own = 1, .accept_encoding = "br"}, SEND},
        {INM(C), {.etag = C_X "g!\"", .identity_etag = C, .own = 1}, SAME, C, 0},
        {INM(C), {.identity_etag = C, .own = 1}, SAME, C, 0},
        {INM(C), {.etag = NULL, .own = 1}, SEND},
        {INM("*"), {.etag = NULL, .own = 1}, SAME, NULL, 0},
        {INM("nonsense"), {.etag = "nonsense", .own = 1}, SEND},
    };
#undef GZ
#undef ID

    check_rows(rows, ETV_ROWS(rows));
}
END_TEST

/* Each member with a coding is held against Accept-Encoding: of a long list, only the first few. */
START_TEST(test_many_coded)
{
    etv_selected_t selected = {.etag = C, .own = 1, .accept_encoding = "gzip, br"};
    etv_precondition_t result;

    for (int before = 0; before <= 64; before++) {
        const char *list = "";
        etv_conditions_t conditions = NOTHING;

        for (int i = 0; i < before; i++) {
            list = apr_psprintf(pool, "%s" C_X "x%d\", W/\"c" T2 "-gzip\", ", list, i);
        }
        conditions.if_none_match = apr_pstrcat(pool, list, C_X "gzip\"", NULL);
        result = etv_precondition_evaluate(pool, &conditions, &selected);
        ck_assert_msg(result.decision == (before < 4 ? SAME : ETV_PRECONDITION_SEND), "%d", before);
        /* what needs no judging is found wherever it stands */
        conditions.if_none_match = apr_pstrcat(pool, list, C_X "gzip\", " C, NULL);
        result = etv_precondition_evaluate(pool, &conditions, &selected);
        ck_assert_int_eq(result.decision, SAME);
        ck_assert_str_eq(result.etag, C);
        selected.etag = C_X "gzip\"";
        conditions.if_none_match = apr_pstrcat(pool, list, C_X "br\", " C_X "gzip\"", NULL);
        result = etv_precondition_evaluate(pool, &conditions, &selected);
        ck_assert_int_eq(result.decision, SAME);
        ck_assert_str_eq(result.etag, C_X "gzip\"");
        selected.etag = C;
    }
}
END_TEST

/* What is not built is the caller's own text. */
START_TEST(test_result_is_argument)
{
    const etv_selected_t selected = {.etag = C_X "gzip\"",
                                     .identity_etag = C,
                                     .own = 1,
                                     .last_modified = D_47,
                                     .accept_encoding = "gzip"};
    static const struct {
        etv_conditions_t c;
        int identity;
    } rows[] = {
        {INM(C), 1}, {INM("W/" C), 1}, {INM("\"c" T "-gzip\""), 0}, {INM("*"), 0}, {IMS(D_47), 0},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        /* without a pool: nothing may be allocated */
        etv_precondition_t result = etv_precondition_evaluate(NULL, &rows[i].c, &selected);

        ck_assert_ptr_eq(result.etag, rows[i].identity ? selected.identity_etag : selected.etag);
    }
}
END_TEST

/* A date promises the same bytes only of what was not encoded anew. */
START_TEST(test_range_of_encoded)
{
    const etv_conditions_t conditions = {.range = "bytes=1-4", .if_range = D_47};
    etv_selected_t selected = {.last_modified = D_47};

    ck_assert_int_eq(etv_precondition_evaluate(pool, &conditions, &selected).use_range, 1);
    selected.encoded = 1;
    ck_assert_int_eq(etv_precondition_evaluate(pool, &conditions, &selected).use_range, 0);
}
END_TEST

int main(void)
{
    return etv_check_run("precondition_coding",
                         (const TTest *[]){test_encoded_foreign, test_encoded_own, test_many_coded,
                                           test_result_is_argument, test_range_of_encoded, NULL});
}
