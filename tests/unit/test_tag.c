/* SPDX-License-Identifier: Apache-2.0 */
/* Tag composition: fields that cannot be confused, digests that differ by letter, the text. */
#include <string.h>

#include <apr_strings.h>

#include "etv_check.h"

#include "core/tag.h"

static const unsigned char key[ETV_HASH_KEY_BYTES] = "0123456789abcde";

static void digest_of(char out[23], const char *const *texts, int n)
{
    etv_tag_fields_t fields;
    etv_tag_t tag;

    etv_tag_fields_init(&fields, pool);
    for (int i = 0; i < n; i++)
        etv_tag_fields_add_string(&fields, texts[i]);
    etv_tag_make(&tag, &fields, key);
    memcpy(out, etv_tag_digest(&tag, 'v'), 22);
    out[22] = '\0';
}

START_TEST(base64url_is_that_of_rfc_4648)
{
    unsigned char in[16];
    char out[23] = "";

    for (int i = 0; i < 16; i++)
        in[i] = (unsigned char)(0xfb + i * 0x11);
    etv_tag_base64url(out, in);
    ck_assert_str_eq(out, "-wwdLj9QYXKDlKW2x9jp-g");
    memset(in, 0, 16);
    etv_tag_base64url(out, in);
    ck_assert_str_eq(out, "AAAAAAAAAAAAAAAAAAAAAA");
    memset(in, 0xff, 16);
    etv_tag_base64url(out, in);
    ck_assert_str_eq(out, "_____________________w");
}
END_TEST

START_TEST(fields_cannot_be_confused)
{
    static const struct {
        const char *texts[3];
        int n;
    } all[] = {
        {{"ab", "c", ""}, 3},
        {{"a", "bc", ""}, 3},
        {{"", "ab", "c"}, 3},
        {{"abc", "", ""}, 3},
        {{"ab", "c"}, 2},
        {{"ab", NULL}, 2},
        {{"ab", ""}, 2},
        {{"ab"}, 1},
        {{NULL, "ab"}, 2},
        {{NULL}, 1},
        {{""}, 1},
        {{"\x01"}, 1},
        {{"\x01", "a", ""}, 3},
        {{"\x02"
          "ab"},
         1},
    };
    enum { N = sizeof(all) / sizeof(all[0]) };
    char digests[N][23];

    for (int i = 0; i < N; i++) {
        digest_of(digests[i], all[i].texts, all[i].n);
        for (int j = 0; j < i; j++)
            ck_assert_str_ne(digests[i], digests[j]);
    }
}
END_TEST

START_TEST(long_fields_are_taken_whole)
{
    apr_size_t sizes[] = {252, 253, 254, 255, 256, 1000, 1015, 1016, 1024, 70000};
    char *text = apr_palloc(pool, 70001), digest[23], other[23];
    const char *texts[] = {text, "end"};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        memset(text, 'x', sizes[i]);
        text[sizes[i]] = '\0';
        digest_of(digest, texts, 2);
        text[sizes[i] - 1] = 'y';
        digest_of(other, texts, 2);
        ck_assert_str_ne(digest, other);
        text[sizes[i] - 1] = 'x';
        digest_of(other, texts, 2);
        ck_assert_str_eq(digest, other);
    }
}
END_TEST

START_TEST(letters_and_keys_give_other_digests)
{
    static const unsigned char other_key[ETV_HASH_KEY_BYTES] = "0123456789abcdX";
    etv_tag_fields_t fields;
    etv_tag_t tag, other;

    etv_tag_fields_init(&fields, pool);
    etv_tag_fields_add_string(&fields, "x");
    etv_tag_make(&tag, &fields, key);
    etv_tag_make(&other, &fields, other_key);
    ck_assert_int_ne(memcmp(etv_tag_digest(&tag, 'v'), etv_tag_digest(&tag, 'u'), 22), 0);
    ck_assert_int_ne(memcmp(etv_tag_digest(&tag, 'v'), etv_tag_digest(&other, 'v'), 22), 0);
    ck_assert_int_ne(memcmp(etv_tag_digest(&tag, 'u'), etv_tag_digest(&other, 'u'), 22), 0);
}
END_TEST

