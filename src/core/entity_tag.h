/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Entity-tags: the grammar of RFC 9110 §8.8.3, the lists of §13.1.1 and §13.1.2, and the shape of
 * the tags that this project makes. Pure, allocates nothing, safe in any thread.
 */
#ifndef ETV_CORE_ENTITY_TAG_H
#define ETV_CORE_ENTITY_TAG_H

#include <string.h>

#include <apr.h>

/** Characters of base64url that carry the 128 bits of one of our tags. */
#define ETV_ENTITY_TAG_DIGEST_CHARS 22

/** Longest coding that one of our tags may name. */
#define ETV_ENTITY_TAG_CODING_MOST 64

/** One entity-tag. `opaque` points into the parsed text, between the quotes, not terminated. */
typedef struct {
    const char *opaque;
    apr_size_t len;
    int weak; /**< 1 when it was written with W/ */
} etv_entity_tag_t;

typedef enum {
    ETV_ENTITY_TAG_END,    /**< nothing more in the list */
    ETV_ENTITY_TAG_ONE,    /**< `*tag` was filled in */
    ETV_ENTITY_TAG_ANY,    /**< the whole field value is `*` */
    ETV_ENTITY_TAG_INVALID /**< not the grammar of §8.8.3; the rest of the list must be ignored */
} etv_entity_tag_next_e;

/**
 * The next member of an If-None-Match or If-Match list. Empty members (`, ,`) are passed over
 * (§5.6.1.2). `*` counts as ANY only when it stands alone, white space aside. A member is judged
 * as a whole: in `"a"b` there is no tag `a`. Members before a malformed one still count; after
 * INVALID and ANY the cursor is at the end of the text, the next call says END.
 * @param start   the first character of the whole field value
 * @param cursor  in: where to go on (`*cursor == start` at first); out: behind the member
 * @param tag     filled in on ONE
 */
etv_entity_tag_next_e etv_entity_tag_next(const char *start, const char **cursor,
                                          etv_entity_tag_t *tag);

/** Weak comparison (§8.8.3.2): the opaque parts are the same bytes. */
int etv_entity_tag_equal_weak(const etv_entity_tag_t *a, const etv_entity_tag_t *b);

/** Strong comparison (§8.8.3.2): neither is weak and the opaque parts are the same bytes. */
int etv_entity_tag_equal_strong(const etv_entity_tag_t *a, const etv_entity_tag_t *b);

/**
 * The parts of a tag that this project may have made: letter, digest, what it names, `-coding`. A
 * version tag may name a list of models (`.`), one with `u` also a set of header fields (`~`); both
 * names are as long as the digest, and stand in this order.
 */
typedef struct {
    char letter;        /**< `v`, `u`, `c` or `h` */
    const char *digest; /**< ETV_ENTITY_TAG_DIGEST_CHARS characters, not terminated */
    const char *list;   /**< as many, of the list of models; NULL when it names none */
    const char *fields; /**< as many, of the set of header fields; NULL when it names none */
    const char *coding; /**< the content coding behind the `-`, not terminated; NULL when none */
    apr_size_t coding_len;
} etv_entity_tag_own_t;

/**
 * Take one of our own tags apart. Says nothing about whether the digest is right.
 * @return 1 when the text has the shape of one of our tags, 0 otherwise
 */
int etv_entity_tag_own(const etv_entity_tag_t *tag, etv_entity_tag_own_t *own);

/** Whether two digests, or names, of ETV_ENTITY_TAG_DIGEST_CHARS characters are the same. Takes the
 *  same time whatever differs. */
static inline int etv_entity_tag_same_digest(const char *a, const char *b)
{
    apr_uint64_t x[3], y[3];

    memcpy(x, a, 16);
    memcpy(x + 2, a + 14, 8); /* two characters twice */
    memcpy(y, b, 16);
    memcpy(y + 2, b + 14, 8);
    return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2])) == 0;
}

/**
 * The name of the list, where a whole If-None-Match is one uncoded weak tag that names a list and
 * no header fields, as most clients send it: what the list parser would find, sooner. Neither
 * digest nor name are looked at.
 * @return as etv_entity_tag_own_t.list; NULL when the list must be parsed
 */
static inline const char *etv_entity_tag_sole_list(const char *field)
{
    enum { DOT = 4 + ETV_ENTITY_TAG_DIGEST_CHARS, END = DOT + 1 + ETV_ENTITY_TAG_DIGEST_CHARS };

    return field[0] == 'W' && field[1] == '/' && field[2] == '"' &&
                   (field[3] == 'v' || field[3] == 'u') && strlen(field) == END + 1 &&
                   field[DOT] == '.' && field[END] == '"'
               ? field + DOT + 1
               : NULL;
}

/** Whether two of our own tags name the same, coding aside. */
int etv_entity_tag_own_same(const etv_entity_tag_own_t *a, const etv_entity_tag_own_t *b);

#endif
