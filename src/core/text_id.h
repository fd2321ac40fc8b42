/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Ids of texts that a tag names instead of carrying them: the models that a response declared, the
 * header fields that it had. An id proves that the holder of the key made it, before anybody looks
 * for the text, and names one text alone. Pure.
 */
#ifndef ETV_CORE_TEXT_ID_H
#define ETV_CORE_TEXT_ID_H

#include <apr.h>

#include "core/hash.h"

#define ETV_TEXT_ID_BYTES 16
/** As characters of base64url. */
#define ETV_TEXT_ID_CHARS 22
/** Longest text that has an id. */
#define ETV_TEXT_ID_TEXT_MOST 4608

typedef enum { ETV_TEXT_ID_MODELS, ETV_TEXT_ID_FIELDS } etv_text_id_kind_e;

/** The id of a text of at most ETV_TEXT_ID_TEXT_MOST bytes: eleven bytes that a keyed digest gives,
 *  and five by which it is known as genuine. Kinds and keys give other ids for the same text. */
void etv_text_id_make(unsigned char id[ETV_TEXT_ID_BYTES], etv_text_id_kind_e kind,
                      const char *text, apr_size_t len,
                      const unsigned char key[ETV_HASH_KEY_BYTES]);

/** Whether an id was made with this key, for this kind. */
int etv_text_id_is_genuine(const unsigned char id[ETV_TEXT_ID_BYTES], etv_text_id_kind_e kind,
                           const unsigned char key[ETV_HASH_KEY_BYTES]);

/** Whether it is the id of this text. Stores and shared memory may hold anything. */
int etv_text_id_is_of(const unsigned char id[ETV_TEXT_ID_BYTES], etv_text_id_kind_e kind,
                      const char *text, apr_size_t len,
                      const unsigned char key[ETV_HASH_KEY_BYTES]);

#endif
