/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_fuzz.h"

#include "core/update_condition.h"

static int asked;

static int is_current(void *baton, const etv_entity_tag_own_t *own)
{
    (void)baton;
    ETV_MUST(own->letter == 'v' || own->letter == 'u');
    asked++;
    return own->digest[0] == 'A';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *list = etv_fuzz_line(&data, &size);
    etv_update_tags_t unknown, known;

    if (!list)
        return 0;
    asked = 0;
    unknown = etv_update_judge(list, NULL, NULL);
    known = etv_update_judge(list, is_current, NULL);
    ETV_MUST(asked <= ETV_UPDATE_TAGS_MOST);
    ETV_MUST(!unknown.strong && !unknown.weak);
    ETV_MUST(known.any == unknown.any && known.foreign == unknown.foreign &&
             known.own == unknown.own);
    ETV_MUST(!known.strong || (known.own && known.weak));
    ETV_MUST(!known.strong || (known.current.digest[0] == 'A' && !known.current.coding));
    ETV_MUST(!known.any || !(known.foreign || known.own || known.weak));
    free(list);
    return 0;
}
