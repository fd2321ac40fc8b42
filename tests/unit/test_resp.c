/* SPDX-License-Identifier: Apache-2.0 */
#include "store/resp.h"

#include <stdio.h>

#include "etv_check.h"

static etv_resp_in_t *fed(const char *bytes, apr_size_t len)
{
    etv_resp_in_t *in = etv_resp_in_make();

    ck_assert_ptr_nonnull(in);
    ck_assert(etv_resp_in_feed(in, bytes, len));
    return in;
}

START_TEST(commands_are_framed_by_length)
{
    etv_resp_out_t out = {0};
    char big[1000];

    etv_resp_out_command(&out, 3);
    etv_resp_out_text(&out, "SET");
    etv_resp_out_word(&out, "v:", 2, "a\r\n", 3);
    etv_resp_out_word(&out, "", 0, NULL, 0);
    etv_resp_out_raw(&out, "*1\r\n", 4);
    ck_assert_uint_eq(out.len, strlen("*3\r\n$3\r\nSET\r\n$5\r\nv:a\r\n\r\n$0\r\n\r\n*1\r\n"));
    ck_assert_int_eq(
        memcmp(out.data, "*3\r\n$3\r\nSET\r\n$5\r\nv:a\r\n\r\n$0\r\n\r\n*1\r\n", out.len), 0);
    etv_resp_out_reset(&out);
    ck_assert_uint_eq(out.len, 0);
    memset(big, 'b', sizeof(big));
    for (int i = 0; i < 100; i++) {
        etv_resp_out_word(&out, big, sizeof(big), big, (apr_size_t)i);
    }
    ck_assert_int_eq(out.broken, 0);
    ck_assert_int_eq(memcmp(out.data, "$1000\r\nb", 8), 0);
    etv_resp_out_reset(&out); /* gave its memory back, and works again */
    ck_assert_uint_eq(out.room, 0);
    etv_resp_out_text(&out, "PING");
    ck_assert_int_eq(memcmp(out.data, "$4\r\nPING\r\n", out.len), 0);
    etv_resp_out_free(&out);
}
END_TEST

static const char sample[] =
    "+OK\r\n-ERR no\r\n:-7\r\n$-1\r\n$4\r\na\r\nb\r\n*3\r\n$1\r\nx\r\n*0\r\n*-1\r\n";

static void check_sample(etv_resp_t *const *r)
{
    ck_assert(etv_resp_is(r[0], "OK") && r[0]->type == ETV_RESP_STATUS);
    ck_assert(r[1]->type == ETV_RESP_ERROR && !strcmp(r[1]->str, "ERR no"));
    ck_assert(!etv_resp_is(r[1], "ERR no"));
    ck_assert(r[2]->type == ETV_RESP_INTEGER && r[2]->integer == -7);
    ck_assert_int_eq(r[3]->type, ETV_RESP_NIL);
    ck_assert(r[4]->len == 4 && !memcmp(r[4]->str, "a\r\nb", 5));
    ck_assert(r[5]->type == ETV_RESP_ARRAY && r[5]->elements == 3);
    ck_assert(etv_resp_is(r[5]->element[0], "x"));
    ck_assert(r[5]->element[1]->type == ETV_RESP_ARRAY && !r[5]->element[1]->elements);
    ck_assert_int_eq(r[5]->element[2]->type, ETV_RESP_NIL);
    ck_assert(!etv_resp_is(NULL, "x"));
}

START_TEST(replies_in_pieces_of_any_size)
{
    for (apr_size_t piece = 1; piece < sizeof(sample); piece++) {
        etv_resp_in_t *in = etv_resp_in_make();
        etv_resp_t *r[7];
        int n = 0;

        for (apr_size_t at = 0; at < sizeof(sample) - 1; at += piece) {
            apr_size_t rest = sizeof(sample) - 1 - at;

            ck_assert(etv_resp_in_feed(in, sample + at, rest < piece ? rest : piece));
            while (n < 7 && etv_resp_in_next(in, &r[n]) == ETV_RESP_ONE) {
                n++;
            }
        }
        ck_assert_int_eq(n, 6);
        ck_assert_uint_eq(etv_resp_in_left(in), 0);
        check_sample(r);
        etv_resp_in_reset(in);
        etv_resp_in_free(in);
    }
}
END_TEST

