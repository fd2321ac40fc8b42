/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/judge.h"

#include <http_connection.h>
#include <http_protocol.h>
#include <apr_lib.h>

#include "core/accept_encoding.h"
#include "core/cache_control.h"
#include "core/media_type.h"
#include "core/vary.h"
#include "httpd/coverage.h"
#include "httpd/life.h"
#include "httpd/policy.h"

int etv_judge_codings(const char *from, char coding[ETV_ENTITY_TAG_CODING_MOST + 1])
{
    const char *name;
    apr_size_t len, at = 0;
    int count = 0;

    while (etv_vary_next(&from, &name, &len)) {
        if (len == 8 && ap_cstr_casecmpn(name, "identity", 8) == 0)
            continue;
        if (at + 1 + len > ETV_ENTITY_TAG_CODING_MOST || count++ == ETV_CODINGS_MOST)
            return 0;
        if (at)
            coding[at++] = '+';
        for (apr_size_t i = 0; i < len; i++) {
            if (!apr_isalnum(name[i]) && !strchr("_.-", name[i]))
                return 0;
            coding[at++] = (char)apr_tolower(name[i]);
        }
    }
    coding[at] = '\0';
    return 1;
}

/* mod_cache's marker, and the header of every other cache that follows RFC 9111 §5.1. */
static inline int comes_from_cache(request_rec *r, const etv_response_t *now)
{
    return now->age || (etv_life_has_cache() && apr_table_get(r->subprocess_env, "cache-hit"));
}

/* What holds for tags of every kind. */
static inline const char *judge_any(request_rec *r, const etv_request_t *request,
                                    const etv_response_t *now)
{
    if (r->status != HTTP_OK)
        return "status";
    if (!apr_is_empty_table(r->notes) &&
        apr_table_get(r->notes, "no-etag")) /* httpd will send none (FileETag None, mod_include) */
        return "no-etag";
    if (comes_from_cache(r, now))
        return "cached";
    /* Also one that an encoder has taken away since (DeflateAlterETag Remove). */
    if (!etv_config_replaces_upstream(request->dir) && (request->upstream || now->etag))
        return "kept";
    return NULL;
}

const char *etv_judge_version(request_rec *r, const etv_request_t *request,
                              const etv_response_t *now)
{
    const etv_identity_t *identity = &request->identity;
    const char *reason = judge_any(r, request, now);

    if (!reason)
        reason = request->against;
    if (reason)
        return reason;
    /* Such a tag must not stand on a 206, nor satisfy If-Range (RFC 9110 §13.1.5). */
    if (request->client.range)
        return "range";
    if (etv_cache_control_has(now->cache_control, "no-store"))
        return "no-store";
    if (etv_vary_has_any(now->vary))
        return "vary";
    if (!identity->none && now->set_cookie)
        return "set-cookie";
    if (!identity->n && etv_cache_control_has(now->cache_control, "private"))
        return "private";
    return etv_coverage_of_vary(r, request, now->vary) ? NULL : "vary";
}

const char *etv_judge_content(request_rec *r, const etv_request_t *request,
                              const etv_response_t *now)
{
    const char *reason = judge_any(r, request, now);

    if (reason)
        return reason;
    if (r->header_only) /* the empty body of a HEAD says nothing about the representation */
        return "head";
    if (now->content_range)
        return "range";
    /* most have no `s`, and need no parsing */
    if (now->cache_control && strpbrk(now->cache_control, "sS") &&
        etv_cache_control_has(now->cache_control, "no-store"))
        return "no-store";
    return NULL;
}

const char *etv_judge_stream(request_rec *r, const etv_request_t *request,
                             const etv_response_t *now)
{
    etv_type_e type = etv_config_type(r->pool, request->dir, now->content_type);

    /* what applications tell nginx */
    if (type == ETV_TYPE_STREAM ||
        (now->accel_buffering && ap_cstr_casecmp(now->accel_buffering, "no") == 0))
        return "stream";
    return type == ETV_TYPE_COVERED ? NULL : "type";
}

const char *etv_judge_body(request_rec *r, apr_bucket_brigade *bb)
{
    for (apr_bucket *b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb);
         b = APR_BUCKET_NEXT(b)) {
        if (AP_BUCKET_IS_ERROR(b) || AP_BUCKET_IS_EOC(b))
            return "error";
    }
    if (r->proto_num < HTTP_VERSION(1, 1) && !etv_policy_field(r, "Content-Length") &&
        (APR_BRIGADE_EMPTY(bb) || !APR_BUCKET_IS_EOS(APR_BRIGADE_LAST(bb))))
        return "stream";
    return NULL;
}
