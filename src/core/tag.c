/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tag.h"

#include <endian.h>
#include <string.h>

#define LENGTH_NULL 0xff                /* no field */
#define LENGTH_LONG ETV_TAG_FIELD_SHORT /* a 64-bit length follows */

void etv_tag_fields_init(etv_tag_fields_t *fields, apr_pool_t *pool)
{
    fields->pool = pool;
    fields->data = fields->first;
    fields->len = 0;
    fields->size = sizeof(fields->first);
}

static void make_room(etv_tag_fields_t *fields, apr_size_t more)
{
    unsigned char *data;
    apr_size_t size = fields->size;

    while (size - fields->len < more)
        size *= 2;
    if (size == fields->size)
        return;
    data = apr_palloc(fields->pool, size);
    memcpy(data, fields->data, fields->len);
    fields->data = data;
    fields->size = size;
}

void etv_tag_fields_add_long(etv_tag_fields_t *fields, const void *data, apr_size_t len)
{
    unsigned char *to;

    if (fields->size - fields->len < len + 9)
        make_room(fields, len + 9);
    to = fields->data + fields->len;
    if (!data) {
        *to = LENGTH_NULL;
        fields->len++;
        return;
    }
    if (len < LENGTH_LONG) {
        *to++ = (unsigned char)len;
    } else {
        apr_uint64_t wide = len;

        *to++ = LENGTH_LONG;
        for (int i = 0; i < 8; i++)
            *to++ = (unsigned char)(wide >> (8 * i));
    }
    memcpy(to, data, len);
    fields->len = (apr_size_t)(to - fields->data) + len;
}

#define EACH_BYTE(b) (0x0101010101010101ULL * (b))

/* Eight bytes at a time: sums that overflow into the top bit tell which bytes are letters. */
static apr_uint64_t lower_eight(apr_uint64_t bytes)
{
    apr_uint64_t low = bytes & EACH_BYTE(0x7f);
    apr_uint64_t from_a = low + EACH_BYTE(0x80 - 'A');
    apr_uint64_t above_z = low + EACH_BYTE(0x7f - 'Z');
    apr_uint64_t letters = (from_a ^ above_z) & ~bytes & EACH_BYTE(0x80);

    return bytes | letters >> 2;
}

void etv_tag_fields_add_lower(etv_tag_fields_t *fields, const char *text)
{
    apr_size_t len = strlen(text);
    unsigned char *at, *end;

    etv_tag_fields_add(fields, text, len);
    if (fields->size - fields->len < 8) /* the last step reaches beyond the text */
        make_room(fields, 8);
    end = fields->data + fields->len;
    memset(end, 0, 8);
    for (at = end - len; at < end; at += 8) {
        apr_uint64_t bytes;

        memcpy(&bytes, at, sizeof(bytes));
        bytes = lower_eight(bytes);
        memcpy(at, &bytes, sizeof(bytes));
    }
}

/* The lower 48 bits as eight bytes of six bits each, the first of them in the highest byte. */
static inline apr_uint64_t spread(apr_uint64_t bits)
{
    bits = (bits & 0xffffff000000ULL) << 8 | (bits & 0xffffffULL);
    bits = (bits & 0x00fff00000fff000ULL) << 4 | (bits & 0x00000fff00000fffULL);
    return (bits & 0x0fc00fc00fc00fc0ULL) << 2 | (bits & 0x003f003f003f003fULL);
}

/* Sixteen bytes at once; comparisons give 0 or -1 in each. */
typedef signed char sixteen_t __attribute__((vector_size(16)));

static inline sixteen_t digits_of(apr_uint64_t first, apr_uint64_t second)
{
    apr_uint64_t both[2] = {htobe64(first), htobe64(second)};
    sixteen_t six;

    memcpy(&six, both, sizeof(six));
    return six + ('A' + ((six > 25) & ('a' - 'Z' - 1)) + ((six > 51) & ('0' - 'z' - 1)) +
                  ((six > 61) & ('-' - '9' - 1)) + ((six > 62) & ('_' - '-' - 1)));
}

void etv_tag_base64url(char out[ETV_ENTITY_TAG_DIGEST_CHARS], const unsigned char in[ETV_TAG_BYTES])
{
    apr_uint64_t high, low, last;
    sixteen_t digits;

    memcpy(&high, in, sizeof(high));
    memcpy(&low, in + 8, sizeof(low));
    high = be64toh(high);
    low = be64toh(low);
    last = spread(low << 4); /* 44 bits and four that are zero; two digits are written twice */
    digits = digits_of(last, last);
    memcpy(out + 14, &digits, 8);
    digits = digits_of(spread(high >> 16), spread(high << 32 | low >> 32));
    memcpy(out, &digits, 16);
}

