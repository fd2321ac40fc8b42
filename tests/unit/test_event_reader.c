/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_check.h"

#include <apr_strings.h>

#include "core/event_reader.h"

static const char *heard;

static int hear(void *baton, const char *type, const char *data, apr_size_t len)
{
    const etv_event_reader_t *reader = baton;

    ck_assert_uint_eq(len, strlen(data));
    heard = apr_pstrcat(pool, heard, "[", type, "|", data, "|", reader->id, "]", NULL);
    return strcmp(type, "stop") != 0;
}

static void begin(etv_event_reader_t *reader)
{
    memset(reader, 0, sizeof(*reader));
    reader->fn = hear;
    reader->baton = reader;
    heard = "";
}

START_TEST(test_streams)
{
    static const struct {
        const char *text, *heard, *id;
        apr_uint32_t retry_ms;
    } rows[] = {
        {"", "", "", 0},
        {"data: a\n\n", "[message|a|]", "", 0},
        {"data:a\n\n", "[message|a|]", "", 0},
        {"data:  a \n\n", "[message| a |]", "", 0},
        {"data: a\r\n\r\ndata: b\r\rdata: c\n\n", "[message|a|][message|b|][message|c|]", "", 0},
        {"event: bump\ndata: {}\nid: 7\n\n", "[bump|{}|7]", "7", 0},
        {"id: 1\n\ndata: a\n\nid\ndata: b\n\n", "[message|a|1][message|b|]", "", 0},
        {"id: 1\ndata: a\n", "", "", 0}, /* nothing counts before the blank line */
        {"data\ndata\n\n", "[message|\n|]", "", 0},
        {"data: a\ndata: b\n\n", "[message|a\nb|]", "", 0},
        {"event: x\n\ndata: a\n\n", "[message|a|]", "", 0},
        {": comment\n:\nfoo: bar\nfoo\n\n", "", "", 0},
        {"retry: 250\n", "", "", 250},
        {"retry: 25x\nretry:\nretry: 99999999999999\n", "", "", 0},
        {"\xef\xbb\xbf"
         "data: a\n\n",
         "[message|a|]", "", 0},
        {"Data: a\n\n", "", "", 0},
    };

    for (apr_size_t i = 0; i < ETV_ROWS(rows); i++) {
        for (apr_size_t piece = 1; piece < 9; piece++) {
            etv_event_reader_t reader;
            apr_size_t len = strlen(rows[i].text);

            begin(&reader);
            for (apr_size_t at = 0; at < len; at += piece)
                ck_assert(etv_event_reader_feed(&reader, rows[i].text + at,
                                                len - at < piece ? len - at : piece));
            ck_assert_str_eq(heard, rows[i].heard);
            ck_assert_str_eq(reader.id, rows[i].id);
            ck_assert_uint_eq(reader.retry_ms, rows[i].retry_ms);
        }
    }
}
END_TEST

START_TEST(test_restart)
{
    etv_event_reader_t reader;

    begin(&reader);
    ck_assert(etv_event_reader_feed(&reader, "id: 1\ndata: a\n\nid: 2\ndata: b\nda", 31));
    etv_event_reader_restart(&reader);
    ck_assert_str_eq(reader.id, "1");
    ck_assert(etv_event_reader_feed(&reader, "data: c\n\n", 9));
    ck_assert_str_eq(heard, "[message|a|1][message|c|1]");
}
END_TEST

START_TEST(test_stop)
{
    etv_event_reader_t reader;
    static const char text[] = "event: stop\ndata: a\n\ndata: b\n\n";

    begin(&reader);
    ck_assert(!etv_event_reader_feed(&reader, text, strlen(text)));
    ck_assert_str_eq(heard, "[stop|a|]");
}
END_TEST

/* Lines, data, ids and types end somewhere. */
START_TEST(test_limits)
{
    static const char *const starts[] = {"", "data: ", "data\ndata: ", "id: ", "event: ", ": "};
    etv_event_reader_t reader;
    char *line = apr_pcalloc(pool, ETV_EVENT_LINE_MOST * 2);

    memset(line, 'x', ETV_EVENT_LINE_MOST + 1);
    line[ETV_EVENT_LINE_MOST + 1] = '\n';
    for (apr_size_t i = 0; i < ETV_ROWS(starts); i++) {
        begin(&reader);
        ck_assert(etv_event_reader_feed(&reader, starts[i], strlen(starts[i])));
        ck_assert(!etv_event_reader_feed(&reader, line, ETV_EVENT_LINE_MOST + 2));
    }
    begin(&reader);
    ck_assert(etv_event_reader_feed(&reader, line, ETV_EVENT_LINE_MOST));
    ck_assert(etv_event_reader_feed(&reader, "\n", 1));
    for (int i = 0; i < 2048; i++) /* each adds one newline and one byte */
        ck_assert_int_eq(etv_event_reader_feed(&reader, "data: x\n", 8), 1);
    ck_assert(!etv_event_reader_feed(&reader, "data: xx\n", 9));
    begin(&reader);
    ck_assert(!etv_event_reader_feed(
        &reader, apr_pstrcat(pool, "id: ", apr_pstrndup(pool, line, 129), "\n", NULL), 134));
}
END_TEST

int main(void)
{
    return etv_check_run("event_reader", (const TTest *[]){test_streams, test_restart, test_stop,
                                                           test_limits, NULL});
}
