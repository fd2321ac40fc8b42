/* SPDX-License-Identifier: Apache-2.0 */
/** The models of a request, their versions, and the tag that is made of them. */
#ifndef ETV_HTTPD_VERSIONS_H
#define ETV_HTTPD_VERSIONS_H

#include "core/text_id.h"
#include "httpd/expand.h"
#include "httpd/request.h"

/**
 * The names of models for this request.
 * @param models  out: `n` zeroed ones; names live as long as the request
 * @return NULL, or the reason (for the note) why there is no version tag
 */
const char *etv_versions_expand(const etv_request_t *request, etv_expand_t *expand,
                                const etv_item_t *items, int n, etv_model_t *models);

/** Name the models in the note. @param joined  their names with spaces, if that is known; or NULL
 */
void etv_versions_note(request_rec *r, const char *joined, const etv_model_t *models, int n);

/**
 * Read the versions, and judge them: all known, none changing, all settled. To be called before the
 * content handler runs: an old version on new data costs one download, a new version on old data
 * would be stale for good.
 * @return NULL, or the reason why there is no version tag
 */
const char *etv_versions_read(request_rec *r, const etv_dir_t *dir, etv_model_t *models, int n,
                              etv_snapshot_t *snapshot);

/** Whether this host knows that one of them has a change under way, or one not delivered. */
int etv_versions_pending(const etv_server_t *server, const etv_model_t *models, int n);

/** The first half of etv_versions_read: read. */
const char *etv_versions_look_up(request_rec *r, etv_model_t *models, int n,
                                 etv_snapshot_t *snapshot);

/** The other half: judge what was read. */
const char *etv_versions_judge(request_rec *r, const etv_dir_t *dir, const etv_model_t *models,
                               int n);

/**
 * The tag of the request's representation at these versions.
 * @param list  the id, ETV_TEXT_ID_BYTES, of the list that named some of the models; NULL: none
 * did. The caller makes the tag name it
 */
void etv_versions_tag(etv_tag_t *tag, request_rec *r, const etv_request_t *request,
                      const etv_model_t *models, int n, const etv_snapshot_t *snapshot,
                      const unsigned char *list);

#endif
