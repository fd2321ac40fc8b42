/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_check.h"

#include "core/entity_tag.h"

/* The members of a list as text: W/"a" is `w:a `, "a" is `s:a `, then END `.`, ANY `*`, INVALID
 * `!`. */
static const char *listed(const char *field)
{
    static char out[512];
    const char *cursor = field;
    etv_entity_tag_t tag;
    char *at = out;

    for (;;) {
        switch (etv_entity_tag_next(field, &cursor, &tag)) {
        case ETV_ENTITY_TAG_ONE:
            *at++ = tag.weak ? 'w' : 's';
            *at++ = ':';
            memcpy(at, tag.opaque, tag.len);
            at += tag.len;
            *at++ = ' ';
            continue;
        case ETV_ENTITY_TAG_END:
            *at++ = '.';
            break;
        case ETV_ENTITY_TAG_ANY:
            *at++ = '*';
            break;
        case ETV_ENTITY_TAG_INVALID:
            *at++ = '!';
            break;
        }
        *at = '\0';
        ck_assert_int_eq(etv_entity_tag_next(field, &cursor, &tag), ETV_ENTITY_TAG_END);
        return out;
    }
}

START_TEST(test_lists)
{
    static const struct {
        const char *field, *members;
    } rows[] = {
        {"", "."},
        {" \t", "."},
        {",", "."},
        {" , ,\t,", "."},
        {"\"\"", "s: ."},
        {"\"a\"", "s:a ."},
        {"W/\"a\"", "w:a ."},
        {" \"foo\",, \"bar\" ,", "s:foo s:bar ."},
        {"\"a\",\"b\"\t,\t W/\"c\"", "s:a s:b w:c ."},
        {"\"a,b\", \"c\"", "s:a,b s:c ."},
        {"\"!#~[]\\\"", "s:!#~[]\\ ."},
        {"\"\x80\xff\"", "s:\x80\xff ."},
        {"*", "*"},
        {" \t* \t", "*"},
        /* `*` is no member of a list */
        {",*", "!"},
        {"*,", "!"},
        {"**", "!"},
        {"*, \"a\"", "!"},
        {"\"a\", *", "s:a !"},
        {"W/*", "!"},
        /* not the grammar */
        {"a", "!"},
        {"\"a", "!"},
        {"\"", "!"},
        {"W", "!"},
        {"W/", "!"},
        {"w/\"a\"", "!"},
        {"W\"a\"", "!"},
        {"W/ \"a\"", "!"},
        {"W /\"a\"", "!"},
        {"W/W/\"a\"", "!"},
        {"\"a b\"", "!"},
        {"\"a\tb\"", "!"},
        {"\"a\x7f\"", "!"},
        {"\"a\x01\"", "!"},
        {"'a'", "!"},
        {"\"a\"b", "!"},
        {"\"a\" \"b\"", "!"},
        {"\"a\";q=1", "!"},
        {"\"\"\"", "!"},
        {"\"e\\\"t\\\"ag\"", "!"},
        /* members before the malformed one count, those behind it do not */
        {"\"a\", b, \"c\"", "s:a !"},
        {"\"a\", \"b", "s:a !"},
        {"\"a\" , W/\"b\" x", "s:a !"},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        ck_assert_msg(strcmp(listed(rows[i].field), rows[i].members) == 0, "[%s] is [%s] not [%s]",
                      rows[i].field, listed(rows[i].field), rows[i].members);
    }
}
END_TEST

/* What a field says to a representation that has the given tag. */
static int matches(const char *field, const char *held, int strong)
{
    const char *cursor = held;
    etv_entity_tag_t mine, tag;

    if (etv_entity_tag_next(held, &cursor, &mine) != ETV_ENTITY_TAG_ONE) {
        return -1;
    }
    for (cursor = field;;) {
        switch (etv_entity_tag_next(field, &cursor, &tag)) {
        case ETV_ENTITY_TAG_ONE:
            if (strong ? etv_entity_tag_equal_strong(&tag, &mine)
                       : etv_entity_tag_equal_weak(&tag, &mine)) {
                return 1;
            }
            break;
        case ETV_ENTITY_TAG_ANY:
            return 1;
        case ETV_ENTITY_TAG_END:
        case ETV_ENTITY_TAG_INVALID:
            return 0;
        }
    }
}

#define HASH_A "\"b4246ffc4f62314ca13147c9d4f76974\""
#define HASH_B "\"7fae4cd4b0f81e7d2914700043aa8ed6\""

