/* SPDX-License-Identifier: Apache-2.0 */
/* The digest of bodies: one result whatever the vector unit and however the bytes are cut. */
#define XXH_VECTOR XXH_SCALAR /* what all units are compared with */

#include "etv_check.h"

#include "core/digest.h"
#include "core/digest_unit.h"

static const unsigned char tag_key[ETV_HASH_KEY_BYTES] = {1, 2,  3,  4,  5,  6,  7,  8,
                                                          9, 10, 11, 12, 13, 14, 15, 16};
static unsigned char secret[ETV_DIGEST_SECRET_BYTES];
static unsigned char body[140000];

typedef struct {
    unsigned char bytes[ETV_DIGEST_BYTES];
} result_t;

/* Bytes with no period that a block of the hash could hide. */
static void prepare(void)
{
    apr_uint64_t x = 1;

    for (size_t i = 0; i < sizeof(body); i++) {
        x = x * APR_UINT64_C(6364136223846793005) + APR_UINT64_C(1442695040888963407);
        body[i] = (unsigned char)(x >> 56);
    }
    etv_digest_derive(secret, tag_key);
}

static const char *hex(const unsigned char *bytes, size_t len)
{
    static char text[2 * ETV_DIGEST_SECRET_BYTES + 1];

    for (size_t i = 0; i < len; i++) {
        text[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    text[2 * len] = '\0';
    return text;
}

static result_t result_of(const etv_digest_t *digest)
{
    result_t result;

    etv_digest_result(digest, result.bytes);
    return result;
}

/* In one call, without streaming and without a vector unit. */
static result_t expected(const unsigned char *data, size_t len)
{
    XXH128_canonical_t canonical;
    result_t result;

    XXH128_canonicalFromHash(&canonical,
                             XXH3_128bits_withSecret(data, len, secret, sizeof(secret)));
    memcpy(result.bytes, canonical.digest, sizeof(result.bytes));
    return result;
}

static void assert_same(result_t got, result_t wanted, const etv_digest_unit_t *unit, size_t len,
                        size_t cut)
{
    ck_assert_msg(memcmp(&got, &wanted, sizeof(got)) == 0, "%s: %zu bytes, cut at %zu", unit->name,
                  len, cut);
}

/* In two pieces. */
static void check_cut(const etv_digest_unit_t *unit, size_t len, size_t cut, result_t wanted)
{
    etv_digest_t *digest = etv_digest_create_with(pool, unit, secret);

    etv_digest_update(digest, body, cut);
    etv_digest_update(digest, body + cut, len - cut);
    assert_same(result_of(digest), wanted, unit, len, cut);
}

/* All cuts, or those near a multiple of 64. */
static void check_cuts(const etv_digest_unit_t *unit, size_t len, int all)
{
    result_t wanted = expected(body, len);

    for (size_t cut = 0; cut <= len; cut++) {
        if (all || (cut + 2) % 64 <= 4) {
            check_cut(unit, len, cut, wanted);
        }
    }
    apr_pool_clear(pool);
}

/* Where the library changes its ways: 16, 128, 240 (short bodies), 256 (its buffer), 1024 (a
 * block), each with a stripe of 64 before and after. */
START_TEST(cuts_do_not_matter)
{
    const etv_digest_unit_t *unit;

    for (int nth = 0; (unit = etv_digest_usable(nth)); nth++) {
        for (size_t len = 0; len <= 325; len++) {
            check_cuts(unit, len, 1);
        }
        for (size_t around = 384; around <= 4096 + 64; around += 64) {
            for (size_t len = around - 2; len <= around + 2; len++) {
                check_cuts(unit, len, 0);
            }
        }
        check_cuts(unit, 1024, 1);
        check_cuts(unit, 2048 + 1, 1);
    }
}
END_TEST

/* Two cuts, each near a boundary of 64 bytes. */
START_TEST(neither_do_two_cuts)
{
    const size_t len = 2500;
    const etv_digest_unit_t *unit;
    result_t wanted = expected(body, len);

    for (int nth = 0; (unit = etv_digest_usable(nth)); nth++) {
        for (size_t a = 0; a <= 1280; a += 64) {
            for (size_t b = a + 64; b <= 2432; b += 64) {
                for (int near = 0; near < 9; near++) {
                    size_t first = a + (size_t)(near % 3), second = b + (size_t)(near / 3) - 1;
                    etv_digest_t *digest = etv_digest_create_with(pool, unit, secret);

                    etv_digest_update(digest, body, first);
                    etv_digest_update(digest, body + first, second - first);
                    etv_digest_update(digest, body + second, len - second);
                    assert_same(result_of(digest), wanted, unit, first, second);
                }
            }
            apr_pool_clear(pool);
        }
    }
}
END_TEST

START_TEST(neither_do_many_pieces)
{
    static const size_t sizes[] = {1,   14,   63,   64,   65,    255,   256,
                                   257, 1000, 1023, 8000, 16320, 139999};
    const etv_digest_unit_t *unit;
    result_t wanted = expected(body, sizeof(body));

    for (int nth = 0; (unit = etv_digest_usable(nth)); nth++) {
        for (size_t i = 0; i < ETV_ROWS(sizes); i++) {
            etv_digest_t *digest = etv_digest_create_with(pool, unit, secret);

            for (size_t at = 0; at < sizeof(body); at += sizes[i]) {
                size_t left = sizeof(body) - at;

                etv_digest_update(digest, body + at, left < sizes[i] ? left : sizes[i]);
                etv_digest_update(digest, NULL, 0);
            }
            assert_same(result_of(digest), wanted, unit, sizeof(body), sizes[i]);
        }
    }
}
END_TEST

/* 10,000 pieces of all lengths, also none, against one piece; read from all alignments. */
START_TEST(neither_do_irregular_pieces)
{
    const etv_digest_unit_t *unit;

    for (int nth = 0; (unit = etv_digest_usable(nth)); nth++) {
        for (size_t offset = 0; offset < 64; offset += 7) {
            etv_digest_t *digest = etv_digest_create_with(pool, unit, secret);
            size_t at = offset;

            for (int piece = 0; piece < 10000 - 1; piece++) {
                size_t len = body[piece] % 27;

                etv_digest_update(digest, body + at, len);
                at += len;
            }
            ck_assert_uint_lt(at, sizeof(body));
            etv_digest_update(digest, body + at, sizeof(body) - at);
            assert_same(result_of(digest), expected(body + offset, sizeof(body) - offset), unit,
                        sizeof(body) - offset, offset);
        }
    }
}
END_TEST

/* Hosts with different processors and builds give one response the same tag, for ever. */
START_TEST(results_are_for_ever)
{
    static const struct {
        size_t len;
        const char *hex;
    } rows[] = {
        {0, "42c4dcd793bfaab554fc329ee30f7c15"},    {1, "e6282020b697885082c7341a67a95b3b"},
        {100, "b4ed492035d07fe2e2a2e6ff01a3761e"},  {200, "f0a9ea1e77cc372202b44d14c3af443d"},
        {256, "4e956dcd30b41a6b51f50b530c62a7fb"},  {1024, "45c64f56923c4e399d86ffa5b61d0eee"},
        {5000, "6315ffc21e8a0235e0e08722f1b30caf"}, {140000, "7dc6d962e3c2bd17647a729b3ae40f21"},
    };

    ck_assert_str_eq(hex(secret, sizeof(secret)),
                     "1b9b089873cdc0ee160b72380dde73f7d6da7ea5117ffe78b3c22226fa0a50d9"
                     "7e5b8b1f92d612dcac3c942afeaf0a1ebac2fa491fab6d5b8d9040a10e214e82"
                     "4dae0e59821a1d833684a613c253cf7b0b32a88b350f753d5fff50a4107eb7fa"
                     "e027b55880b02d5ddb2818c9450b8d3a974a01573502bbe0e563d34682755eca"
                     "7464899edee152de2faf2a7aa73d7c22266b7d35d7bc5a42f221c6eaab46025b"
                     "092f9cf29d4ccfa640fa4b44f7b0ce2b5a765c879c9c9b70b87cfbe0f60b502b");
    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        etv_digest_t *digest = etv_digest_create(pool, secret);
        result_t result;

        etv_digest_update(digest, body, rows[i].len);
        result = result_of(digest);
        ck_assert_str_eq(hex(result.bytes, sizeof(result.bytes)), rows[i].hex);
    }
}
END_TEST

/* Asking for the result changes nothing: more can follow. */
START_TEST(a_result_is_not_the_end)
{
    const etv_digest_unit_t *unit;

    for (int nth = 0; (unit = etv_digest_usable(nth)); nth++) {
        etv_digest_t *digest = etv_digest_create_with(pool, unit, secret);

        for (size_t len = 0; len < 2100; len++) {
            assert_same(result_of(digest), expected(body, len), unit, len, len);
            assert_same(result_of(digest), expected(body, len), unit, len, len);
            etv_digest_update(digest, body + len, 1);
        }
    }
}
END_TEST

/* Short bodies take another way through the library, which must know the secret, too. */
START_TEST(the_secret_matters)
{
    static const size_t lengths[] = {0, 1, 3, 4, 8, 9, 16, 17, 128, 129, 240, 241, 256, 257, 5000};
    unsigned char key[ETV_HASH_KEY_BYTES], other[ETV_DIGEST_SECRET_BYTES];

    for (int bit = 0; bit < 8 * ETV_HASH_KEY_BYTES; bit += 37) {
        memcpy(key, tag_key, sizeof(key));
        key[bit / 8] = (unsigned char)(key[bit / 8] ^ 1 << bit % 8);
        etv_digest_derive(other, key);
        for (size_t i = 0; i < ETV_ROWS(lengths); i++) {
            etv_digest_t *digest = etv_digest_create(pool, other);
            result_t here, there = expected(body, lengths[i]);

            etv_digest_update(digest, body, lengths[i]);
            here = result_of(digest);
            ck_assert_mem_ne(&here, &there, sizeof(here));
        }
    }
}
END_TEST

START_TEST(parts_of_the_secret_differ)
{
    ck_assert_mem_ne(secret, secret + 64, 64);
    ck_assert_mem_ne(secret, secret + 128, 64);
    ck_assert_mem_ne(secret + 64, secret + 128, 64);
}
END_TEST

static void add_field(etv_digest_t *digest, const char *text)
{
    if (text)
        etv_digest_update_field(digest, text);
    else
        etv_digest_update_no_field(digest);
}

static result_t of_body_and_fields(const char *data, const char *a, const char *b)
{
    etv_digest_t *digest = etv_digest_create(pool, secret);

    etv_digest_update(digest, data, strlen(data));
    add_field(digest, a);
    add_field(digest, b);
    return result_of(digest);
}

START_TEST(fields_are_told_apart)
{
    static const struct {
        const char *body, *a, *b;
    } rows[] = {{"", "", ""},
                {"", NULL, NULL},
                {"", NULL, ""},
                {"", "", NULL},
                {"", "abc", ""},
                {"", "", "abc"},
                {"abc", "", ""},
                {"", "ab", "c"},
                {"", "a", "bc"},
                {"a", "b", "c"},
                {"ab", "c", ""},
                {"ab", "", "c"},
                {"abc", NULL, ""},
                {"abc", "", NULL},
                {"abc", NULL, NULL},
                {"abc", "text/html", "en"},
                {"abc", "en", "text/html"}};
    result_t results[ETV_ROWS(rows)];

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        result_t again = of_body_and_fields(rows[i].body, rows[i].a, rows[i].b);

        results[i] = of_body_and_fields(rows[i].body, rows[i].a, rows[i].b);
        ck_assert_mem_eq(&again, &results[i], sizeof(again));
        for (size_t j = 0; j < i; j++) {
            ck_assert_msg(memcmp(&results[i], &results[j], sizeof(result_t)) != 0, "%zu and %zu", i,
                          j);
        }
    }
}
END_TEST