static int matches(etv_tag_t *tag, const char *text)
{
    const char *cursor = text;
    etv_entity_tag_t parsed;
    etv_entity_tag_own_t own;

    ck_assert_int_eq(etv_entity_tag_next(text, &cursor, &parsed), ETV_ENTITY_TAG_ONE);
    return etv_entity_tag_own(&parsed, &own) && etv_tag_matches(tag, own.letter, own.digest);
}

START_TEST(text_and_match_agree)
{
    apr_pool_t *p = pool;
    etv_tag_fields_t fields;
    etv_tag_t tag;
    char *text;

    etv_tag_fields_init(&fields, p);
    etv_tag_fields_add_string(&fields, "x");
    etv_tag_make(&tag, &fields, key);
    text = etv_tag_text(p, &tag, 'v', NULL, 1, NULL, 0);
    ck_assert_int_eq((int)strlen(text), 2 + 2 + 1 + 22);
    ck_assert_int_eq(strncmp(text, "W/\"v", 4), 0);
    ck_assert(matches(&tag, text));
    text = etv_tag_text(p, &tag, 'u', NULL, 0, NULL, 0);
    ck_assert_int_eq(strncmp(text, "\"u", 2), 0);
    ck_assert(matches(&tag, text));
    text[1] = 'v'; /* the same digest under the other letter is no tag of ours */
    ck_assert(!matches(&tag, text));
    text = etv_tag_text(p, &tag, 'v', NULL, 0, "gzip", 4);
    ck_assert_int_eq(strncmp(text, "W/\"v", 4), 0); /* coded: always weak */
    ck_assert_str_eq(text + 4 + 22, "-gzip\"");
    ck_assert(matches(&tag, text));
    for (int i = 4; i < 26; i++) {
        char was = text[i];

        text[i] = was == 'A' ? 'B' : 'A';
        ck_assert(!matches(&tag, text));
        text[i] = was;
    }
    text[3] = 'c'; /* a content tag is compared elsewhere */
    ck_assert(!matches(&tag, text));
}
END_TEST

START_TEST(the_memo_changes_nothing)
{
    static const unsigned char other_key[ETV_HASH_KEY_BYTES] = "0123456789abcdX";
    etv_tag_memo_t *memo = apr_pcalloc(pool, sizeof(*memo));

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 400; i++) { /* more than it has entries, and some too long for it */
            const unsigned char *with = i % 3 ? key : other_key;
            etv_tag_fields_t fields;
            etv_tag_t plain, remembered;

            etv_tag_fields_init(&fields, pool);
            for (int j = 0; j <= i; j += 5)
                etv_tag_fields_add(&fields, &i, sizeof(i));
            etv_tag_make(&plain, &fields, with);
            etv_tag_make_memo(&remembered, &fields, with, memo);
            ck_assert_mem_eq(plain.v, remembered.v, ETV_TAG_BYTES);
            ck_assert_mem_eq(etv_tag_digest(&plain, 'v'), etv_tag_digest(&remembered, 'v'), 22);
            ck_assert_mem_eq(etv_tag_digest(&plain, 'u'), etv_tag_digest(&remembered, 'u'), 22);
        }
    }
}
END_TEST

START_TEST(lower_case_is_that_of_ascii)
{
    unsigned char text[256 + 1];

    for (int shift = 0; shift < 9; shift++) { /* every byte at every place of a word */
        etv_tag_fields_t fields;

        for (int i = 0; i < 255; i++)
            text[i] = (unsigned char)((i + shift) % 255 + 1);
        text[240] = '\0';
        etv_tag_fields_init(&fields, pool);
        etv_tag_fields_add_lower(&fields, (const char *)text);
        ck_assert_uint_eq(fields.len, 241);
        for (int i = 0; i < 240; i++) {
            int expected = text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i];

            ck_assert_int_eq(fields.data[1 + i], expected);
        }
    }
}
END_TEST

