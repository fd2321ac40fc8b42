/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The models that a response says it depends on: a list of names separated by commas, white space
 * around them aside. A backend writes it, so a wrong list is an answer, not an error. Pure.
 */
#ifndef ETV_CORE_MODEL_LIST_H
#define ETV_CORE_MODEL_LIST_H

#include <apr.h>
#include <apr_pools.h>

#include "core/model_name.h"

/** Most distinct names. */
#define ETV_MODEL_LIST_MOST 16
/** Longest canonical text. */
#define ETV_MODEL_LIST_TEXT_MOST (ETV_MODEL_LIST_MOST * (ETV_MODEL_NAME_MOST + 1) - 1)
/** Longest value that is looked at at all: the longest list, with room for its spaces. */
#define ETV_MODEL_LIST_VALUE_MOST 8192

/** Names, sorted by their bytes, each once. */
typedef struct {
    int n;
    struct {
        const char *name; /**< terminated */
        apr_size_t len;
    } names[ETV_MODEL_LIST_MOST];
} etv_model_list_t;

typedef enum {
    ETV_MODEL_LIST_OK,       /**< also with no name at all */
    ETV_MODEL_LIST_TOO_MANY, /**< more than ETV_MODEL_LIST_MOST names, or too long a value */
    ETV_MODEL_LIST_NO_NAME   /**< something that no model can be called (core/model_name.h) */
} etv_model_list_e;

/** Read a value; several lines of a header are one value joined with commas. Empty members count
 *  for nothing. @param list  out: on OK; names in `p` */
etv_model_list_e etv_model_list_parse(etv_model_list_t *list, apr_pool_t *p, const char *value,
                                      apr_size_t len);

/**
 * The canonical text: the names with commas between, the same for every order. Parsed again it
 * gives the same list.
 * @param text  room for ETV_MODEL_LIST_TEXT_MOST bytes; not terminated
 * @return the length; 0 for the empty list
 */
apr_size_t etv_model_list_write(const etv_model_list_t *list, char *text);

#endif