START_TEST(what_is_no_protocol)
{
    static const char *const text[] = {
        "HTTP/1.1 200\r\n", "*1000000000\r\n", "*4097\r\n", "*-2\r\n",
        "$-2\r\n",          "*1\r\nx\r\n",     "!\r\n"};

    for (size_t i = 0; i < ETV_ROWS(text); i++) {
        etv_resp_in_t *in = fed(text[i], strlen(text[i]));
        etv_resp_t *r;

        ck_assert_msg(etv_resp_in_next(in, &r) == ETV_RESP_GARBLED, "%s", text[i]);
        etv_resp_in_free(in);
    }
}
END_TEST

/** RESP3 is never asked for; whatever the library makes of it must not become a pointer. */
START_TEST(resp3_is_harmless)
{
    static const char *const text[] = {",1.5\r\n",
                                       "#t\r\n",
                                       "_\r\n",
                                       "(12\r\n",
                                       "=5\r\ntxt:a\r\n",
                                       "%1\r\n+a\r\n+b\r\n",
                                       "~2\r\n#t\r\n,1\r\n",
                                       ">1\r\n+a\r\n",
                                       "|1\r\n+a\r\n+b\r\n",
                                       "*2\r\n#t\r\n,1\r\n"};

    for (size_t i = 0; i < ETV_ROWS(text); i++) {
        etv_resp_in_t *in = fed(text[i], strlen(text[i]));
        etv_resp_t *r = NULL;

        if (etv_resp_in_next(in, &r) == ETV_RESP_ONE) {
            ck_assert_int_ge((int)r->type, ETV_RESP_STRING);
            ck_assert_int_le((int)r->type, ETV_RESP_ARRAY);
            for (apr_size_t k = 0; k < r->elements; k++) {
                ck_assert_ptr_nonnull(r->element[k]);
            }
        }
        etv_resp_in_free(in);
    }
}
END_TEST

/** A few bytes must not take much memory: 14 bytes of headers announce 4000 elements each. */
START_TEST(memory_is_bounded)
{
    etv_resp_in_t *in = etv_resp_in_make();
    etv_resp_next_e next = ETV_RESP_MORE;
    etv_resp_t *r;

    ck_assert(etv_resp_in_feed(in, "*4000\r\n", 7));
    for (int i = 0; i < 4000 && next != ETV_RESP_GARBLED; i++) {
        ck_assert(etv_resp_in_feed(in, "*2\r\n:1\r\n*4000\r\n", 15));
        next = etv_resp_in_next(in, &r);
        ck_assert_int_ne(next, ETV_RESP_ONE);
    }
    ck_assert_int_eq(next, ETV_RESP_GARBLED);
    etv_resp_in_free(in);
}
END_TEST

START_TEST(long_strings_are_cut)
{
    apr_size_t len = 60000;
    char *text = apr_palloc(pool, len + 32);
    int head = snprintf(text, 32, "$%d\r\n", (int)len);
    etv_resp_in_t *in;
    etv_resp_t *r;

    memset(text + head, 'x', len);
    memcpy(text + head + len, "\r\n", 2);
    in = fed(text, (apr_size_t)head + len + 2);
    ck_assert_int_eq(etv_resp_in_next(in, &r), ETV_RESP_ONE);
    ck_assert_uint_eq(r->len, len);
    ck_assert_uint_eq(strlen(r->str), ETV_RESP_STRING_KEPT);
    ck_assert(!etv_resp_is(r, "x"));
    etv_resp_in_free(in);
}
END_TEST

int main(void)
{
    return etv_check_run(
        "resp", (const TTest *const[]){commands_are_framed_by_length, replies_in_pieces_of_any_size,
                                       what_is_no_protocol, resp3_is_harmless, memory_is_bounded,
                                       long_strings_are_cut, NULL});
}
