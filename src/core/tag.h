/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The making of version tags: length-prefixed fields, a keyed PRF over them, and the text of the
 * entity-tag. Pure.
 */
#ifndef ETV_CORE_TAG_H
#define ETV_CORE_TAG_H

#include <string.h>

#include <apr.h>
#include <apr_pools.h>

#include "core/entity_tag.h"
#include "core/hash.h"

#define ETV_TAG_BYTES 16

/** The fields of a tag, in the order in which they were added. Put it on the stack. */
typedef struct {
    apr_pool_t *pool; /**< for what does not fit into `first` */
    unsigned char *data;
    apr_size_t len;
    apr_size_t size;
    apr_size_t place_len; /**< the first bytes, that choose the place in a memo; 0: all do */
    unsigned char first[1024];
} etv_tag_fields_t;

void etv_tag_fields_init(etv_tag_fields_t *fields, apr_pool_t *pool);

/** As etv_tag_fields_add, for fields that are long or do not fit. */
void etv_tag_fields_add_long(etv_tag_fields_t *fields, const void *data, apr_size_t len);

#define ETV_TAG_FIELD_SHORT                                                                        \
    254 /**< a field of as many bytes has a length of more than one byte                           \
         */

/**
 * Add one field. NULL data is told apart from the empty field. Each field is prefixed with its
 * length, so no two sequences of fields give the same bytes.
 */
static inline void etv_tag_fields_add(etv_tag_fields_t *fields, const void *data, apr_size_t len)
{
    unsigned char *to = fields->data + fields->len;

    if (!data || len >= ETV_TAG_FIELD_SHORT || fields->size - fields->len <= len) {
        etv_tag_fields_add_long(fields, data, len);
        return;
    }
    fields->len += len + 1;
    *to = (unsigned char)len;
    memcpy(to + 1, data, len);
}

/** Bytes that etv_tag_fields_add_short may read, whatever the length. */
#define ETV_TAG_FIELD_ROOM 24

/** As etv_tag_fields_add for data that stands in ETV_TAG_FIELD_ROOM readable bytes or more: a copy
 *  of constant size costs no call. */
static inline void etv_tag_fields_add_short(etv_tag_fields_t *fields, const void *data,
                                            apr_size_t len)
{
    unsigned char *to = fields->data + fields->len;

    if (len > ETV_TAG_FIELD_ROOM || fields->size - fields->len <= ETV_TAG_FIELD_ROOM) {
        etv_tag_fields_add(fields, data, len);
        return;
    }
    fields->len += len + 1;
    *to = (unsigned char)len;
    memcpy(to + 1, data, ETV_TAG_FIELD_ROOM); /* the next field takes what is too much */
}
/** As etv_tag_fields_add for a terminated string or NULL. */
static inline void etv_tag_fields_add_string(etv_tag_fields_t *fields, const char *text)
{
    etv_tag_fields_add(fields, text, text ? strlen(text) : 0);
}

/** As etv_tag_fields_add for a string whose ASCII letters are folded to lower case. */
void etv_tag_fields_add_lower(etv_tag_fields_t *fields, const char *text);

/** A tag before it becomes text: the two digests that differ by their letter. */
typedef struct {
    unsigned char v[ETV_TAG_BYTES];
    unsigned char key[ETV_HASH_KEY_BYTES];
    char v_text[ETV_ENTITY_TAG_DIGEST_CHARS + 2]; /**< base64url, not terminated; 2 bytes slack */
    char u_text[ETV_ENTITY_TAG_DIGEST_CHARS + 2];
    int has_u;        /**< u_text was computed */
    const char *list; /**< the name of the list of models that it is made of, as it stands in the
                           text, ETV_ENTITY_TAG_DIGEST_CHARS characters; NULL when it names none */
} etv_tag_t;

/** The digest of the fields for the letter `v`; that for `u` is made when first asked for. Names no
 *  list: whoever adds one has put it into the fields. */
void etv_tag_make(etv_tag_t *tag, const etv_tag_fields_t *fields, const unsigned char *key);

