/* SPDX-License-Identifier: Apache-2.0 */
#include "core/entity_tag.h"

#include <string.h>

/* Classes of characters. One load decides, because every conditional request comes through here. */
#define ETAGC  1 /* etagc of RFC 9110 §8.8.3: %x21 / %x23-7E / obs-text */
#define DIGEST 2 /* base64url, RFC 4648 §5 */
#define CODING 4 /* what we let a coding suffix consist of */

#define E   ETAGC
#define C_  (ETAGC | CODING)
#define D   (ETAGC | DIGEST | CODING)
#define E16 E, E, E, E, E, E, E, E, E, E, E, E, E, E, E, E

static const unsigned char class_of[256] = {
    0,   0,   0,   0,   0,   0,   0,   0,   0, 0, 0, 0,  0, 0, 0,  0, /* controls */
    0,   0,   0,   0,   0,   0,   0,   0,   0, 0, 0, 0,  0, 0, 0,  0, /* controls */
    0,   E,   0,   E,   E,   E,   E,   E,   E, E, E, C_, E, D, C_, E, /* + - . */
    D,   D,   D,   D,   D,   D,   D,   D,   D, D, E, E,  E, E, E,  E, /* 0-9 */
    E,   D,   D,   D,   D,   D,   D,   D,   D, D, D, D,  D, D, D,  D, /* A-O */
    D,   D,   D,   D,   D,   D,   D,   D,   D, D, D, E,  E, E, E,  D, /* P-Z _ */
    E,   D,   D,   D,   D,   D,   D,   D,   D, D, D, D,  D, D, D,  D, /* a-o */
    D,   D,   D,   D,   D,   D,   D,   D,   D, D, D, E,  E, E, E,  0, /* p-z DEL */
    E16, E16, E16, E16, E16, E16, E16, E16,
};

#undef E
#undef C_
#undef D
#undef E16

static int is_ows(unsigned char c)
{
    return c == ' ' || c == '\t';
}

/* What is at `at`, where no entity-tag begins. */
static etv_entity_tag_next_e next_is_no_tag(const char *start, const char *at, const char **cursor)
{
    const char *member = at;

    if (*at == '\0') {
        *cursor = at;
        return ETV_ENTITY_TAG_END;
    }
    *cursor = at + strlen(at);
    if (*at != '*') {
        return ETV_ENTITY_TAG_INVALID;
    }
    /* §13.1.1, §13.1.2: the value is either "*" or a list; "*" is no member of a list. */
    while (start < member && is_ows((unsigned char)*start)) {
        start++;
    }
    do {
        at++;
    } while (is_ows((unsigned char)*at));
    return start == member && *at == '\0' ? ETV_ENTITY_TAG_ANY : ETV_ENTITY_TAG_INVALID;
}

etv_entity_tag_next_e etv_entity_tag_next(const char *start, const char **cursor,
                                          etv_entity_tag_t *tag)
{
    const unsigned char *at = (const unsigned char *)*cursor;
    const unsigned char *member;
    const unsigned char *opaque;

    /* §5.6.1.2: a recipient passes over empty members. */
    while (*at == ',' || is_ows(*at)) {
        at++;
    }
    member = at;
    tag->weak = 0;
    /* §8.8.3: weak = %s"W/", case-sensitive, nothing between it and the quote. */
    if (at[0] == 'W' && at[1] == '/') {
        tag->weak = 1;
        at += 2;
    }
    if (*at != '"') {
        return next_is_no_tag(start, (const char *)member, cursor);
    }
    opaque = ++at;
    /* §8.8.3: a backslash is an etagc like any other, it escapes nothing. */
    while (class_of[*at] & ETAGC) {
        at++;
    }
    if (*at == '"') {
        tag->opaque = (const char *)opaque;
        tag->len = (apr_size_t)(at - opaque);
        do {
            at++;
        } while (is_ows(*at));
        if (*at == ',' || *at == '\0') {
            *cursor = (const char *)at;
            return ETV_ENTITY_TAG_ONE;
        }
    }
    *cursor = (const char *)at + strlen((const char *)at);
    return ETV_ENTITY_TAG_INVALID;
}

int etv_entity_tag_equal_weak(const etv_entity_tag_t *a, const etv_entity_tag_t *b)
{
    return a->len == b->len && memcmp(a->opaque, b->opaque, a->len) == 0;
}

int etv_entity_tag_equal_strong(const etv_entity_tag_t *a, const etv_entity_tag_t *b)
{
    return !a->weak && !b->weak && etv_entity_tag_equal_weak(a, b);
}

/* Whether as many characters as a digest has are there, and all of base64url. Judged once at the
 * end, two at a time: fewer instructions than a branch for each. */
static int has_digest(const unsigned char *at, const unsigned char *end)
{
    unsigned int classes = DIGEST;

    if (end - at < ETV_ENTITY_TAG_DIGEST_CHARS) {
        return 0;
    }
    for (int i = 0; i < ETV_ENTITY_TAG_DIGEST_CHARS; i += 2) {
        classes &= class_of[at[i]] & class_of[at[i + 1]];
    }
    return (classes & DIGEST) != 0;
}

/* What a version tag may name. @return behind it; NULL when it is malformed */
static const unsigned char *own_names(const unsigned char *at, const unsigned char *end,
                                      etv_entity_tag_own_t *own)
{
    if (*at == '.' && (own->letter == 'v' || own->letter == 'u')) {
        if (!has_digest(++at, end)) {
            return NULL;
        }
        own->list = (const char *)at;
        at += ETV_ENTITY_TAG_DIGEST_CHARS;
    }
    if (at < end && *at == '~' && own->letter == 'u') {
        if (!has_digest(++at, end)) {
            return NULL;
        }
        own->fields = (const char *)at;
        at += ETV_ENTITY_TAG_DIGEST_CHARS;
    }
    return at;
}

int etv_entity_tag_own(const etv_entity_tag_t *tag, etv_entity_tag_own_t *own)
{
    const unsigned char *at = (const unsigned char *)tag->opaque;
    const unsigned char *end = at + tag->len;

    if (!tag->len || (*at != 'v' && *at != 'u' && *at != 'c' && *at != 'h')) {
        return 0;
    }
    own->letter = (char)*at++;
    own->digest = (const char *)at;
    own->list = NULL;
    own->fields = NULL;
    own->coding = NULL;
    own->coding_len = 0;
    if (!has_digest(at, end)) {
        return 0;
    }
    at += ETV_ENTITY_TAG_DIGEST_CHARS;
    if (at == end) {
        return 1;
    }
    at = own_names(at, end, own);
    if (!at || at == end) {
        return at != NULL;
    }
    if (*at++ != '-' || at == end || end - at > ETV_ENTITY_TAG_CODING_MOST) {
        return 0;
    }
    own->coding = (const char *)at;
    own->coding_len = (apr_size_t)(end - at);
    for (; at < end; at++) {
        if (!(class_of[*at] & CODING)) {
            return 0;
        }
    }
    return 1;
}

static int same_name(const char *a, const char *b)
{
    return a && b ? etv_entity_tag_same_digest(a, b) : a == b;
}

int etv_entity_tag_own_same(const etv_entity_tag_own_t *a, const etv_entity_tag_own_t *b)
{
    return a->letter == b->letter && same_name(a->digest, b->digest) &&
           same_name(a->list, b->list) && same_name(a->fields, b->fields);
}
