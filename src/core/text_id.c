/* SPDX-License-Identifier: Apache-2.0 */
#include "core/text_id.h"

#include <string.h>

#define TEXT_BYTES 11 /* of the digest of the text; the rest proves them */

#define LABEL_BYTES 8

/* What is hashed begins with a letter, as no fields of a tag do: those begin with a small length
 * (core/tag.h), so neither can pass for the other under the same key. */
static const char labels[2][2][LABEL_BYTES] = {{"models\n", "mmac\n"}, {"fields\n", "fmac\n"}};

static void prove(unsigned char id[ETV_TEXT_ID_BYTES], etv_text_id_kind_e kind,
                  const unsigned char *key)
{
    unsigned char from[LABEL_BYTES + TEXT_BYTES], proof[16];

    memcpy(from, labels[kind][1], LABEL_BYTES);
    memcpy(from + LABEL_BYTES, id, TEXT_BYTES);
    etv_hash_prf(proof, from, sizeof(from), key);
    memcpy(id + TEXT_BYTES, proof, ETV_TEXT_ID_BYTES - TEXT_BYTES);
}

static int same(const unsigned char *a, const unsigned char *b)
{
    unsigned int differs = 0;

    for (int i = 0; i < ETV_TEXT_ID_BYTES; i++)
        differs |= (unsigned int)(a[i] ^ b[i]);
    return !differs;
}

void etv_text_id_make(unsigned char id[ETV_TEXT_ID_BYTES], etv_text_id_kind_e kind,
                      const char *text, apr_size_t len, const unsigned char key[ETV_HASH_KEY_BYTES])
{
    char from[LABEL_BYTES + ETV_TEXT_ID_TEXT_MOST];

    if (len > ETV_TEXT_ID_TEXT_MOST)
        len = ETV_TEXT_ID_TEXT_MOST;
    memcpy(from, labels[kind][0], LABEL_BYTES);
    memcpy(from + LABEL_BYTES, text, len);
    etv_hash_prf(id, from, LABEL_BYTES + len, key);
    prove(id, kind, key);
}

int etv_text_id_is_genuine(const unsigned char id[ETV_TEXT_ID_BYTES], etv_text_id_kind_e kind,
                           const unsigned char key[ETV_HASH_KEY_BYTES])
{
    unsigned char expected[ETV_TEXT_ID_BYTES];

    memcpy(expected, id, TEXT_BYTES);
    prove(expected, kind, key);
    return same(id, expected);
}

int etv_text_id_is_of(const unsigned char id[ETV_TEXT_ID_BYTES], etv_text_id_kind_e kind,
                      const char *text, apr_size_t len, const unsigned char key[ETV_HASH_KEY_BYTES])
{
    unsigned char expected[ETV_TEXT_ID_BYTES];

    if (len > ETV_TEXT_ID_TEXT_MOST)
        return 0;
    etv_text_id_make(expected, kind, text, len, key);
    return same(id, expected);
}
