/* SPDX-License-Identifier: Apache-2.0 */
/** What a model may be called. Pure. */
#ifndef ETV_CORE_MODEL_NAME_H
#define ETV_CORE_MODEL_NAME_H

#include <apr.h>

/** Longest model name, in bytes. */
#define ETV_MODEL_NAME_MOST 256

/** Whether a text has a byte below 0x20, or DEL. */
static inline int etv_model_name_has_control(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return 1;
    }
    return 0;
}

/**
 * Whether a text is a model's name: 1 to ETV_MODEL_NAME_MOST bytes, no control characters, and no
 * `%` in front, where stores keep keys of their own.
 * @param len  of the text
 */
static inline int etv_model_name_is_right(const char *text, apr_size_t len)
{
    return len && len <= ETV_MODEL_NAME_MOST && *text != '%' && !etv_model_name_has_control(text);
}

#endif