START_TEST(long_host_after_long_fields)
{
    char *text = apr_palloc(pool, 5001);
    etv_tag_fields_t fields;

    memset(text, 'A', 5000);
    text[5000] = '\0';
    etv_tag_fields_init(&fields, pool);
    etv_tag_fields_add(&fields, text, 1013); /* nearly fills what is on the stack */
    etv_tag_fields_add_lower(&fields, text);
    ck_assert_uint_eq(fields.len, 9 + 1013 + 9 + 5000);
    ck_assert_int_eq(fields.data[fields.len - 1], 'a');
}
END_TEST

START_TEST(lower_case_at_every_place)
{
    char text[280];

    for (size_t len = 0; len < sizeof(text); len++) { /* short and long prefixes */
        memset(text, 'A', len);
        text[len] = '\0';
        for (size_t before = 700; before < 1100; before++) { /* over the end of the stack's room */
            etv_tag_fields_t fields;
            static const unsigned char filler[1100];

            etv_tag_fields_init(&fields, pool);
            etv_tag_fields_add(&fields, filler, before);
            etv_tag_fields_add_lower(&fields, text);
            ck_assert_uint_le(fields.len, fields.size);
            ck_assert(len == 0 || fields.data[fields.len - 1] == 'a');
        }
        apr_pool_clear(pool);
    }
}
END_TEST

START_TEST(a_whole_list_of_one)
{
    etv_tag_fields_t fields;
    etv_tag_t tag;
    char *text;

    etv_tag_fields_init(&fields, pool);
    etv_tag_fields_add_string(&fields, "x");
    etv_tag_make(&tag, &fields, key);
    text = etv_tag_text(pool, &tag, 'v', NULL, 1, NULL, 0);
    ck_assert_int_eq(etv_tag_is_whole_list(&tag, text), 'v');
    ck_assert_int_eq(etv_tag_is_whole_list(&tag, etv_tag_text(pool, &tag, 'u', NULL, 1, NULL, 0)),
                     'u');
    ck_assert_int_eq(etv_tag_is_whole_list(&tag, etv_tag_text(pool, &tag, 'v', NULL, 0, NULL, 0)),
                     0);
    ck_assert_int_eq(etv_tag_is_whole_list(&tag, etv_tag_text(pool, &tag, 'v', NULL, 1, "br", 2)),
                     0);
    ck_assert_int_eq(etv_tag_is_whole_list(&tag, apr_pstrcat(pool, text, ",", NULL)), 0);
    ck_assert_int_eq(etv_tag_is_whole_list(&tag, ""), 0);
    ck_assert_int_eq(etv_tag_is_whole_list(&tag, "*"), 0);
    ck_assert_int_eq(etv_tag_is_whole_list(&tag, "W/\""), 0);
    text[10] = text[10] == 'A' ? 'B' : 'A';
    ck_assert_int_eq(etv_tag_is_whole_list(&tag, text), 0);
}
END_TEST

