/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The Redis protocol without a network: commands into a buffer, bytes into replies. Parsing is
 * hiredis'; its replies are built here, in an arena that is emptied as a whole, because one malloc
 * per element would cost more than the rest of a lookup, and because hiredis' own replies trust
 * the lengths that a server announces. Not thread-safe; each connection owns its own.
 */
#ifndef ETV_STORE_RESP_H
#define ETV_STORE_RESP_H

#include <apr.h>

/** Bytes of a string that are kept; `len` tells the true length. */
#define ETV_RESP_STRING_KEPT 16384
/** Most elements of one array. */
#define ETV_RESP_ELEMENTS_MOST 4096

typedef enum {
    ETV_RESP_STRING,
    ETV_RESP_STATUS,
    ETV_RESP_ERROR,
    ETV_RESP_INTEGER,
    ETV_RESP_NIL,
    ETV_RESP_ARRAY
} etv_resp_type_e;

/** One reply or element of one. Lives until the reader is emptied. */
typedef struct etv_resp_t {
    etv_resp_type_e type;
    long long integer;
    const char *str; /**< STRING, STATUS, ERROR: terminated; at most ETV_RESP_STRING_KEPT bytes */
    apr_size_t len;  /**< STRING, STATUS, ERROR: as sent; may be more than was kept */
    apr_size_t elements;
    struct etv_resp_t **element; /**< ARRAY */
} etv_resp_t;

/** Whether `r` is a STRING or STATUS of exactly this text; NULL is not. */
int etv_resp_is(const etv_resp_t *r, const char *text);

/* --- commands --- */

/** A buffer of commands; zeroed at first. Grows as needed and is kept for the next ones. */
typedef struct {
    char *data;
    apr_size_t len, room;
    int broken; /**< 1: memory ran out; the content must not be sent */
} etv_resp_out_t;

void etv_resp_out_free(etv_resp_out_t *out);
/** Empty it; a buffer that had become large gives its memory back. */
void etv_resp_out_reset(etv_resp_out_t *out);
/** Bytes that are RESP already. */
void etv_resp_out_raw(etv_resp_out_t *out, const char *text, apr_size_t len);
/** The start of a command of `words` words, each of which must follow. */
void etv_resp_out_command(etv_resp_out_t *out, apr_size_t words);
/** One word, made of two parts; the second may be empty. */
void etv_resp_out_word(etv_resp_out_t *out, const char *a, apr_size_t a_len, const char *b,
                       apr_size_t b_len);
/** One word that is a C string. */
void etv_resp_out_text(etv_resp_out_t *out, const char *text);

/* --- replies --- */

typedef struct etv_resp_in_t etv_resp_in_t;

typedef enum {
    ETV_RESP_MORE,    /**< the reply is not complete yet */
    ETV_RESP_ONE,     /**< one reply */
    ETV_RESP_GARBLED, /**< this is not RESP, or too much of it: the connection is of no more use */
} etv_resp_next_e;

/** @return NULL when memory ran out */
etv_resp_in_t *etv_resp_in_make(void);
void etv_resp_in_free(etv_resp_in_t *in);
/** Larger limits than those of a lookup: of the elements of one array, and of all memory. */
void etv_resp_in_allow(etv_resp_in_t *in, apr_size_t elements_most, apr_size_t bytes_most);
/** Whether it was a limit that made etv_resp_in_next say GARBLED. */
int etv_resp_in_is_over(const etv_resp_in_t *in);
/** Forget all replies given out so far. Only between two replies: after etv_resp_in_next said MORE,
 *  what has come of the next one would be forgotten, too. */
void etv_resp_in_reset(etv_resp_in_t *in);
/** Add bytes that arrived. @return 0 when memory ran out */
int etv_resp_in_feed(etv_resp_in_t *in, const char *data, apr_size_t len);
/** Take the next complete reply. */
etv_resp_next_e etv_resp_in_next(etv_resp_in_t *in, etv_resp_t **reply);
/** Bytes fed that belong to no reply given out. */
apr_size_t etv_resp_in_left(const etv_resp_in_t *in);
/** Whether a part of a reply has come that is still to be completed. */
int etv_resp_in_is_inside(const etv_resp_in_t *in);
/** Memory that lives as long as the replies. @return NULL when there is none or the limit is met */
void *etv_resp_in_alloc(etv_resp_in_t *in, apr_size_t size);

#endif