/* The bytes of a field: the text, then its length. */
START_TEST(a_field_is_text_and_length)
{
    static const char bytes[] = "body"
                                "text/html\0\0\0\0\0\0\0\x09"
                                "\xff\xff\xff\xff\xff\xff\xff\xff";
    result_t got = of_body_and_fields("body", "text/html", NULL);
    result_t wanted = expected((const unsigned char *)bytes, sizeof(bytes) - 1);

    ck_assert_mem_eq(&got, &wanted, sizeof(got));
}
END_TEST

/* Whatever else the pool gave out before. */
START_TEST(state_is_aligned)
{
    for (apr_size_t size = 1; size < 300; size++) {
        etv_digest_t *digest;

        apr_palloc(pool, size);
        digest = etv_digest_create(pool, secret);
        ck_assert_uint_eq((apr_uintptr_t)digest % 64, 0);
    }
}
END_TEST

START_TEST(the_widest_unit_is_used)
{
    ck_assert_str_eq(etv_digest_unit(), etv_digest_usable(0)->name);
#ifdef __x86_64__
    int wide = 0;

    ck_assert_ptr_nonnull(etv_digest_avx2);
    ck_assert_ptr_nonnull(etv_digest_avx512);
    ck_assert_str_eq(etv_digest_avx2->name, "avx2");
    ck_assert_str_eq(etv_digest_avx512->name, "avx512");
    if (__builtin_cpu_supports("avx512f"))
        ck_assert_ptr_eq(etv_digest_usable(wide++), etv_digest_avx512);
    if (__builtin_cpu_supports("avx2"))
        ck_assert_ptr_eq(etv_digest_usable(wide++), etv_digest_avx2);
    ck_assert_ptr_eq(etv_digest_usable(wide), etv_digest_base);
    ck_assert_ptr_null(etv_digest_usable(wide + 1));
#else
    ck_assert_ptr_null(etv_digest_avx2);
    ck_assert_ptr_null(etv_digest_avx512);
    ck_assert_ptr_eq(etv_digest_usable(0), etv_digest_base);
    ck_assert_ptr_null(etv_digest_usable(1));
#endif
}
END_TEST

int main(void)
{
    prepare();
    return etv_check_run(
        "digest", (const TTest *[]){
                      cuts_do_not_matter, neither_do_two_cuts, neither_do_many_pieces,
                      neither_do_irregular_pieces, results_are_for_ever, a_result_is_not_the_end,
                      the_secret_matters, parts_of_the_secret_differ, fields_are_told_apart,
                      a_field_is_text_and_length, state_is_aligned, the_widest_unit_is_used, NULL});
}