/* Facts on which servers agree (RFC 9110 §13.1.2: weak comparison, no error for malformed text). */
START_TEST(test_if_none_match)
{
    static const struct {
        const char *field, *held;
        int match;
    } rows[] = {
        {"\"foo\"", "\"foo\"", 1},
        {"\"foo\"", "\"bar\"", 0},
        {"W/\"foo\"", "W/\"foo\"", 1},
        {"\"foo\"", "W/\"foo\"", 1},
        {"W/\"t\"", "\"t\"", 1},
        {"\"Foo\"", "\"foo\"", 0},
        {",", "\"foo\"", 0},
        {HASH_A, HASH_A, 1},
        {HASH_B, HASH_A, 0},
        {HASH_A ", " HASH_B, HASH_A, 1},
        {HASH_A, "W/" HASH_A, 1},
        {"W/" HASH_A, "W/" HASH_A, 1},
        {"*", HASH_A, 1},
        {"\"\"\"", HASH_A, 0},
        {"\"\"\"", "\"\"", 0},
        {"spam", "\"eggs\"", 0},
        {"spam", "\"spam\"", 0},
        {"\"\" ,  \"etag\", W/\"weak\"", "\"\"", 1},
        {"\"\" ,  \"etag\", W/\"weak\"", "\"etag\"", 1},
        {"\"\" ,  \"etag\", W/\"weak\"", "W/\"weak\"", 1},
        {"\"etag\", \"e\\\"t\\\"ag\"", "\"etag\"", 1},
        {"\"etag\", \"e\\\"t\\\"ag\"", "\"e\"", 0},
        {"\"etag\", \"e\\\"t\\\"ag\"", "\"e\\\"", 0},
        {"*", "\"xyzzy\"", 1},
        {"\"xyzzy1\", \"xyzzy2\"", "\"xyzzy1\"", 1},
        {"\"xyzzy1\"", "\"xyzzy\"", 0},
        {"\"xyzzy\"", "\"xyzzy1\"", 0},
        {"\"xyzzy1\", \"xyzzy2\"", "\"xyzzy\"", 0},
        {"W/\"xyzzy1\"", "W/\"xyzzy1\"", 1},
        {"W/\"xyzzy1\"", "W/\"xyzzy2\"", 0},
        {"W/\"xyzzy1\", W/\"xyzzy2\"", "W/\"xyzzy3\"", 0},
        {"\"1234\"", "\"1234\"", 1},
        {"\"foo\", \"bar\", W/\"baz\", blar", "\"bar\"", 1},
        {"\"foo\", \"bar\", W/\"baz\", blar", "\"blar\"", 0},
        {"abcdef", "\"abcdef\"", 0},
        {"W\"abcdef\"", "\"abcdef\"", 0},
        {"\"1234\", \"abcdef\", \"5678\"", "\"abcdef\"", 1},
        {"\"1234\", \"5678\", \"abcdef\"", "\"abcdef\"", 1},
        {"\"1\"", "W/\"1\"", 1},
        {"\"a,b\", \"c\"", "\"a,b\"", 1},
        {"\"a,b\", \"c\"", "\"b\"", 0},
        {"\"x\", \"foo\"", "\"foo\"", 1},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        ck_assert_msg(matches(rows[i].field, rows[i].held, 0) == rows[i].match, "[%s] [%s]",
                      rows[i].field, rows[i].held);
    }
}
END_TEST

/* RFC 9110 §13.1.1: strong comparison. */
START_TEST(test_if_match)
{
    static const struct {
        const char *field, *held;
        int match;
    } rows[] = {
        {"\"Z\", \"A\"", "\"A\"", 1},
        {"*", "\"A\"", 1},
        {"W/\"A\"", "W/\"A\"", 0},
        {"\"foo\"", "\"t\"", 0},
        {"\"foo\", \"bar\", \t\"t\" , \"baz\"", "\"t\"", 1},
        {"W/\"t\"", "\"t\"", 0},
        {HASH_A, "W/" HASH_A, 0},
        {"W/" HASH_A, HASH_A, 0},
        {" \"foo\",, \"bar\" ,", "\"s\"", 0},
        {" \"foo\",, \"bar\" ,", "\"bar\"", 1},
        {"\"foo\", \"bar\", \"s\"", "\"s\"", 1},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        ck_assert_msg(matches(rows[i].field, rows[i].held, 1) == rows[i].match, "[%s] [%s]",
                      rows[i].field, rows[i].held);
    }
}
END_TEST

/* The table of RFC 9110 §8.8.3.2. */
START_TEST(test_comparison)
{
    static const struct {
        const char *a, *b;
        int strong, weak;
    } rows[] = {
        {"W/\"1\"", "W/\"1\"", 0, 1}, {"W/\"1\"", "W/\"2\"", 0, 0}, {"W/\"1\"", "\"1\"", 0, 1},
        {"\"1\"", "\"1\"", 1, 1},     {"\"\"", "\"\"", 1, 1},       {"\"1\"", "\"\"", 0, 0},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        ck_assert_int_eq(matches(rows[i].a, rows[i].b, 1), rows[i].strong);
        ck_assert_int_eq(matches(rows[i].b, rows[i].a, 1), rows[i].strong);
        ck_assert_int_eq(matches(rows[i].a, rows[i].b, 0), rows[i].weak);
        ck_assert_int_eq(matches(rows[i].b, rows[i].a, 0), rows[i].weak);
    }
}
END_TEST

