/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Reads a stream of server-sent events (HTML Standard, section 9.2.6) as it comes, in pieces of any
 * size. Pure, bounded, allocates nothing.
 */
#ifndef ETV_CORE_EVENT_READER_H
#define ETV_CORE_EVENT_READER_H

#include <apr.h>

/** Longest line, and longest data of one event. */
#define ETV_EVENT_LINE_MOST 4096
/** Longest id and type. */
#define ETV_EVENT_WORD_MOST 128

/** An event. @return 0 to stop reading */
typedef int etv_event_fn(void *baton, const char *type, const char *data, apr_size_t data_len);

/** Zeroed at first; `fn` and `baton` are the caller's to set. */
typedef struct {
    etv_event_fn *fn;
    void *baton;
    char id[ETV_EVENT_WORD_MOST + 1]; /**< of the last event; empty for none */
    apr_uint32_t retry_ms;            /**< what the stream asks for; 0: nothing */

    /* the reader's */
    char line[ETV_EVENT_LINE_MOST + 1];
    char data[ETV_EVENT_LINE_MOST + 1];
    char type[ETV_EVENT_WORD_MOST + 1];
    char next_id[ETV_EVENT_WORD_MOST + 1];
    apr_size_t line_len, data_len;
    int has_data, after_cr, started;
} etv_event_reader_t;

/** A new stream begins: whatever was read in part is dropped, id and retry_ms stay. */
void etv_event_reader_restart(etv_event_reader_t *reader);

/** @return 1; 0 when `fn` said so, or something was too long: the stream is of no more use */
int etv_event_reader_feed(etv_event_reader_t *reader, const char *bytes, apr_size_t len);

#endif
