/* SPDX-License-Identifier: Apache-2.0 */
/** What the files of the directives share. Nobody else includes this. */
#ifndef ETV_HTTPD_DIRECTIVES_H
#define ETV_HTTPD_DIRECTIVES_H

#include "httpd/config.h"

/** A word and what it means. */
typedef struct {
    const char *word;
    int value;
} etv_choice_t;

typedef struct {
    apr_size_t field; /**< offset of an int in etv_dir_t */
    const char *accepted;
    const etv_choice_t choices[6]; /**< ends with a NULL word */
} etv_choices_t;

/** A sentence that refuses a value and says what is accepted. */
const char *etv_directive_refuse(cmd_parms *cmd, const char *value, const char *accepted);

/** etv_list_item_fn: a model's name, which may have expressions; a response header's name. */
const char *etv_directive_make_model(cmd_parms *cmd, const char *word, etv_item_t *item);
const char *etv_directive_make_header(cmd_parms *cmd, const char *word, etv_item_t *item);

/* directives_store.c */
const char *etv_directive_set_store(cmd_parms *cmd, void *dir, const char *word);
const char *etv_directive_set_store_password(cmd_parms *cmd, void *dir, const char *word);
const char *etv_directive_set_secret(cmd_parms *cmd, void *dir, const char *word);
const char *etv_directive_set_store_timeout(cmd_parms *cmd, void *dir, const char *word);
const char *etv_directive_set_prefix(cmd_parms *cmd, void *dir, const char *word);
const char *etv_directive_set_freshness(cmd_parms *cmd, void *dir, const char *word,
                                        const char *lease);
const char *etv_directive_set_table_size(cmd_parms *cmd, void *dir, const char *word);
const char *etv_directive_set_buffer_limit(cmd_parms *cmd, void *dir, const char *response,
                                           const char *process);
const char *etv_directive_set_events_limit(cmd_parms *cmd, void *dir, const char *word);

/* directives_change.c */
const char *etv_directive_set_tag_header(cmd_parms *cmd, void *dir, const char *words);
const char *etv_directive_set_invalidate(cmd_parms *cmd, void *dir, const char *words);
const char *etv_directive_set_header_name(cmd_parms *cmd, void *dir, const char *word);
const char *etv_directive_set_serve(cmd_parms *cmd, void *dir, const char *words);

#endif
