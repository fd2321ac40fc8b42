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
    fields->place_len = 0;
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
    tag->list = NULL;
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
    at = etv_hash_index(fields->data, fields->place_len ? fields->place_len : fields->len) %
         ETV_TAG_MEMO_ENTRIES;
    memcpy(tag->key, key, sizeof(tag->key));
    tag->has_u = 0;
    tag->list = NULL;
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

int etv_tag_matches(etv_tag_t *tag, char letter, const char *digest)
{
    return (letter == 'v' || letter == 'u') &&
           etv_entity_tag_same_digest(etv_tag_digest(tag, letter), digest);
}

void etv_tag_digest_of_fields(char digest[ETV_ENTITY_TAG_DIGEST_CHARS], const etv_tag_t *tag,
                              const unsigned char fields[ETV_TAG_BYTES])
{
    unsigned char from[ETV_TAG_BYTES + 1 + ETV_TAG_BYTES], u[ETV_TAG_BYTES];

    memcpy(from, tag->v, ETV_TAG_BYTES);
    from[ETV_TAG_BYTES] = 'u';
    memcpy(from + ETV_TAG_BYTES + 1, fields, ETV_TAG_BYTES);
    etv_hash_prf(u, from, sizeof(from), tag->key);
    etv_tag_base64url(digest, u);
}

int etv_tag_is(etv_tag_t *tag, const etv_entity_tag_own_t *own)
{
    char digest[ETV_ENTITY_TAG_DIGEST_CHARS];
    unsigned char fields[ETV_TAG_BYTES];

    if (!own->list != !tag->list ||
        (own->list && !etv_entity_tag_same_digest(own->list, tag->list)))
        return 0;
    if (!own->fields)
        return etv_tag_matches(tag, own->letter, own->digest);
    if (!etv_tag_from_base64url(fields, own->fields))
        return 0;
    etv_tag_digest_of_fields(digest, tag, fields);
    return etv_entity_tag_same_digest(digest, own->digest);
}

char etv_tag_is_whole_list(etv_tag_t *tag, const char *list)
{
    enum { LETTER = 3, DIGEST = 4, BEHIND = DIGEST + ETV_ENTITY_TAG_DIGEST_CHARS };
    const char *end = list + BEHIND + (tag->list ? 1 + ETV_ENTITY_TAG_DIGEST_CHARS : 0);
    int from_here = tag->list == list + BEHIND + 1; /* then it is as long as that at least */

    if (list[0] != 'W' || list[1] != '/' || list[2] != '"' ||
        (!from_here && strlen(list) != (apr_size_t)(end - list) + 1) || end[0] != '"' || end[1])
        return 0;
    if (tag->list && (list[BEHIND] != '.' ||
                      !(from_here || etv_entity_tag_same_digest(list + BEHIND + 1, tag->list))))
        return 0;
    return etv_tag_matches(tag, list[LETTER], list + DIGEST) ? list[LETTER] : 0;
}

static char *put_digest(char *to, char mark, const char *digest)
{
    *to++ = mark;
    memcpy(to, digest, ETV_ENTITY_TAG_DIGEST_CHARS);
    return to + ETV_ENTITY_TAG_DIGEST_CHARS;
}

char *etv_tag_write_own(apr_pool_t *p, const etv_entity_tag_own_t *own, int weak)
{
    char *text =
        apr_palloc(p, 2 + 2 + 3 * (1 + ETV_ENTITY_TAG_DIGEST_CHARS) + 1 + own->coding_len + 1);
    char *to = text;

    if (weak || own->coding) {
        *to++ = 'W';
        *to++ = '/';
    }
    *to++ = '"';
    to = put_digest(to, own->letter, own->digest);
    if (own->list)
        to = put_digest(to, '.', own->list);
    if (own->fields)
        to = put_digest(to, '~', own->fields);
    if (own->coding) {
        *to++ = '-';
        memcpy(to, own->coding, own->coding_len);
        to += own->coding_len;
    }
    *to++ = '"';
    *to = '\0';
    return text;
}

char *etv_tag_write(apr_pool_t *p, char letter, const char *digest, int weak, const char *coding,
                    apr_size_t coding_len)
{
    etv_entity_tag_own_t own = {letter, digest, NULL, NULL, coding, coding ? coding_len : 0};

    return etv_tag_write_own(p, &own, weak);
}

char *etv_tag_text(apr_pool_t *p, etv_tag_t *tag, char letter, const unsigned char *fields,
                   int weak, const char *coding, apr_size_t coding_len)
{
    char digest[ETV_ENTITY_TAG_DIGEST_CHARS], name[ETV_ENTITY_TAG_DIGEST_CHARS];
    etv_entity_tag_own_t own = {letter, digest, tag->list, NULL, coding, coding ? coding_len : 0};

    if (fields && letter == 'u') {
        etv_tag_digest_of_fields(digest, tag, fields);
        etv_tag_base64url(name, fields);
        own.fields = name;
    } else {
        own.digest = etv_tag_digest(tag, letter);
    }
    return etv_tag_write_own(p, &own, weak);
}

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

int etv_tag_from_base64url(unsigned char out[ETV_TAG_BYTES],
                           const char in[ETV_ENTITY_TAG_DIGEST_CHARS])
{
    unsigned int bits = 0;
    int have = 0, o = 0;

    for (int i = 0; i < ETV_ENTITY_TAG_DIGEST_CHARS; i++) {
        int digit = digit_of(in[i]);

        if (digit < 0)
            return 0;
        bits = bits << 6 | (unsigned int)digit;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[o++] = (unsigned char)(bits >> have);
        }
    }
    return !(bits & 15); /* the last four carry nothing */
}
