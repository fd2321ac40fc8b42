/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/lost_update.h"

#include "core/update_condition.h"
#include "httpd/declared.h"
#include "httpd/log.h"
#include "httpd/versions.h"

/* Seconds after which a store that is down may be asked about again. */
#define RETRY_AFTER "1"

/* Methods are case-sensitive (RFC 9110 §9.1), and httpd passes on those that it does not know; but
 * many an application makes them upper case first. */
static int is_guarded(const char *method)
{
    static const char *const methods[] = {"PUT", "PATCH", "DELETE", "POST"};

    for (apr_size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (ap_cstr_casecmp(method, methods[i]) == 0)
            return 1;
    }
    return 0;
}

int etv_lost_update_guards(const request_rec *r, const etv_dir_t *dir, int n)
{
    if (!etv_config_checks_preconditions(dir) || !etv_config_uses_versions(dir))
        return 0;
    if (!n && !etv_config_models_header(dir)) /* there are no version tags here */
        return 0;
    if (etv_config_is_graphql(dir)) /* all tags are those of queries, and no change is of one */
        return 0;
    return is_guarded(r->method);
}

const etv_model_t *etv_lost_update_read(const request_rec *r, int *n)
{
    const etv_request_t *request = etv_request_peek(r);

    *n = request && request->relies ? request->n_models : 0;
    return *n ? request->models : NULL;
}

static int is(const char *reason, const char *word)
{
    return reason && strcmp(reason, word) == 0;
}

/* --- refusals --- */

static int refuse(request_rec *r, const char *why)
{
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, "ETV0381: %s refused: %s", r->method, why);
    etv_request_note(r, "412");
    return HTTP_PRECONDITION_FAILED;
}

static int try_later(request_rec *r, const char *why)
{
    apr_table_setn(r->err_headers_out, "Retry-After", RETRY_AFTER);
    etv_request_note(r, why);
    return HTTP_SERVICE_UNAVAILABLE;
}

int etv_lost_update_refuse(request_rec *r, etv_change_e result)
{
    if (result == ETV_CHANGE_EXISTS)
        return refuse(r, "another request was faster");
    return try_later(r, "store-down");
}

static int require(request_rec *r)
{
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, "ETV0382: %s refused: it has no condition",
                  r->method);
    etv_request_note(r, "428");
    return HTTP_PRECONDITION_REQUIRED;
}

/* Nothing can be said: neither that a condition is true, nor that it is false. */
static int is_store_down(const etv_request_t *request)
{
    return is(request->unknown, "store-down") || is(request->unknown, "busy");
}

static void log_weak(request_rec *r)
{
    static apr_uint32_t next;
    int level = etv_log_is_due(&next) ? APLOG_WARNING : APLOG_DEBUG;

    ap_log_rerror(APLOG_MARK, level, 0, r,
                  "ETV0380: no If-Match can be true here: version tags are weak, and it compares "
                  "strongly (RFC 9110 13.1.1); set \"ETagVersionStrength Strong\"");
}

/* --- what the client asks --- */

/* The tag that one of our own tags must be to be the target's; NULL when that is not known. */
static etv_tag_t *tag_for(etv_request_t *request, const etv_entity_tag_own_t *own)
{
    if (own->list)
        return request->declared ? etv_declared_tag(request, own) : NULL;
    return request->unknown ? NULL : &request->tag;
}

static int is_current(void *request, const etv_entity_tag_own_t *own)
{
    etv_tag_t *tag = tag_for(request, own);

    return tag && etv_tag_is(tag, own);
}

/* The change that follows is one of the models that the tag is made of. */
static void rely(request_rec *r, etv_request_t *request, const etv_entity_tag_own_t *own)
{
    if (own->list)
        etv_declared_choose(r, request, tag_for(request, own));
    request->relies = 1;
}

/* RFC 9110 §13.1.1. @return OK to go on */
static int judge_if_match(request_rec *r, etv_request_t *request, const char *list)
{
    int weak = etv_config_weak(request->dir);
    etv_update_tags_t tags = etv_update_judge(list, is_current, request);

    if (tags.strong && !weak) {
        rely(r, request, &tags.current);
        /* The backend does not know the tag; and §13.1.4: with If-Match there, the other one is to
         * be ignored. */
        apr_table_unset(r->headers_in, "If-Match");
        apr_table_unset(r->headers_in, "If-Unmodified-Since");
        return OK;
    }
    if (tags.any || tags.foreign) /* the backend's */
        return OK;
    if (weak)
        log_weak(r);
    else if (tags.own && is_store_down(request))
        return try_later(r, request->unknown);
    return refuse(r, request->unknown ? request->unknown
                     : tags.weak      ? "If-Match names the current state by a weak tag"
                                      : "If-Match names another state");
}

/* `If-None-Match: *`: a place has something of its own only when all its models are there. */
static int judge_absence(request_rec *r, etv_request_t *request)
{
    etv_snapshot_t snapshot;

    /* what speaks against tags does not matter here */
    if (request->n_models && (is(request->unknown, "identity") || is(request->unknown, "vary")))
        request->unknown =
            etv_versions_read(r, request->dir, request->models, request->n_models, &snapshot);
    if (is_store_down(request))
        return try_later(r, request->unknown);
    if (!request->unknown || is(request->unknown, "settling"))
        return refuse(r, "there is something");
    if (is(request->unknown, "pending") || is(request->unknown, "unusable"))
        return refuse(r, request->unknown);
    request->relies = is(request->unknown, "missing");
    return OK;
}

/* RFC 9110 §13.1.2: by weak comparison. */
static int judge_if_none_match(request_rec *r, etv_request_t *request, const char *list)
{
    etv_update_tags_t tags = etv_update_judge(list, is_current, request);

    if (tags.any)
        return judge_absence(r, request);
    return tags.weak ? refuse(r, "If-None-Match names the current state") : OK;
}

/* In the order of §13.2.2. */
static int judge(request_rec *r, etv_request_t *request)
{
    const char *if_match = apr_table_get(r->headers_in, "If-Match");
    const char *if_none_match = apr_table_get(r->headers_in, "If-None-Match");
    int status = OK;

    if (!if_match && !if_none_match && !apr_table_get(r->headers_in, "If-Unmodified-Since"))
        return etv_config_requires_preconditions(request->dir) ? require(r) : OK;
    if (if_match)
        status = judge_if_match(r, request, if_match);
    if (status == OK && if_none_match)
        status = judge_if_none_match(r, request, if_none_match);
    return status;
}

/* Who is redirected inside the server is asked once: by mod_rewrite's handler not yet, and what was
 * true before is not asked again, for the conditions may be gone. */
static int is_redirected(const request_rec *r)
{
    if (etv_request_is_redirect(r))
        return 1;
    while ((r = r->prev)) {
        const etv_request_t *request = etv_request_peek(r);

        if (request && request->relies)
            return 1;
    }
    return 0;
}

int etv_lost_update_handler(request_rec *r)
{
    etv_request_t *request;
    int status;

    if (!etv_config_checks_preconditions(etv_config_dir(r)))
        return DECLINED;
    request = etv_request_get(r);
    if (!request || !request->guarded)
        return DECLINED;
    status = is_redirected(r) ? OK : judge(r, request);
    request->declared = NULL; /* was for this alone: responses to unsafe requests have no tag */
    return status == OK ? DECLINED : status;
}
