/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The entity-tags of If-Match and If-None-Match (RFC 9110 §13.1.1, §13.1.2) of a request that
 * changes something: what can be said of them before the backend has run. Pure, allocates nothing.
 */
#ifndef ETV_CORE_UPDATE_CONDITION_H
#define ETV_CORE_UPDATE_CONDITION_H

#include "core/entity_tag.h"

/** Most tags of ours that are judged in one list: an honest one has few. */
#define ETV_UPDATE_TAGS_MOST 16

/** Whether a version tag of ours (letter v or u), its coding aside, is the target's present one. */
typedef int etv_update_is_current_fn(void *baton, const etv_entity_tag_own_t *own);

/** What a list says. Several may hold. */
typedef struct {
    int any;     /**< it is `*` */
    int foreign; /**< some tag has not the shape of ours: the backend's, maybe */
    int own;     /**< some tag has, and could hold by strong comparison: neither weak nor coded */
    int strong;  /**< one of those is current */
    int weak;    /**< a version tag is current by weak comparison, coded ones included */
    etv_entity_tag_own_t current; /**< the first that is `strong` */
} etv_update_tags_t;

/**
 * Judge a list. Members before a malformed one count.
 * @param is_current  asked for at most ETV_UPDATE_TAGS_MOST version tags; NULL when nothing is
 *                    known of the target
 */
etv_update_tags_t etv_update_judge(const char *list, etv_update_is_current_fn *is_current,
                                   void *baton);

#endif