START_TEST(base64url_is_read_strictly)
{
    unsigned char bytes[ETV_TAG_BYTES], again[ETV_TAG_BYTES];
    char text[ETV_ENTITY_TAG_DIGEST_CHARS];

    for (int round = 0; round < 256; round++) {
        for (int i = 0; i < ETV_TAG_BYTES; i++)
            bytes[i] = (unsigned char)(round * (i + 1) + i);
        etv_tag_base64url(text, bytes);
        ck_assert(etv_tag_from_base64url(again, text));
        ck_assert_mem_eq(again, bytes, sizeof(bytes));
        for (int i = 0; i < ETV_ENTITY_TAG_DIGEST_CHARS; i += 7) {
            char was = text[i];

            text[i] = "=+/ \x80"[round % 5];
            ck_assert(!etv_tag_from_base64url(again, text));
            text[i] = was;
        }
    }
    /* of the last digit two bits count: each other value is another text for the same bytes */
    memset(text, 'A', sizeof(text));
    for (char last = 'A'; last <= 'Z'; last++) {
        text[ETV_ENTITY_TAG_DIGEST_CHARS - 1] = last;
        ck_assert_int_eq(etv_tag_from_base64url(again, text), (last - 'A') % 16 == 0);
    }
}
END_TEST

static int is(etv_tag_t *tag, const char *text)
{
    const char *cursor = text;
    etv_entity_tag_t parsed;
    etv_entity_tag_own_t own;

    ck_assert_int_eq(etv_entity_tag_next(text, &cursor, &parsed), ETV_ENTITY_TAG_ONE);
    return etv_entity_tag_own(&parsed, &own) && etv_tag_is(tag, &own);
}

START_TEST(tags_that_name_lists_and_fields)
{
    static const unsigned char fields_id[ETV_TAG_BYTES] = "fifteen bytes..";
    static const char list[] = "ListListListListListAA", other[] = "ListListListListListBA";
    etv_tag_fields_t fields;
    etv_tag_t tag, plain;
    char *text;

    etv_tag_fields_init(&fields, pool);
    etv_tag_fields_add_string(&fields, "x");
    etv_tag_make(&tag, &fields, key);
    plain = tag;
    tag.list = list;
    text = etv_tag_text(pool, &tag, 'v', NULL, 1, NULL, 0);
    ck_assert_uint_eq(strlen(text), 2 + 2 + 1 + 22 + 1 + 22);
    ck_assert(is(&tag, text));
    ck_assert(!is(&plain, text));
    ck_assert_int_eq(etv_tag_is_whole_list(&tag, text), 'v');
    ck_assert_int_eq(etv_tag_is_whole_list(&plain, text), 0);
    ck_assert_int_eq(etv_tag_is_whole_list(&tag, etv_tag_text(pool, &plain, 'v', NULL, 1, NULL, 0)),
                     0);
    tag.list = other;
    ck_assert(!is(&tag, text));
    ck_assert_int_eq(etv_tag_is_whole_list(&tag, text), 0);
    tag.list = list;
    text = etv_tag_text(pool, &tag, 'u', fields_id, 0, "br", 2);
    ck_assert_uint_eq(strlen(text), 2 + 2 + 1 + 22 + 1 + 22 + 1 + 22 + 3);
    ck_assert_mem_eq(text + 4 + 22, ".ListListListListListAA~", 24);
    ck_assert(is(&tag, text));
    /* neither what it names, nor that it names something, can be changed */
    text[4 + 22 + 24] ^= 1;
    ck_assert(!is(&tag, text));
    text[4 + 22 + 24] ^= 1;
    ck_assert(is(&tag, text));
    memmove(text + 4 + 22 + 23, text + 4 + 22 + 23 + 23, strlen(text + 4 + 22 + 23 + 23) + 1);
    ck_assert(!is(&tag, text));
    ck_assert_ptr_null(strchr(etv_tag_text(pool, &tag, 'v', fields_id, 1, NULL, 0), '~'));
}
END_TEST

int main(void)
{
    return etv_check_run(
        "tag", (const TTest *[]){
                   base64url_is_that_of_rfc_4648, fields_cannot_be_confused,
                   long_fields_are_taken_whole, letters_and_keys_give_other_digests,
                   text_and_match_agree, the_memo_changes_nothing, lower_case_is_that_of_ascii,
                   long_host_after_long_fields, a_whole_list_of_one, lower_case_at_every_place,
                   base64url_is_read_strictly, tags_that_name_lists_and_fields, NULL});
}
