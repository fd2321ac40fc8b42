/* SPDX-License-Identifier: Apache-2.0 */
#include "core/update_condition.h"

static int is_version(const etv_entity_tag_own_t *own)
{
    return own->letter == 'v' || own->letter == 'u';
}

etv_update_tags_t etv_update_judge(const char *list, etv_update_is_current_fn *is_current,
                                   void *baton)
{
    etv_update_tags_t tags = {.any = 0};
    const char *cursor = list;
    etv_entity_tag_next_e next;
    etv_entity_tag_t tag;
    etv_entity_tag_own_t own;
    int judged = 0;

    while ((next = etv_entity_tag_next(list, &cursor, &tag)) == ETV_ENTITY_TAG_ONE) {
        int may_be_strong;

        if (!etv_entity_tag_own(&tag, &own)) {
            tags.foreign = 1;
            continue;
        }
        if (!is_version(&own)) /* of a body that nobody has seen yet */
            continue;
        /* encoded bytes are not reproducible: such a tag of ours is weak, whatever it says */
        may_be_strong = !tag.weak && !own.coding;
        tags.own |= may_be_strong;
        if (!is_current || judged++ >= ETV_UPDATE_TAGS_MOST || !is_current(baton, &own))
            continue;
        tags.weak = 1;
        if (may_be_strong && !tags.strong)
            tags.current = own;
        tags.strong |= may_be_strong;
    }
    tags.any = next == ETV_ENTITY_TAG_ANY;
    return tags;
}
