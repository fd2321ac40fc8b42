/* SPDX-License-Identifier: Apache-2.0 */
#include "core/event_reader.h"

#include <string.h>

void etv_event_reader_restart(etv_event_reader_t *reader)
{
    reader->line_len = reader->data_len = 0;
    reader->has_data = reader->after_cr = reader->started = 0;
    *reader->type = '\0';
    strcpy(reader->next_id, reader->id);
}

/* Of a blank line: an event without data is none, but its id counts. */
static int dispatch(etv_event_reader_t *reader)
{
    int goes_on = 1;

    strcpy(reader->id, reader->next_id);
    if (reader->has_data) {
        reader->data[reader->data_len] = '\0';
        goes_on = reader->fn(reader->baton, *reader->type ? reader->type : "message", reader->data,
                             reader->data_len);
    }
    reader->data_len = 0;
    reader->has_data = 0;
    *reader->type = '\0';
    return goes_on;
}

static int add_data(etv_event_reader_t *reader, const char *value, apr_size_t len)
{
    apr_size_t newline = reader->has_data ? 1 : 0;

    if (len + newline > ETV_EVENT_LINE_MOST - reader->data_len)
        return 0;
    if (newline)
        reader->data[reader->data_len++] = '\n';
    memcpy(reader->data + reader->data_len, value, len);
    reader->data_len += len;
    reader->has_data = 1;
    return 1;
}

static int set_word(char word[ETV_EVENT_WORD_MOST + 1], const char *value, apr_size_t len)
{
    if (len > ETV_EVENT_WORD_MOST)
        return 0;
    memcpy(word, value, len);
    word[len] = '\0';
    return 1;
}

/* Digits alone count; a day is as long as anybody need wait. */
static void set_retry(etv_event_reader_t *reader, const char *value, apr_size_t len)
{
    apr_uint32_t number = 0;

    for (apr_size_t i = 0; i < len; i++) {
        if (value[i] < '0' || value[i] > '9')
            return;
        number = number * 10 + (apr_uint32_t)(value[i] - '0');
        if (number > 86400000)
            return;
    }
    if (len)
        reader->retry_ms = number;
}

static int is_field(const char *name, const char *line, apr_size_t len)
{
    return strlen(name) == len && memcmp(name, line, len) == 0;
}

static int take_line(etv_event_reader_t *reader)
{
    const char *line = reader->line, *colon, *value;
    apr_size_t len = reader->line_len, name_len;

    if (!reader->started && len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
        line += 3;
        len -= 3;
    }
    reader->started = 1;
    if (!len)
        return dispatch(reader);
    colon = memchr(line, ':', len);
    name_len = colon ? (apr_size_t)(colon - line) : len;
    value = colon ? colon + 1 : line + len;
    if (colon && value < line + len && *value == ' ')
        value++;
    len = (apr_size_t)(line + len - value);
    if (is_field("data", line, name_len))
        return add_data(reader, value, len);
    if (is_field("event", line, name_len))
        return set_word(reader->type, value, len);
    if (is_field("id", line, name_len) && !memchr(value, '\0', len))
        return set_word(reader->next_id, value, len);
    if (is_field("retry", line, name_len))
        set_retry(reader, value, len);
    return 1; /* a comment, or what later versions may add */
}

int etv_event_reader_feed(etv_event_reader_t *reader, const char *bytes, apr_size_t len)
{
    for (apr_size_t i = 0; i < len; i++) {
        char c = bytes[i];

        if (c == '\n' && reader->after_cr) { /* CR LF is one end of a line */
            reader->after_cr = 0;
            continue;
        }
        reader->after_cr = c == '\r';
        if (c == '\n' || c == '\r') {
            int goes_on = take_line(reader);

            reader->line_len = 0;
            if (!goes_on)
                return 0;
        } else if (reader->line_len < ETV_EVENT_LINE_MOST) {
            reader->line[reader->line_len++] = c;
        } else {
            return 0;
        }
    }
    return 1;
}