#define D22 "AZaz09-_AZaz09-_AZaz09"
#define C63 "123456789012345678901234567890123456789012345678901234567890123"

START_TEST(test_own)
{
    static const struct {
        const char *opaque;
        char letter; /* 0: not ours */
        const char *coding;
    } rows[] = {
        {"v" D22, 'v', NULL},
        {"u" D22, 'u', NULL},
        {"c" D22, 'c', NULL},
        {"h" D22, 'h', NULL},
        {"v----------------------", 'v', NULL},
        {"v" D22 "-gzip", 'v', "gzip"},
        {"c" D22 "-x-gzip+br", 'c', "x-gzip+br"},
        {"h" D22 "-_.+-9aZ", 'h', "_.+-9aZ"},
        {"u" D22 "--", 'u', "-"},
        {"u" D22 "-4" C63, 'u', "4" C63},
        {"", 0, NULL},
        {"v", 0, NULL},
        {"x" D22, 0, NULL},
        {"V" D22, 0, NULL},
        {D22 "v", 0, NULL},
        {"vAZaz09-_AZaz09-_AZaz0", 0, NULL},
        {"v" D22 "A", 0, NULL},
        {"v" D22 "Agzip", 0, NULL},
        {"v" D22 "-", 0, NULL},
        {"v" D22 "-gz,ip", 0, NULL},
        {"v" D22 "-gz!ip", 0, NULL},
        {"v" D22 "-\xc3\xa9", 0, NULL},
        {"v" D22 "-45" C63, 0, NULL},
        {"v+Zaz09-_AZaz09-_AZaz09", 0, NULL},
        {"vAZaz09-_AZaz09-_AZaz0=", 0, NULL},
        {"v/Zaz09-_AZaz09-_AZaz09-gzip", 0, NULL},
        {"v" D22 "." D22, 'v', NULL},
        {"u" D22 "." D22, 'u', NULL},
        {"u" D22 "~" D22, 'u', NULL},
        {"u" D22 "." D22 "~" D22, 'u', NULL},
        {"v" D22 "." D22 "-gzip", 'v', "gzip"},
        {"u" D22 "." D22 "~" D22 "-br", 'u', "br"},
        {"u" D22 "~" D22 "--.x", 'u', "-.x"},
        {"v" D22 "-." D22, 'v', "." D22},
        {"v" D22 "~" D22, 0, NULL},
        {"v" D22 "." D22 "~" D22, 0, NULL},
        {"u" D22 "~" D22 "." D22, 0, NULL},
        {"u" D22 "~" D22 "~" D22, 0, NULL},
        {"v" D22 "." D22 "." D22, 0, NULL},
        {"c" D22 "." D22, 0, NULL},
        {"h" D22 "~" D22, 0, NULL},
        {"v" D22 ".", 0, NULL},
        {"u" D22 "~", 0, NULL},
        {"u" D22 "." D22 "~", 0, NULL},
        {"v" D22 ".-gzip", 0, NULL},
        {"v" D22 ".AZaz09-_AZaz09-_AZaz0", 0, NULL},
        {"v" D22 ".+Zaz09-_AZaz09-_AZaz09", 0, NULL},
        {"u" D22 "~AZaz09-_AZaz09-_AZaz0=", 0, NULL},
        {"v" D22 "." D22 "A", 0, NULL},
        {"v" D22 "." D22 "-", 0, NULL},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        etv_entity_tag_t tag = {rows[i].opaque, strlen(rows[i].opaque), (int)(i % 2)};
        etv_entity_tag_own_t own;

        ck_assert_msg(etv_entity_tag_own(&tag, &own) == (rows[i].letter != 0), "%s",
                      rows[i].opaque);
        if (rows[i].letter) {
            ck_assert_int_eq(own.letter, rows[i].letter);
            const char *dot = strchr(tag.opaque, '.'), *tilde = strchr(tag.opaque, '~');

            ck_assert_ptr_eq(own.digest, tag.opaque + 1);
            ck_assert_ptr_eq(own.list, dot == tag.opaque + 23 ? dot + 1 : NULL);
            ck_assert_ptr_eq(own.fields, tilde ? tilde + 1 : NULL);
            ck_assert_int_eq(own.coding == NULL, rows[i].coding == NULL);
            ck_assert_uint_eq(own.coding_len, rows[i].coding ? strlen(rows[i].coding) : 0);
            if (rows[i].coding) {
                ck_assert_mem_eq(own.coding, rows[i].coding, own.coding_len);
            }
        }
    }
}
END_TEST

int main(void)
{
    return etv_check_run("entity_tag",
                         (const TTest *[]){test_lists, test_if_none_match, test_if_match,
                                           test_comparison, test_own, NULL});
}
