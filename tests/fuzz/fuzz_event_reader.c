/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_fuzz.h"

#include "core/event_reader.h"

#define HEARD_MOST 65536

typedef struct {
    char text[HEARD_MOST];
    size_t len;
} heard_t;

static void add(heard_t *heard, const char *bytes, size_t len)
{
    ETV_MUST(len < HEARD_MOST - heard->len);
    memcpy(heard->text + heard->len, bytes, len);
    heard->len += len;
}

static int hear(void *baton, const char *type, const char *data, apr_size_t len)
{
    ETV_MUST(*type && strlen(type) <= ETV_EVENT_WORD_MOST);
    ETV_MUST(len <= ETV_EVENT_LINE_MOST && data[len] == '\0');
    add(baton, type, strlen(type) + 1);
    add(baton, data, len);
    return strcmp(type, "stop") != 0;
}

/* @return whether it goes on */
static int read_all(etv_event_reader_t *reader, heard_t *heard, const uint8_t *data, size_t size,
                    size_t piece)
{
    memset(reader, 0, sizeof(*reader));
    heard->len = 0;
    reader->fn = hear;
    reader->baton = heard;
    for (size_t at = 0; at < size; at += piece) {
        size_t len = size - at < piece ? size - at : piece;
        char *exact = malloc(len);
        int goes_on;

        ETV_MUST(exact);
        memcpy(exact, data + at, len);
        goes_on = etv_event_reader_feed(reader, exact, len);
        free(exact);
        if (!goes_on) {
            return 0;
        }
    }
    return 1;
}

/* The pieces in which a stream comes make no difference. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static etv_event_reader_t whole, pieces;
    static heard_t all, parts;
    int goes_on;

    if (size > HEARD_MOST / 16) {
        return 0;
    }
    goes_on = read_all(&whole, &all, data, size, size ? size : 1);
    ETV_MUST(read_all(&pieces, &parts, data, size, 1 + size % 7) == goes_on);
    ETV_MUST(all.len == parts.len && memcmp(all.text, parts.text, all.len) == 0);
    ETV_MUST(strcmp(whole.id, pieces.id) == 0 && whole.retry_ms == pieces.retry_ms);
    ETV_MUST(strlen(whole.id) <= ETV_EVENT_WORD_MOST);
    etv_event_reader_restart(&whole);
    return 0;
}
