/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_check.h"

#include "core/text_id.h"

static const unsigned char key[ETV_HASH_KEY_BYTES] = "0123456789abcde";
static const unsigned char other_key[ETV_HASH_KEY_BYTES] = "0123456789abcdf";

START_TEST(an_id_names_one_text_of_one_kind_under_one_key)
{
    unsigned char id[ETV_TEXT_ID_BYTES], other[ETV_TEXT_ID_BYTES];

    etv_text_id_make(id, ETV_TEXT_ID_MODELS, "a,b", 3, key);
    ck_assert(etv_text_id_is_of(id, ETV_TEXT_ID_MODELS, "a,b", 3, key));
    ck_assert(!etv_text_id_is_of(id, ETV_TEXT_ID_MODELS, "a,c", 3, key));
    ck_assert(!etv_text_id_is_of(id, ETV_TEXT_ID_MODELS, "a,b", 2, key));
    ck_assert(!etv_text_id_is_of(id, ETV_TEXT_ID_FIELDS, "a,b", 3, key));
    ck_assert(!etv_text_id_is_of(id, ETV_TEXT_ID_MODELS, "a,b", 3, other_key));
    etv_text_id_make(other, ETV_TEXT_ID_FIELDS, "a,b", 3, key);
    ck_assert_mem_ne(id, other, sizeof(id));
}
END_TEST

START_TEST(only_ids_made_with_the_key_are_genuine)
{
    unsigned char id[ETV_TEXT_ID_BYTES];

    etv_text_id_make(id, ETV_TEXT_ID_MODELS, "a", 1, key);
    ck_assert(etv_text_id_is_genuine(id, ETV_TEXT_ID_MODELS, key));
    ck_assert(!etv_text_id_is_genuine(id, ETV_TEXT_ID_FIELDS, key));
    ck_assert(!etv_text_id_is_genuine(id, ETV_TEXT_ID_MODELS, other_key));
    for (int bit = 0; bit < ETV_TEXT_ID_BYTES * 8; bit++) {
        id[bit / 8] ^= (unsigned char)(1 << bit % 8);
        ck_assert(!etv_text_id_is_genuine(id, ETV_TEXT_ID_MODELS, key));
        ck_assert(!etv_text_id_is_of(id, ETV_TEXT_ID_MODELS, "a", 1, key));
        id[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
}
END_TEST

START_TEST(too_long_a_text_has_none)
{
    char *text = apr_pcalloc(pool, ETV_TEXT_ID_TEXT_MOST + 1);
    unsigned char id[ETV_TEXT_ID_BYTES];

    etv_text_id_make(id, ETV_TEXT_ID_FIELDS, text, ETV_TEXT_ID_TEXT_MOST, key);
    ck_assert(etv_text_id_is_of(id, ETV_TEXT_ID_FIELDS, text, ETV_TEXT_ID_TEXT_MOST, key));
    ck_assert(!etv_text_id_is_of(id, ETV_TEXT_ID_FIELDS, text, ETV_TEXT_ID_TEXT_MOST + 1, key));
}
END_TEST

int main(void)
{
    return etv_check_run("text_id",
                         (const TTest *[]){an_id_names_one_text_of_one_kind_under_one_key,
                                           only_ids_made_with_the_key_are_genuine,
                                           too_long_a_text_has_none, NULL});
}
