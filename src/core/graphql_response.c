/* SPDX-License-Identifier: Apache-2.0 */
#include "core/graphql_response.h"

#include <string.h>

/*
 *   START ─ { ─ MEMBER ─ " ─ KEY ─ " ─ COLON ─ : ─ VALUE … AFTER ─ , ─ MEMBER …
 *                                            └ ERRORS: null or [] ─ AFTER
 *   START ─ [ ─ ITEM ─ { ─ MEMBER … } ─ AFTER ─ , ─ ITEM …
 *   in a value:  STRING, SCALAR, and from a bracket to its end DEEP
 */
enum {
    START,
    ITEM,
    MEMBER,
    KEY,
    COLON,
    VALUE,
    ERRORS,
    ERRORS_NULL,
    ERRORS_LIST,
    SCALAR,
    STRING, /* a value's, at any depth */
    ESCAPE,
    DEEP,
    AFTER,
    END,
    BAD
};

static const char errors[] = "errors", data_[] = "data";
#define ERRORS_LEN (sizeof(errors) - 1)
#define DATA_LEN   (sizeof(data_) - 1)

/* Classes of bytes. */
enum {
    SPACE = 1,
    WORD = 2,      /* of numbers, true, false and null */
    DEEP_HALT = 4, /* below a member: a bracket, a quote, or what may not be there */
    TEXT_HALT = 8  /* in a string: its end, an escape, a control character */
};

#define S (SPACE | TEXT_HALT)
#define C (DEEP_HALT | TEXT_HALT)
#define H DEEP_HALT
#define W WORD

static const unsigned char classes[256] = {
    C,     C, C, C, C, C, C, C, C, S, S, C, C, S, C, C, /* tab, newline, carriage return */
    C,     C, C, C, C, C, C, C, C, C, C, C, C, C, C, C, /* the other control characters */
    SPACE, H, C, H, H, H, H, H, H, H, H, W, 0, W, W, H, /* " + , - . */
    W,     W, W, W, W, W, W, W, W, W, 0, H, H, H, H, H, /* 0 to 9, colon */
    H,     W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, /* A to O */
    W,     W, W, W, W, W, W, W, W, W, W, H, C, H, H, H, /* P to Z, [ \ ] */
    H,     W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, /* a to o */
    W,     W, W, W, W, W, W, W, W, W, W, H, H, H, H, H, /* p to z, { } */
    H,     H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,
    H,     H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,
    H,     H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,
    H,     H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,
    H,     H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,
};

#undef S
#undef C
#undef H
#undef W

void etv_graphql_scan_init(etv_graphql_scan_t *scan)
{
    memset(scan, 0, sizeof(*scan));
}

int etv_graphql_scan_is_clean(const etv_graphql_scan_t *scan)
{
    return scan->state == END;
}

/* --- below a member, where nearly all bytes are --- */

static int open_bracket(etv_graphql_scan_t *scan, char c)
{
    if (scan->depth == ETV_GRAPHQL_SCAN_DEPTH_MOST)
        return BAD;
    scan->closing[scan->depth++] = c == '[' ? ']' : '}';
    return DEEP;
}

/* Eight bytes of a string at once; each term has a high bit where it finds something. */
static int is_plain_text(const char *at)
{
    const apr_uint64_t ones = APR_UINT64_C(0x0101010101010101);
    apr_uint64_t bytes, quote, escape;

    memcpy(&bytes, at, sizeof(bytes));
    quote = bytes ^ ones * '"';
    escape = bytes ^ ones * '\\';
    return ((((quote - ones) & ~quote) | ((escape - ones) & ~escape) |
             ((bytes - ones * ' ') & ~bytes)) &
            ones * 0x80) == 0;
}

/* The end of a piece of text, or what ends it. Most strings are short. */
static const char *skip_text(const char *at, const char *end)
{
    const char *soon = end - at > 16 ? at + 16 : end;

    for (;;) {
        while (at < soon && !(classes[(unsigned char)*at] & TEXT_HALT))
            at++;
        if (at < soon || at == end)
            return at;
        while (end - at >= 8 && is_plain_text(at))
            at += 8;
        soon = end;
    }
}

/* Up to the end of the string, or of the piece. @return what is behind it */
static const char *read_text(etv_graphql_scan_t *scan, const char *at, const char *end)
{
    scan->state = STRING;
    at = skip_text(at, end);
    if (at == end)
        return at;
    if (*at == '\\')
        scan->state = ESCAPE;
    else if (*at == '"')
        scan->state = scan->depth ? DEEP : AFTER;
    else
        scan->state = BAD;
    return at + 1;
}

