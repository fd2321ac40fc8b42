/* SPDX-License-Identifier: Apache-2.0 */
#include "store/resp.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

/** What a reader always has for replies, and the most that one exchange may take. */
#define ARENA_FIRST 8192
#define ARENA_MOST  (4 * 1024 * 1024)
/** An output buffer above this is given back after use. */
#define OUT_KEPT 32768

int etv_resp_is(const etv_resp_t *r, const char *text)
{
    return r && (r->type == ETV_RESP_STRING || r->type == ETV_RESP_STATUS) &&
           r->len == strlen(text) && memcmp(r->str, text, r->len) == 0;
}

/* --- commands --- */

void etv_resp_out_free(etv_resp_out_t *out)
{
    free(out->data);
    memset(out, 0, sizeof(*out));
}

void etv_resp_out_reset(etv_resp_out_t *out)
{
    if (out->room > OUT_KEPT || out->broken) {
        etv_resp_out_free(out);
    }
    out->len = 0;
}

/** Where `len` more bytes go; NULL when memory ran out. */
static char *out_reserve(etv_resp_out_t *out, apr_size_t len)
{
    if (out->broken) {
        return NULL;
    }
    if (out->room - out->len < len) {
        apr_size_t room = (out->len + len) * 2 + 512;
        char *data = realloc(out->data, room);

        if (!data) {
            out->broken = 1;
            return NULL;
        }
        out->data = data;
        out->room = room;
    }
    return out->data + out->len;
}

void etv_resp_out_raw(etv_resp_out_t *out, const char *text, apr_size_t len)
{
    char *to = out_reserve(out, len);

    if (to) {
        memcpy(to, text, len);
        out->len += len;
    }
}

