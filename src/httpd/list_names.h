/* SPDX-License-Identifier: Apache-2.0 */
/** From the list that a tag names to the names and hashes of its models. */
#ifndef ETV_HTTPD_LIST_NAMES_H
#define ETV_HTTPD_LIST_NAMES_H

#include <stddef.h>

#include <httpd.h>

#include "core/model_list.h"
#include "core/text_id.h"
#include "httpd/request.h"

/** The models of a list, in one piece, so that copying it is cheap. Behind the models follows the
 *  text: the names, each with its end; and once more, with spaces between. */
typedef struct {
    unsigned char id[ETV_TEXT_ID_BYTES];
    int n;
    int len; /**< of all names with their ends */
    struct {
        unsigned short at, len; /**< in the text */
        etv_hash128_t hash;
    } models[];
} etv_list_names_t;

/** The names, each with its end. */
static inline const char *etv_list_names_first(const etv_list_names_t *names)
{
    return (const char *)(names->models + names->n);
}

/** The names with spaces between. */
static inline const char *etv_list_names_joined(const etv_list_names_t *names)
{
    return etv_list_names_first(names) + names->len;
}

/** Bytes of all of it. */
static inline apr_size_t etv_list_names_size(const etv_list_names_t *names)
{
    return offsetof(etv_list_names_t, models) + sizeof(names->models[0]) * (apr_size_t)names->n +
           2 * (apr_size_t)names->len;
}

/** What this thread remembers of a list, until it looks for another one. NULL when it does not. */
const etv_list_names_t *etv_list_names_recall(const unsigned char *key, const char *name);

/**
 * Find the models of a list. Clients may write anything where an id stands: one that was not made
 * with the key is nobody's, and not looked for.
 * @param name  the id, ETV_TEXT_ID_CHARS characters of base64url
 * @return in the request's pool; NULL when it is not genuine, or nobody knows the list
 */
const etv_list_names_t *etv_list_names_find(request_rec *r, etv_request_t *request,
                                            const unsigned char *key, const char *name);

/** The models of a list that was parsed just now. */
const etv_list_names_t *etv_list_names_make(apr_pool_t *p, const etv_model_list_t *list,
                                            const unsigned char id[ETV_TEXT_ID_BYTES]);

/** Make models of them: to be read, never created, as what a backend declares has no bound. */
void etv_list_names_put(const etv_list_names_t *names, etv_model_t *models);

/** The canonical text (core/model_list.h). @param text  room for ETV_MODEL_LIST_TEXT_MOST bytes */
apr_size_t etv_list_names_text(const etv_list_names_t *names, char *text);

#endif