/** Longest fields that are remembered, and how many; for one thread about 20 KB. */
#define ETV_TAG_MEMO_BYTES   256
#define ETV_TAG_MEMO_ENTRIES 64

/**
 * The last digests of one thread: requests for the same URL at the same versions give the same
 * fields, and comparing bytes is cheaper than a keyed hash of them. Zeroed before first use.
 */
typedef struct {
    struct {
        apr_uint32_t len; /**< 0: empty */
        unsigned char key[ETV_HASH_KEY_BYTES];
        unsigned char fields[ETV_TAG_MEMO_BYTES];
        unsigned char v[ETV_TAG_BYTES];
        char v_text[ETV_ENTITY_TAG_DIGEST_CHARS + 2];
    } entries[ETV_TAG_MEMO_ENTRIES];
} etv_tag_memo_t;

/** As etv_tag_make, with a memo that only this thread uses. */
void etv_tag_make_memo(etv_tag_t *tag, const etv_tag_fields_t *fields, const unsigned char *key,
                       etv_tag_memo_t *memo);

/**
 * The ETV_ENTITY_TAG_DIGEST_CHARS characters for a letter, `v` or `u`. Neither can be derived from
 * the other without the key, so a client cannot turn one kind of tag into the other.
 */
const char *etv_tag_digest(etv_tag_t *tag, char letter);

/**
 * Whether a letter and ETV_ENTITY_TAG_DIGEST_CHARS characters are those of this tag. Takes the same
 * time whatever differs.
 */
int etv_tag_matches(etv_tag_t *tag, char letter, const char *digest);

/** The digest of a `u` tag that names a set of header fields. Of another set, or none, it is
 * another one. */
void etv_tag_digest_of_fields(char digest[ETV_ENTITY_TAG_DIGEST_CHARS], const etv_tag_t *tag,
                              const unsigned char fields[ETV_TAG_BYTES]);

/** Whether one of our own tags is this one, coding aside: its digest is right, and it names the
 * same list of models; whatever set of header fields it names, it was made with that. */
int etv_tag_is(etv_tag_t *tag, const etv_entity_tag_own_t *own);

/**
 * Whether a whole If-None-Match is exactly one uncoded weak tag without a set of header fields, as
 * most clients send it, and the right one: the answer of the list parser, sooner.
 * @return the letter, or 0 when the list must be parsed
 */
char etv_tag_is_whole_list(etv_tag_t *tag, const char *list);

/**
 * An entity-tag as it stands in a header: `W/"c…-gzip"`.
 * @param digest  ETV_ENTITY_TAG_DIGEST_CHARS characters
 * @param coding  the content coding of the response, NULL for none; a coded one is always weak,
 *                because compressed bytes are not reproducible
 * @return a string in `p`
 */
char *etv_tag_write(apr_pool_t *p, char letter, const char *digest, int weak, const char *coding,
                    apr_size_t coding_len);

/** As etv_tag_write, with all that one of our own tags says. */
char *etv_tag_write_own(apr_pool_t *p, const etv_entity_tag_own_t *own, int weak);

/**
 * As etv_tag_write, with the digest that a tag has for a letter, and its list.
 * @param fields  with `u`: the set of header fields that the text shall name; NULL for none
 */
char *etv_tag_text(apr_pool_t *p, etv_tag_t *tag, char letter, const unsigned char *fields,
                   int weak, const char *coding, apr_size_t coding_len);

/** Base64url without padding (RFC 4648 §5) of 16 bytes: 22 characters, not terminated. */
void etv_tag_base64url(char out[ETV_ENTITY_TAG_DIGEST_CHARS],
                       const unsigned char in[ETV_TAG_BYTES]);

/** The bytes of such a text. @return 0 when it is not exactly what etv_tag_base64url writes */
int etv_tag_from_base64url(unsigned char out[ETV_TAG_BYTES],
                           const char in[ETV_ENTITY_TAG_DIGEST_CHARS]);

#endif