/* Below a member, up to its end, or to the end of the piece. @return what is behind it */
static const char *read_deep(etv_graphql_scan_t *scan, const char *at, const char *end)
{
    int state = DEEP;

    while (state == DEEP) {
        while (at < end && !(classes[(unsigned char)*at] & DEEP_HALT))
            at++;
        if (at == end)
            break;
        if (*at == '"') {
            at = read_text(scan, at + 1, end);
            state = scan->state;
        } else if (*at == '[' || *at == '{') {
            state = open_bracket(scan, *at++);
        } else if (*at++ != scan->closing[scan->depth - 1]) {
            state = BAD;
        } else if (--scan->depth == 0) {
            state = AFTER;
        }
    }
    scan->state = (unsigned char)state;
    return at;
}

/* --- members of the root object and of a batch's objects --- */

static int step_value(etv_graphql_scan_t *scan, char c)
{
    if (c == '"')
        return STRING;
    if (c == '{' || c == '[')
        return open_bracket(scan, c);
    return classes[(unsigned char)c] & WORD ? SCALAR : BAD;
}

static int begin_object(etv_graphql_scan_t *scan)
{
    scan->in_object = 1;
    scan->has_data = 0;
    return MEMBER;
}

/* Of one of two words, or of none. */
static void match(unsigned char *matched, char c, const char *word, apr_size_t len)
{
    if (*matched < len && c == word[*matched])
        (*matched)++;
    else
        *matched = (unsigned char)(len + 1);
}

static int step_key(etv_graphql_scan_t *scan, char c)
{
    if (c == '"') {
        scan->has_data |= scan->data_matched == DATA_LEN;
        return COLON;
    }
    if (classes[(unsigned char)c] & TEXT_HALT)
        return BAD;
    match(&scan->matched, c, errors, ERRORS_LEN);
    match(&scan->data_matched, c, data_, DATA_LEN);
    return KEY;
}

static int step_after(etv_graphql_scan_t *scan, char c)
{
    if (c == ',')
        return scan->in_object ? MEMBER : ITEM;
    if (c != (scan->in_object ? '}' : ']') || (scan->in_object && !scan->has_data))
        return BAD;
    if (!scan->in_object || !scan->in_batch)
        return END;
    scan->in_object = 0;
    return AFTER;
}

static int step_null(etv_graphql_scan_t *scan, char c)
{
    if (c != "null"[scan->matched])
        return BAD;
    return ++scan->matched == 4 ? AFTER : ERRORS_NULL;
}

/* Where white space may stand; `c` is none. */
static int step_token(etv_graphql_scan_t *scan, char c)
{
    switch (scan->state) {
    case START:
        scan->in_batch = c == '[';
        return c == '{' ? begin_object(scan) : c == '[' ? ITEM : BAD;
    case ITEM:
        return c == '{' ? begin_object(scan) : BAD;
    case VALUE:
        return step_value(scan, c);
    case MEMBER:
        scan->matched = scan->data_matched = 0;
        return c == '"' ? KEY : BAD;
    case COLON:
        if (c != ':')
            return BAD;
        return scan->matched == ERRORS_LEN ? ERRORS : VALUE;
    case ERRORS:
        scan->matched = 1;
        return c == 'n' ? ERRORS_NULL : c == '[' ? ERRORS_LIST : BAD;
    case ERRORS_LIST:
        return c == ']' ? AFTER : BAD;
    case AFTER:
        return step_after(scan, c);
    default:
        return BAD;
    }
}

static int step(etv_graphql_scan_t *scan, char c)
{
    unsigned char class = classes[(unsigned char)c];

    switch (scan->state) {
    case ESCAPE:
        return c && strchr("\"\\/bfnrtu", c) ? STRING : BAD;
    case KEY:
        return step_key(scan, c);
    case ERRORS_NULL:
        return step_null(scan, c);
    case SCALAR:
        if (class & WORD)
            return SCALAR;
        return class & SPACE ? AFTER : step_after(scan, c);
    default:
        return class & SPACE ? scan->state : step_token(scan, c);
    }
}

int etv_graphql_scan_feed(etv_graphql_scan_t *scan, const char *data, apr_size_t len)
{
    const char *end = len ? data + len : data;

    while (data < end && scan->state != BAD) {
        if (scan->state == DEEP)
            data = read_deep(scan, data, end);
        else if (scan->state == STRING)
            data = read_text(scan, data, end);
        else
            scan->state = (unsigned char)step(scan, *data++);
    }
    return scan->state != BAD;
}
