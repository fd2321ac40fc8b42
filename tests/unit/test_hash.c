/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "etv_check.h"

#include "core/hash.h"

static apr_uint64_t rotated(apr_uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

static void sip_rounds(apr_uint64_t v[4], int rounds)
{
    while (rounds--) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotated(v[1], 13) ^ v[0];
        v[3] = rotated(v[3], 16) ^ v[2];
        v[0] = rotated(v[0], 32) + v[3];
        v[2] += v[1];
        v[1] = rotated(v[1], 17) ^ v[2];
        v[3] = rotated(v[3], 21) ^ v[0];
        v[2] = rotated(v[2], 32);
    }
}

static apr_uint64_t little_endian(const unsigned char *data, apr_size_t len)
{
    apr_uint64_t n = 0;

    while (len--) {
        n = n << 8 | data[len];
    }
    return n;
}

/* SipHash-2-4 with 128 bits of output, straight from the paper and its extension. */
static void sip_reference(unsigned char out[16], const unsigned char *data, apr_size_t len,
                          const unsigned char key[16])
{
    apr_uint64_t k0 = little_endian(key, 8), k1 = little_endian(key + 8, 8);
    apr_uint64_t v[4] = {
        k0 ^ APR_UINT64_C(0x736f6d6570736575), k1 ^ APR_UINT64_C(0x646f72616e646f6d) ^ 0xee,
        k0 ^ APR_UINT64_C(0x6c7967656e657261), k1 ^ APR_UINT64_C(0x7465646279746573)};

    for (apr_size_t i = 0; i <= len / 8; i++) {
        apr_uint64_t m = i < len / 8
                             ? little_endian(data + i * 8, 8)
                             : little_endian(data + i * 8, len % 8) | (apr_uint64_t)len << 56;

        v[3] ^= m;
        sip_rounds(v, 2);
        v[0] ^= m;
    }
    for (int half = 0; half < 2; half++) {
        apr_uint64_t word;

        v[half ? 1 : 2] ^= half ? 0xdd : 0xee;
        sip_rounds(v, 4);
        word = v[0] ^ v[1] ^ v[2] ^ v[3];
        for (int i = 0; i < 8; i++) {
            out[half * 8 + i] = (unsigned char)(word >> (8 * i));
        }
    }
}

static const char *hex(const unsigned char bytes[16])
{
    static char text[33];

    for (int i = 0; i < 16; i++) {
        text[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    return text;
}

/* Key 00..0f, data 00, 01, 02, … as in the vectors that SipHash's authors publish. */
START_TEST(test_prf)
{
    static const struct {
        apr_size_t len;
        const char *hex;
    } rows[] = {
        {0, "a3817f04ba25a8e66df67214c7550293"},
        {1, "da87c1d86b99af44347659119b22fc45"},
        {63, "5150d1772f50834a503e069a973fbd7c"},
    };
    unsigned char key[16], data[256], out[16], expected[16];

    for (int i = 0; i < 256; i++) {
        data[i] = (unsigned char)i;
    }
    memcpy(key, data, 16);
    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        etv_hash_prf(out, data, rows[i].len, key);
        ck_assert_str_eq(hex(out), rows[i].hex);
    }
    for (apr_size_t len = 0; len <= sizeof(data); len++) {
        etv_hash_prf(out, data, len, key);
        sip_reference(expected, data, len, key);
        ck_assert_mem_eq(out, expected, 16);
        key[len % 16]++;
    }
}
END_TEST

/* It is the PRF under the key of the process, over the bytes alone. */
START_TEST(test_name)
{
    static const char name[] = "proteins.Protein:egfp";
    unsigned char key[ETV_HASH_KEY_BYTES], expected[16];
    etv_hash128_t plain = etv_hash_name(name, 16), keyed;

    for (size_t i = 0; i < sizeof(key); i++) {
        key[i] = (unsigned char)(7 * i + 1);
    }
    etv_hash_use_key(key);
    keyed = etv_hash_name(name, 16);
    etv_hash_prf(expected, "proteins.Protein", 16, key);
    ck_assert_mem_eq(&keyed, expected, sizeof(expected));
    ck_assert(keyed.lo != plain.lo && keyed.hi != plain.hi);
    plain = etv_hash_name(name, sizeof(name) - 1);
    ck_assert(keyed.lo != plain.lo && keyed.hi != plain.hi);
}
END_TEST

/* Digests are compared between hosts, too. */
START_TEST(test_digest)
{
    static const struct {
        apr_size_t len;
        const char *data;
        const char *hex;
    } rows[] = {
        {16, "", "cae66941d9efbd404e4d88758ea67670"},
        {16, "abc", "cf4ab791c62b8d2b2109c90275287816"},
        {32, "abc", "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"},
        {64, "abc",
         "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d17d87c5392aab792dc252d5de4"
         "533cc9518d38aa8dbf1925ab92386edd4009923"},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        unsigned char out[65];
        char text[129];

        memset(out, 0xee, sizeof(out));
        etv_hash_digest(out, rows[i].len, rows[i].data, strlen(rows[i].data));
        for (apr_size_t k = 0; k < rows[i].len; k++) {
            snprintf(text + 2 * k, 3, "%02x", out[k]);
        }
        ck_assert_str_eq(text, rows[i].hex);
        ck_assert_uint_eq(out[rows[i].len], 0xee);
    }
}
END_TEST

int main(void)
{
    return etv_check_run("hash", (const TTest *[]){test_prf, test_name, test_digest, NULL});
}
