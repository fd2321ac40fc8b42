/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of event streams: ids that are read as they were written, names that JSON can say. */
#include <stdint.h>

#include "core/event_stream.h"
#include "etv_check.h"

START_TEST(ids_are_read_as_written)
{
    static const apr_uint64_t values[] = {0, 1, 42, 0xfedcba9876543210, 999999999999999999};

    for (unsigned i = 0; i < ETV_ROWS(values); i++) {
        for (unsigned k = 0; k < ETV_ROWS(values); k++) {
            apr_uint64_t nonce, number;
            char id[ETV_EVENT_ID_ROOM];

            etv_event_id_write(id, values[i], values[k]);
            if (values[k] > 999999999999999999)
                continue; /* no feed gets so far */
            ck_assert_int_eq(etv_event_id_read(id, &nonce, &number), 1);
            ck_assert_uint_eq(nonce, values[i]);
            ck_assert_uint_eq(number, values[k]);
        }
    }
}
END_TEST

START_TEST(other_ids_are_none)
{
    static const char *const ids[] = {
        "",
        "-",
        "1",
        "0123456789abcdef",
        "0123456789abcdef-",
        "0123456789abcdef-x",
        "0123456789abcdef-1x",
        "0123456789abcdef- 1",
        "0123456789abcdef--1",
        "0123456789abcdef-1234567890123456789",
        "0123456789abcde-1",
        "0123456789abcdef0-1",
        "0123456789ABCDEF-1",
        " 0123456789abcdef-1",
    };

    for (unsigned i = 0; i < ETV_ROWS(ids); i++) {
        apr_uint64_t nonce, number;

        ck_assert_msg(!etv_event_id_read(ids[i], &nonce, &number), "%s", ids[i]);
    }
}
END_TEST

typedef struct {
    const char *name, *quoted;
} quoted_t;

START_TEST(names_are_quoted)
{
    static const quoted_t rows[] = {
        {"", "\"\""},
        {"proteins.Protein:egfp", "\"proteins.Protein:egfp\""},
        {"a\"b\\c/d", "\"a\\\"b\\\\c/d\""},
        {"\n\r\t\x01\x1f\x7f", "\"\\u000a\\u000d\\u0009\\u0001\\u001f\\u007f\""},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"a\x80z", "\"a\\ufffdz\""},
        {"\xc3", "\"\\ufffd\""},
        {"\xc3(", "\"\\ufffd(\""},
        {"\xe2\x82", "\"\\ufffd\\ufffd\""},
        {"\xe2\x82z", "\"\\ufffd\\ufffdz\""},
        {"\xc0\xaf", "\"\\ufffd\\ufffd\""},                       /* over-long */
        {"\xe0\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\""},            /* over-long */
        {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""},            /* a surrogate */
        {"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""}, /* above U+10FFFF */
        {"\xf0\x80\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""}, /* over-long */
        {"\xff\xfe", "\"\\ufffd\\ufffd\""},
        {"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf",
         "\"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\""},
    };

    for (unsigned i = 0; i < ETV_ROWS(rows); i++) {
        char out[ETV_EVENT_QUOTED_ROOM(64)];
        /* of exactly its size, so that a read beyond it is seen */
        apr_size_t len = strlen(rows[i].name);
        char *name = malloc(len ? len : 1);

        ck_assert_ptr_nonnull(name);
        memcpy(name, rows[i].name, len);
        ck_assert_uint_eq(etv_event_quote(out, name, len), strlen(rows[i].quoted));
        ck_assert_str_eq(out, rows[i].quoted);
        free(name);
    }
}
END_TEST

START_TEST(all_bytes_fit)
{
    char out[ETV_EVENT_QUOTED_ROOM(256)], name[256];

    for (int byte = 0; byte < 256; byte++) {
        apr_size_t len;

        memset(name, byte, sizeof(name));
        len = etv_event_quote(out, name, sizeof(name));
        ck_assert_uint_lt(len, sizeof(out));
        ck_assert_uint_eq(strlen(out), len);
        ck_assert_uint_eq(strcspn(out, "\r\n"), len);
    }
}
END_TEST

int main(void)
{
    return etv_check_run("event_stream",
                         (const TTest *[]){ids_are_read_as_written, other_ids_are_none,
                                           names_are_quoted, all_bytes_fit, NULL});
}
