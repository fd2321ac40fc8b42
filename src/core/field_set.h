/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A set of response header fields as a text, which gives the same fields again: what an early 304
 * says must be what its 200 said. Pure; results live in the given pool.
 *
 * One line for each field that is there, `Name: value` and a line feed, in the order given. Time
 * alone must not make another text, or sets would be as many as there are seconds. So of Expires
 * there are two forms: where it repeats max-age (RFC 9111 §5.3 prefers that), it moves with the
 * response's own date, and so does what comes back: `Expires: +60`. And what has long been over
 * (`0`, a date before 2001) comes back as it is. With any other there is no text.
 */
#ifndef ETV_CORE_FIELD_SET_H
#define ETV_CORE_FIELD_SET_H

#include <apr.h>
#include <apr_pools.h>
#include <apr_time.h>

/** Longest text. */
#define ETV_FIELD_SET_MOST 4096
/** Most fields. */
#define ETV_FIELD_SET_FIELDS_MOST 16

typedef struct {
    const char *name;
    const char *value; /**< NULL: there is no such field */
} etv_field_set_field_t;

/**
 * Write the set.
 * @param fields   distinct ones of Cache-Control, Expires, Vary and those of core/tag_header.h, so
 *                 spelt; Cache-Control is looked at for Expires
 * @param date     the response's Date
 * @param text     out: on success, not empty, terminated
 * @return its length; 0 when it cannot be written: no field at all, too long, a control character,
 *         or an Expires that time makes
 */
apr_size_t etv_field_set_write(apr_pool_t *p, const etv_field_set_field_t *fields, int n,
                               apr_time_t date, const char **text);

/**
 * Read it back.
 * @param date    of the response that will have these fields
 * @param fields  out: room for ETV_FIELD_SET_FIELDS_MOST; all have a value
 * @return how many; 0 when the text is none that was written here
 */
int etv_field_set_read(apr_pool_t *p, const char *text, apr_size_t len, apr_time_t date,
                       etv_field_set_field_t *fields);

#endif