/** `mark`, the number and the end of the line; at most 23 bytes. @return the end */
static char *put_number(char *to, char mark, apr_size_t number)
{
    char digits[20];
    char *d = digits + sizeof(digits);

    do {
        *--d = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    *to++ = mark;
    while (d < digits + sizeof(digits)) {
        *to++ = *d++;
    }
    *to++ = '\r';
    *to++ = '\n';
    return to;
}

void etv_resp_out_command(etv_resp_out_t *out, apr_size_t words)
{
    char *to = out_reserve(out, 24);

    if (to) {
        out->len = (apr_size_t)(put_number(to, '*', words) - out->data);
    }
}

void etv_resp_out_word(etv_resp_out_t *out, const char *a, apr_size_t a_len, const char *b,
                       apr_size_t b_len)
{
    char *to = out_reserve(out, a_len + b_len + 26);

    if (!to) {
        return;
    }
    to = put_number(to, '$', a_len + b_len);
    memcpy(to, a, a_len);
    to += a_len;
    if (b_len) {
        memcpy(to, b, b_len);
        to += b_len;
    }
    *to++ = '\r';
    *to++ = '\n';
    out->len = (apr_size_t)(to - out->data);
}

void etv_resp_out_text(etv_resp_out_t *out, const char *text)
{
    etv_resp_out_word(out, text, strlen(text), NULL, 0);
}

/* --- replies --- */

typedef struct chunk_t {
    struct chunk_t *next;
    _Alignas(16) char data[];
} chunk_t;

struct etv_resp_in_t {
    redisReader *reader;
    char *at, *end;   /* free part of the newest chunk */
    apr_size_t taken; /* bytes of extra chunks */
    apr_size_t elements_most, bytes_most;
    int over; /* a limit was met */
    chunk_t *extra;
    _Alignas(16) char first[ARENA_FIRST];
};

void *etv_resp_in_alloc(etv_resp_in_t *in, apr_size_t size)
{
    void *result;

    size = (size + 15) & ~(apr_size_t)15;
    if ((apr_size_t)(in->end - in->at) < size) {
        apr_size_t room = size > ARENA_FIRST ? size : ARENA_FIRST;
        chunk_t *chunk;

        if (in->taken + room > in->bytes_most) {
            in->over = 1;
            return NULL;
        }
        if (!(chunk = malloc(sizeof(*chunk) + room))) {
            return NULL;
        }
        chunk->next = in->extra;
        in->extra = chunk;
        in->taken += room;
        in->at = chunk->data;
        in->end = chunk->data + room;
    }
    result = in->at;
    in->at += size;
    return result;
}

/** A value in its place within the array that it belongs to; NULL stops hiredis with an error. */
static etv_resp_t *value_make(const redisReadTask *task, etv_resp_type_e type)
{
    etv_resp_t *v = etv_resp_in_alloc(task->privdata, sizeof(*v));

    if (v) {
        memset(v, 0, sizeof(*v));
        v->type = type;
        if (task->parent) {
            ((etv_resp_t *)task->parent->obj)->element[task->idx] = v;
        }
    }
    return v;
}

static void *on_string(const redisReadTask *task, char *str, size_t len)
{
    etv_resp_type_e type = task->type == REDIS_REPLY_ERROR    ? ETV_RESP_ERROR
                           : task->type == REDIS_REPLY_STATUS ? ETV_RESP_STATUS
                                                              : ETV_RESP_STRING;
    apr_size_t kept = len < ETV_RESP_STRING_KEPT ? len : ETV_RESP_STRING_KEPT;
    char *copy = etv_resp_in_alloc(task->privdata, kept + 1);
    etv_resp_t *v = copy ? value_make(task, type) : NULL;

    if (v) {
        memcpy(copy, str, kept);
        copy[kept] = '\0';
        v->str = copy;
        v->len = len;
    }
    return v;
}

static void *array_make(const redisReadTask *task, size_t elements)
{
    etv_resp_in_t *in = task->privdata;
    etv_resp_t **element;
    etv_resp_t *v;

    if (elements > in->elements_most) {
        in->over = 1;
        return NULL;
    }
    if (!(element = etv_resp_in_alloc(task->privdata, elements * sizeof(*element))) ||
        !(v = value_make(task, ETV_RESP_ARRAY))) {
        return NULL;
    }
    memset(element, 0, elements * sizeof(*element));
    v->elements = elements;
    v->element = element;
    return v;
}

static void *on_integer(const redisReadTask *task, long long integer)
{
    etv_resp_t *v = value_make(task, ETV_RESP_INTEGER);

    if (v) {
        v->integer = integer;
    }
    return v;
}

static void *on_nil(const redisReadTask *task)
{
    return value_make(task, ETV_RESP_NIL);
}

static void on_free(void *value)
{
    (void)value; /* the arena's */
}

#if HIREDIS_MAJOR >= 1
static void *on_array(const redisReadTask *task, size_t elements)
{
    return array_make(task, elements);
}

/* RESP3 types are never asked for. Without these functions hiredis would hand out small integers
 * cast to pointers when a server sends them all the same. */
static void *on_double(const redisReadTask *task, double value, char *str, size_t len)
{
    (void)task, (void)value, (void)str, (void)len;
    return NULL;
}

static void *on_bool(const redisReadTask *task, int value)
{
    (void)task, (void)value;
    return NULL;
}
#else
static void *on_array(const redisReadTask *task, int elements)
{
    return elements < 0 ? NULL : array_make(task, (size_t)elements);
}
#endif

static redisReplyObjectFunctions functions = {
    .createString = on_string,
    .createArray = on_array,
    .createInteger = on_integer,
    .createNil = on_nil,
    .freeObject = on_free,
#if HIREDIS_MAJOR >= 1
    .createDouble = on_double,
    .createBool = on_bool,
#endif
};

etv_resp_in_t *etv_resp_in_make(void)
{
    etv_resp_in_t *in = malloc(sizeof(*in));

    if (!in) {
        return NULL;
    }
    in->extra = NULL;
    in->elements_most = ETV_RESP_ELEMENTS_MOST;
    in->bytes_most = ARENA_MOST;
    in->over = 0;
    in->reader = redisReaderCreateWithFunctions(&functions);
    if (!in->reader) {
        free(in);
        return NULL;
    }
    in->reader->privdata = in;
    etv_resp_in_reset(in);
    return in;
}

void etv_resp_in_allow(etv_resp_in_t *in, apr_size_t elements_most, apr_size_t bytes_most)
{
    in->elements_most = elements_most;
    in->bytes_most = bytes_most;
}

void etv_resp_in_reset(etv_resp_in_t *in)
{
    while (in->extra) {
        chunk_t *chunk = in->extra;

        in->extra = chunk->next;
        free(chunk);
    }
    in->taken = 0;
    in->at = in->first;
    in->end = in->first + sizeof(in->first);
}

void etv_resp_in_free(etv_resp_in_t *in)
{
    if (in) {
        redisReaderFree(in->reader);
        etv_resp_in_reset(in);
        free(in);
    }
}

int etv_resp_in_feed(etv_resp_in_t *in, const char *data, apr_size_t len)
{
    return redisReaderFeed(in->reader, data, len) == REDIS_OK;
}

etv_resp_next_e etv_resp_in_next(etv_resp_in_t *in, etv_resp_t **reply)
{
    void *found = NULL;

    if (redisReaderGetReply(in->reader, &found) != REDIS_OK) {
        return ETV_RESP_GARBLED;
    }
    *reply = found;
    return found ? ETV_RESP_ONE : ETV_RESP_MORE;
}

int etv_resp_in_is_over(const etv_resp_in_t *in)
{
    return in->over;
}

apr_size_t etv_resp_in_left(const etv_resp_in_t *in)
{
    return in->reader->len - in->reader->pos;
}

int etv_resp_in_is_inside(const etv_resp_in_t *in)
{
    return etv_resp_in_left(in) > 0 || in->reader->ridx > 0; /* below 0: between two replies */
}
