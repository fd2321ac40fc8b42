/* SPDX-License-Identifier: Apache-2.0 */
/** Rows of tables for the evaluation of preconditions. */
#ifndef ETV_TESTS_UNIT_PRECONDITION_ROWS_H
#define ETV_TESTS_UNIT_PRECONDITION_ROWS_H

#include "etv_check.h"

#include <apr_strings.h>

#include "core/precondition.h"

/* One evaluation and what must come of it. */
typedef struct {
    etv_conditions_t c;
    etv_selected_t s;
    etv_precondition_e decision;
    const char *etag; /* of a 304 */
    int use_range;
} row_t;

#define SEND ETV_PRECONDITION_SEND, NULL, 0
#define PART ETV_PRECONDITION_SEND, NULL, 1
#define FAIL ETV_PRECONDITION_FAILED, NULL, 0
#define SAME ETV_PRECONDITION_NOT_MODIFIED

/* Conditions. */
#define IM(list)        {.if_match = list}
#define INM(list)       {.if_none_match = list}
#define IMS(date)       {.if_modified_since = date}
#define IUS(date)       {.if_unmodified_since = date}
#define RANGE           {.range = "bytes=0-4"}
#define RANGE_IF(value) {.range = "bytes=0-4", .if_range = value}
#define NOTHING         {.if_match = NULL}

/* Representations. */
#define TAG(text)        {.etag = text}
#define DATE(date)       {.last_modified = date}
#define BOTH(text, date) {.etag = text, .last_modified = date}
#define BARE             {.etag = NULL}

static const char *words(etv_precondition_e decision)
{
    return decision == ETV_PRECONDITION_SEND           ? "SEND"
           : decision == ETV_PRECONDITION_NOT_MODIFIED ? "NOT_MODIFIED"
                                                       : "FAILED";
}

static const char *said(const char *field, const char *value)
{
    return value ? apr_psprintf(pool, " %s[%s]", field, value) : "";
}

static const char *shown(const row_t *row)
{
    return apr_pstrcat(
        pool, said("If-Match", row->c.if_match), said("If-None-Match", row->c.if_none_match),
        said("If-Modified-Since", row->c.if_modified_since),
        said("If-Unmodified-Since", row->c.if_unmodified_since), said("Range", row->c.range),
        said("If-Range", row->c.if_range), " of", said("ETag", row->s.etag),
        said("identity", row->s.identity_etag), said("Last-Modified", row->s.last_modified),
        said("Accept-Encoding", row->s.accept_encoding), row->s.own ? " own" : "", NULL);
}

static void check_rows(const row_t *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const row_t *row = rows + i;
        etv_precondition_t result = etv_precondition_evaluate(pool, &row->c, &row->s);

        ck_assert_msg(result.decision == row->decision, "%s, not %s:%s", words(result.decision),
                      words(row->decision), shown(row));
        ck_assert_msg(result.etag == row->etag ||
                          (result.etag && row->etag && strcmp(result.etag, row->etag) == 0),
                      "tag %s, not %s:%s", result.etag, row->etag, shown(row));
        ck_assert_msg(result.use_range == row->use_range, "range %d:%s", result.use_range,
                      shown(row));
    }
}

/* Dates, one second apart where the numbers follow each other. */
#define D_DAY_BEFORE  "Sat, 20 Oct 2007 23:21:47 GMT"
#define D_46          "Sun, 21 Oct 2007 23:21:46 GMT"
#define D_47          "Sun, 21 Oct 2007 23:21:47 GMT"
#define D_48          "Sun, 21 Oct 2007 23:21:48 GMT"
#define D_YEARS_AFTER "Mon, 18 Oct 2010 16:56:23 GMT"
#define D_2000        "Sat, 01 Jan 2000 00:00:00 GMT"
#define D_2000_01     "Sat, 01 Jan 2000 01:00:00 GMT"
#define D_2480        "Mon, 01 Jan 2480 00:00:00 GMT"

#define LONG_A "\"b4246ffc4f62314ca13147c9d4f76974\""
#define LONG_B "\"7fae4cd4b0f81e7d2914700043aa8ed6\""

/* Digests of 22 characters, one behind each letter. */
#define T   "AbCdEfGhIjKlMnOpQrSt_-"
#define T2  "AbCdEfGhIjKlMnOpQrSt_0"
#define C   "\"c" T "\""
#define C_X "W/\"c" T "-"

#endif
