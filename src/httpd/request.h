/* SPDX-License-Identifier: Apache-2.0 */
/** What the module knows about one request: made before the backend runs, used afterwards. */
#ifndef ETV_HTTPD_REQUEST_H
#define ETV_HTTPD_REQUEST_H

#include <httpd.h>

#include "core/digest.h"
#include "core/precondition.h"
#include "core/tag.h"
#include "httpd/config.h"
#include "httpd/identity.h"

/** The note that says why, and the one that names the models; for LogFormat. */
#define ETV_NOTE        "etag-version"
#define ETV_NOTE_MODELS "etag-version-models"

/** What a response was before an encoder that stands among the content filters (probe.h). */
typedef struct {
    const char *etag;     /**< NULL for none */
    etv_digest_t *digest; /**< of its body so far; NULL when it is not hashed */
    apr_off_t length;
    int whole; /**< the end was seen */
} etv_probe_t;

typedef struct etv_declared_t etv_declared_t;                 /* httpd/declared.h */
typedef struct etv_field_sets_found_t etv_field_sets_found_t; /* httpd/field_sets.h */

typedef struct {
    const etv_dir_t *dir;
    const char *filename; /**< with per_dir: for what these decisions were made */
    const ap_conf_vector_t *per_dir;

    etv_identity_t identity;
    const char *own_vary; /**< what httpd varied on before the handler; NULL for nothing */
    const char *vary;     /**< what ETagVersionVary and the expressions name; NULL for none */
    etv_model_t *models;  /**< of ETagVersionModels, as far as they could be expanded */
    int n_models;
    const char *salt; /**< NULL for none */
    apr_size_t salt_len;
    etv_tag_t tag; /**< valid when `tagged` */
    int tagged;    /**< versions were read: the response may get the tag */
    unsigned char instance[ETV_INSTANCE_BYTES]; /**< of the store that they were read of */
    etv_declared_t *declared;                   /**< NULL where responses cannot declare models */
    etv_tag_t *listed; /**< the tag of the first list of it that has one; NULL */
    int gets;          /**< how often the store was asked for a text that a tag names */
    int header_ready;  /**< the response may get a header tag */
    int asks;          /**< the method is another one, but it asks as GET does (httpd/graphql.h) */
    const char *against; /**< what the response's body says against a version tag; NULL */

    /* The request's fields as fixups found them; NULL for absent ones. */
    const char *host;
    const char *if_none_match;
    int preconditions; /**< If-Match or If-Unmodified-Since is there */

    etv_conditions_t client; /**< what the client asked, for this module to evaluate */
    etv_conditions_t cache;  /**< what mod_cache asks on its own behalf; empty where it does not */
    int noted;               /**< there is a note from before the handler */
    int evaluates;           /**< preconditions are this module's */
    int withheld;            /**< the handler does not see them */
    int as_get;              /**< a HEAD that is run as GET, until the filters make it one again */

    int conditional;   /**< If-None-Match was looked at, and nothing matched */
    const char *early; /**< the entity-tag of the early 304; NULL when there is none */
    char early_letter;
    int early_coded;                            /**< that tag names a content coding */
    const etv_field_sets_found_t *early_fields; /**< what it names; NULL for nothing */

    /* Made while the response passes. */
    etv_digest_t *content; /**< of the whole body, for a content tag; NULL when there is none */
    const char *content_encoding; /**< that of the bytes that were hashed */
    const char *header;           /**< digest of a header tag, ETV_ENTITY_TAG_DIGEST_CHARS; NULL */
    const char *content_reason; /**< why there is no content or header tag; NULL: none was tried */
    etv_probe_t *probe;         /**< NULL where no encoder could have come so early */
    const char *upstream;       /**< the entity-tag that the handler gave, before the encoders */
    int upstream_coded;         /**< with a Content-Encoding of the handler's own */
    const char *stamped;        /**< the entity-tag that this module gave; NULL */
    const char *stamped_plain;  /**< the same without coding */
    int expires_alone;          /**< it gave a lifetime by Expires, and none by max-age */
    int stamped_own;            /**< made here, rather than a backend's that was encoded */
    int ended;                  /**< mod_cache was told 304: the rest is dropped */

    /* ETagVersionPreconditions, for an unsafe request that asks about tags. */
    int guarded;         /**< it holds for the request, whatever that asks */
    const char *unknown; /**< why `tag` is not that of the target as it is; NULL: it is */
    int relies;          /**< a condition is true because `models` are as they were read */

    /* As configuration left them before the backend ran, for what it alone would have given. */
    apr_table_t *headers_before;
    apr_table_t *err_headers_before;
    const char *content_type_before;
    int expires_before; /**< mod_expires' filter was in the chain */
    int headers_filter; /**< mod_headers' filter was in the chain */
} etv_request_t;

/**
 * What is known about the request, made on the first call and again after an internal fast redirect
 * changed what is served.
 * @return NULL when the module is off for this request or has nothing to say about it
 */
etv_request_t *etv_request_get(request_rec *r);

/** What was made before, without making anything. */
static inline etv_request_t *etv_request_peek(const request_rec *r)
{
    return ap_get_module_config(r->request_config, &etag_version_module);
}

/**
 * Whether the client asked with GET or HEAD. Local redirects of CGI and ErrorDocuments turn any
 * method into GET; the request line still tells what the client asked for.
 */
static inline int etv_request_is_get(const request_rec *r)
{
    const char *line = r->the_request;

    if (r->method_number != M_GET) /* httpd's M_GET is GET and HEAD */
        return 0;
    return !line || (line[0] == 'G' && line[1] == 'E' && line[2] == 'T' && line[3] == ' ') ||
           strncmp(line, "HEAD ", 5) == 0;
}

/** Whether it asks for a representation, whatever its method. @param request  NULL: not known */
static inline int etv_request_reads(const request_rec *r, const etv_request_t *request)
{
    return etv_request_is_get(r) || (request && request->asks);
}

/** Whether a handler of this module answers, as it wants it: no tags, no policy, no bumps. */
static inline int etv_request_is_own(const request_rec *r)
{
    return r->handler && strncmp(r->handler, "etag-version-", 13) == 0;
}

/** Whether mod_rewrite's handler is about to redirect it: it runs no backend. */
static inline int etv_request_is_redirect(const request_rec *r)
{
    return r->handler && *r->handler == 'r' && strcmp(r->handler, "redirect-handler") == 0;
}

/**
 * The request whose place counts, too: what the place that mod_rewrite led from names holds where
 * it leads to. A condition that is judged there would find a change under way.
 * @return NULL for none
 */
static inline request_rec *etv_request_came_through(const request_rec *r)
{
    return r->prev && etv_request_is_redirect(r->prev) ? r->prev : NULL;
}

/** Whether the environment variable `no-etag-version` is set, here or before a redirect. */
int etv_request_is_switched_off(const request_rec *r);

/** Say why, in the note. @param reason  a constant */
void etv_request_note(request_rec *r, const char *reason);

/** What the policy adds to Vary: ETagVersionVary, the identity's headers, the expressions'. */
const char *etv_request_vary(const etv_request_t *request, apr_pool_t *p);

/** The fixups hook: look up and compute. */
int etv_request_fixup(request_rec *r);

/** The first handler hook, for methods other than GET and HEAD: what a body asks for, and whether
 *  the client's conditions let the request through. */
int etv_request_other_handler(request_rec *r);

#endif
