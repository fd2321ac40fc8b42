/* SPDX-License-Identifier: Apache-2.0 */
/** The texts of server-sent events (HTML Standard, section 9.2): ids and names. Pure. */
#ifndef ETV_CORE_EVENT_STREAM_H
#define ETV_CORE_EVENT_STREAM_H

#include <apr.h>

/** Room for an id and the end of the string. */
#define ETV_EVENT_ID_ROOM 40

/** Write an id: which feed, and the number of the last entry that it covers. */
void etv_event_id_write(char id[ETV_EVENT_ID_ROOM], apr_uint64_t nonce, apr_uint64_t number);

/** Read an id of etv_event_id_write, no other text. @return 0 when it is none */
int etv_event_id_read(const char *id, apr_uint64_t *nonce, apr_uint64_t *number);

/** Room for the string that etv_event_quote makes of so many bytes, and its end. */
#define ETV_EVENT_QUOTED_ROOM(len) ((len) * 6 + 3)

/**
 * Write a name as a JSON string (RFC 8259), without line breaks whatever is in it. A byte that is
 * no part of UTF-8 becomes U+FFFD: JSON has no way to say it.
 * @return the length of `out`, which is terminated
 */
apr_size_t etv_event_quote(char *out, const char *name, apr_size_t len);

#endif
