/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_fuzz.h"

#include "core/model_list.h"
#include "core/text_id.h"

static const unsigned char key[ETV_HASH_KEY_BYTES];

static void check_list(apr_pool_t *p, const etv_model_list_t *list)
{
    char text[ETV_MODEL_LIST_TEXT_MOST], again_text[ETV_MODEL_LIST_TEXT_MOST];
    apr_size_t len = etv_model_list_write(list, text);
    unsigned char id[ETV_TEXT_ID_BYTES];
    etv_model_list_t again;

    ETV_MUST(list->n >= 0 && list->n <= ETV_MODEL_LIST_MOST && len <= sizeof(text));
    for (int i = 0; i < list->n; i++) {
        ETV_MUST(strlen(list->names[i].name) == list->names[i].len);
        ETV_MUST(etv_model_name_is_right(list->names[i].name, list->names[i].len));
        ETV_MUST(!strchr(list->names[i].name, ','));
        ETV_MUST(!i || strcmp(list->names[i - 1].name, list->names[i].name) < 0);
    }
    ETV_MUST(etv_model_list_parse(&again, p, text, len) == ETV_MODEL_LIST_OK);
    ETV_MUST(again.n == list->n && etv_model_list_write(&again, again_text) == len);
    ETV_MUST(memcmp(text, again_text, len) == 0);
    etv_text_id_make(id, ETV_TEXT_ID_MODELS, text, len, key);
    ETV_MUST(etv_text_id_is_genuine(id, ETV_TEXT_ID_MODELS, key));
    ETV_MUST(etv_text_id_is_of(id, ETV_TEXT_ID_MODELS, again_text, len, key));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *value = malloc(size ? size : 1);
    apr_pool_t *p = etv_fuzz_pool();
    etv_model_list_t list;

    ETV_MUST(value);
    if (size)
        memcpy(value, data, size);
    if (etv_model_list_parse(&list, p, value, size) == ETV_MODEL_LIST_OK)
        check_list(p, &list);
    free(value);
    return 0;
}