void etv_tag_make(etv_tag_t *tag, const etv_tag_fields_t *fields, const unsigned char *key)
{
    etv_hash_prf(tag->v, fields->data, fields->len, key);
    memcpy(tag->key, key, sizeof(tag->key));
    tag->has_u = 0;
    memset(tag->v_text, 0, sizeof(tag->v_text));
    etv_tag_base64url(tag->v_text, tag->v);
}

void etv_tag_make_memo(etv_tag_t *tag, const etv_tag_fields_t *fields, const unsigned char *key,
                       etv_tag_memo_t *memo)
{
    apr_size_t at;

    if (fields->len > ETV_TAG_MEMO_BYTES) {
        etv_tag_make(tag, fields, key);
        return;
    }
    at = etv_hash_index(fields->data, fields->len) % ETV_TAG_MEMO_ENTRIES;
    memcpy(tag->key, key, sizeof(tag->key));
    tag->has_u = 0;
    if (memo->entries[at].len != fields->len ||
        memcmp(memo->entries[at].fields, fields->data, fields->len) != 0 ||
        memcmp(memo->entries[at].key, key, ETV_HASH_KEY_BYTES) != 0) {
        etv_tag_make(tag, fields, key);
        memo->entries[at].len = (apr_uint32_t)fields->len;
        memcpy(memo->entries[at].fields, fields->data, fields->len);
        memcpy(memo->entries[at].key, key, ETV_HASH_KEY_BYTES);
        memcpy(memo->entries[at].v, tag->v, sizeof(tag->v));
        memcpy(memo->entries[at].v_text, tag->v_text, sizeof(tag->v_text));
        return;
    }
    memcpy(tag->v, memo->entries[at].v, sizeof(tag->v));
    memcpy(tag->v_text, memo->entries[at].v_text, sizeof(tag->v_text));
}

static const char *u_digest(etv_tag_t *tag)
{
    if (!tag->has_u) {
        unsigned char from[ETV_TAG_BYTES + 1], u[ETV_TAG_BYTES];

        memcpy(from, tag->v, ETV_TAG_BYTES);
        from[ETV_TAG_BYTES] = 'u';
        etv_hash_prf(u, from, sizeof(from), tag->key);
        etv_tag_base64url(tag->u_text, u);
        tag->has_u = 1;
    }
    return tag->u_text;
}

const char *etv_tag_digest(etv_tag_t *tag, char letter)
{
    return letter == 'u' ? u_digest(tag) : tag->v_text;
}

static apr_uint64_t eight(const char *from)
{
    apr_uint64_t bytes;

    memcpy(&bytes, from, sizeof(bytes));
    return bytes;
}

int etv_tag_matches(etv_tag_t *tag, char letter, const char *digest)
{
    const char *expected;

    if (letter != 'v' && letter != 'u')
        return 0;
    expected = etv_tag_digest(tag, letter);
    /* 22 bytes as three overlapping words */
    return ((eight(expected) ^ eight(digest)) | (eight(expected + 8) ^ eight(digest + 8)) |
            (eight(expected + 14) ^ eight(digest + 14))) == 0;
}

char etv_tag_is_whole_list(etv_tag_t *tag, const char *list)
{
    enum { LETTER = 3, DIGEST = 4, QUOTE = DIGEST + ETV_ENTITY_TAG_DIGEST_CHARS };

    if (list[0] != 'W' || list[1] != '/' || list[2] != '"' || strlen(list) != QUOTE + 1 ||
        list[QUOTE] != '"')
        return 0;
    return etv_tag_matches(tag, list[LETTER], list + DIGEST) ? list[LETTER] : 0;
}

char *etv_tag_write(apr_pool_t *p, char letter, const char *digest, int weak, const char *coding,
                    apr_size_t coding_len)
{
    char *text = apr_palloc(p, 2 + 2 + 1 + ETV_ENTITY_TAG_DIGEST_CHARS + 1 + coding_len + 1);
    char *to = text;

    if (weak || coding) {
        *to++ = 'W';
        *to++ = '/';
    }
    *to++ = '"';
    *to++ = letter;
    memcpy(to, digest, ETV_ENTITY_TAG_DIGEST_CHARS);
    to += ETV_ENTITY_TAG_DIGEST_CHARS;
    if (coding) {
        *to++ = '-';
        memcpy(to, coding, coding_len);
        to += coding_len;
    }
    *to++ = '"';
    *to = '\0';
    return text;
}

char *etv_tag_text(apr_pool_t *p, etv_tag_t *tag, char letter, int weak, const char *coding,
                   apr_size_t coding_len)
{
    return etv_tag_write(p, letter, etv_tag_digest(tag, letter), weak, coding, coding_len);
}
