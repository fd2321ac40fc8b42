/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/policy.h"

#include <apr_date.h>
#include <apr_strings.h>

#include "core/cache_control.h"
#include "core/vary.h"
#include "httpd/tag_header.h"

const char *etv_policy_field(request_rec *r, const char *name)
{
    const char *out = apr_table_get(r->headers_out, name);
    const char *err =
        apr_is_empty_table(r->err_headers_out) ? NULL : apr_table_get(r->err_headers_out, name);

    if (out)
        out = apr_table_getm(r->pool, r->headers_out, name);
    if (err)
        err = apr_table_getm(r->pool, r->err_headers_out, name);
    if (out && err)
        return apr_pstrcat(r->pool, err, ", ", out, NULL);
    return out ? out : err;
}

void etv_policy_set_field(request_rec *r, const char *name, const char *value)
{
    apr_table_unset(r->err_headers_out, name);
    if (value)
        apr_table_setn(r->headers_out, name, value);
    else
        apr_table_unset(r->headers_out, name);
}

etv_freshness_t etv_policy_freshness(request_rec *r)
{
    etv_freshness_t now;

    now.cache_control = etv_policy_field(r, "Cache-Control");
    now.expires = etv_policy_field(r, "Expires");
    now.vary = etv_policy_field(r, "Vary");
    etv_tag_header_get(r, now.tags);
    return now;
}

/*
 * RFC 9111 §3.5: public, s-maxage and must-revalidate let shared caches keep what an authenticated
 * user got. Only the administrator's word that everyone gets the same may add them.
 */
static const char *allowed_directives(request_rec *r, const etv_request_t *request,
                                      const char *directives)
{
    static const char *const shared[] = {"public", "s-maxage", "must-revalidate", NULL};

    if (!directives || (request && request->identity.none) ||
        !apr_table_get(r->headers_in, "Authorization"))
        return directives;
    return etv_cache_control_without(r->pool, directives, shared);
}

/*
 * A lifetime that the response gives by Expires alone, as the max-age that says the same (RFC 9111
 * §5.3: max-age would override it, and a date that is none is in the past).
 */
static const char *with_expires(request_rec *r, const char *field)
{
    const char *expires = etv_policy_field(r, "Expires"), *date;
    apr_time_t until, from;
    apr_int64_t seconds = 0;

    if (!expires || etv_cache_control_has(field, "max-age"))
        return field;
    until = apr_date_parse_http(expires);
    date = etv_policy_field(r, "Date");
    from = date ? apr_date_parse_http(date) : APR_DATE_BAD;
    if (from == APR_DATE_BAD)
        from = r->request_time;
    if (until != APR_DATE_BAD && until > from)
        seconds = apr_time_sec(until - from);
    return apr_psprintf(r->pool, "%s%smax-age=%" APR_INT64_T_FMT, field ? field : "",
                        field ? ", " : "", seconds);
}

/* Whether a policy could lengthen what the response's Expires says. */
static int gives_lifetime(const char *directives)
{
    static const char *const names[] = {"max-age",        "s-maxage",  "stale-while-revalidate",
                                        "stale-if-error", "immutable", NULL};

    for (int i = 0; names[i]; i++) {
        if (etv_cache_control_has(directives, names[i]))
            return 1;
    }
    return 0;
}

static const char *with_policy(request_rec *r, const etv_policy_t *policy, const char *directives,
                               const char *field)
{
    if (!directives)
        return field;
    if (policy->mode == ETV_POLICY_SET)
        return directives;
    if (policy->mode == ETV_POLICY_IFUNSET)
        return field || etv_policy_field(r, "Expires") ? field : directives;
    if (gives_lifetime(directives))
        field = with_expires(r, field);
    return etv_cache_control_merge(r->pool, field, directives);
}

static void apply_cache_control(request_rec *r, const etv_policy_t *policy,
                                const etv_request_t *request)
{
    int named = request && request->identity.n && !request->identity.none;
    const char *before, *after;

    if (!policy && !named)
        return;
    before = after = etv_policy_field(r, "Cache-Control");
    if (policy)
        after = with_policy(r, policy, allowed_directives(r, request, policy->directives), before);
    if (named)
        after = etv_cache_control_merge(r->pool, after, "private");
    if (after != before)
        etv_policy_set_field(r, "Cache-Control", after);
}

static void apply_vary(request_rec *r, const etv_request_t *request)
{
    const char *ours = etv_request_vary(request, r->pool), *before;

    if (!ours)
        return;
    before = etv_policy_field(r, "Vary");
    etv_policy_set_field(r, "Vary", etv_vary_union(r->pool, before, ours));
}

/* Of GraphQL's responses only those that get a version tag are what the policy was written for:
 * others are of operations that nobody named, such as those about the user, or errors. */
static int is_meant(const etv_dir_t *dir, const etv_request_t *request)
{
    return !etv_config_is_graphql(dir) || !etv_config_uses_versions(dir) ||
           (request && (request->tagged || request->declared) && !request->against);
}

/* What a policy still says of others: what restricts, and nothing that permits. */
static const etv_policy_t *policy_for(request_rec *r, const etv_dir_t *dir,
                                      const etv_request_t *request, etv_policy_t *own)
{
    static const char *const permitting[] = {
        "public",         "max-age",   "s-maxage", "stale-while-revalidate",
        "stale-if-error", "immutable", NULL};

    if (!dir->policy || is_meant(dir, request))
        return dir->policy;
    own->mode = ETV_POLICY_MERGE;
    own->directives = etv_cache_control_without(r->pool, dir->policy->directives, permitting);
    return own;
}

void etv_policy_apply_all(request_rec *r, const etv_dir_t *dir, const etv_request_t *request)
{
    etv_policy_t own;

    if (!etv_request_reads(r, request)) {
        apply_cache_control(r, dir->policy_unsafe, NULL);
        return;
    }
    if (request)
        apply_vary(r, request);
    if (ap_is_HTTP_SUCCESS(r->status) || r->status == HTTP_NOT_MODIFIED)
        apply_cache_control(r, policy_for(r, dir, request, &own), request);
    if (request && (ap_is_HTTP_SUCCESS(r->status) || r->status == HTTP_NOT_MODIFIED))
        etv_tag_header_add(r, request);
}

void etv_policy_unify_lines(request_rec *r, const etv_response_t *now)
{
    if (now->cache_control_lines > 1)
        etv_policy_set_field(r, "Cache-Control",
                             etv_cache_control_merge(r->pool, now->cache_control, NULL));
    if (now->vary) {
        const char *vary = etv_vary_union(r->pool, now->vary, NULL);

        if (now->vary_lines > 1 || vary != now->vary)
            etv_policy_set_field(r, "Vary", vary);
    }
}

void etv_policy_forget_media(request_rec *r)
{
    r->content_type = NULL;
    r->content_encoding = NULL;
    r->content_languages = NULL;
    r->clength = 0;
}

static void unset_all(apr_table_t *table, const char *const *names)
{
    for (; *names && !apr_is_empty_table(table); names++)
        apr_table_unset(table, *names);
}

void etv_policy_drop_representation(request_rec *r)
{
    static const char *const fields[] = {"Content-Type",     "Content-Length", "Content-Encoding",
                                         "Content-Language", "Content-Range",  "Content-MD5",
                                         "Accept-Ranges",    "Content-Digest", "Repr-Digest",
                                         "Digest",           "Trailer",        NULL};

    unset_all(r->headers_out, fields);
    unset_all(r->err_headers_out, fields);
    etv_policy_forget_media(r);
}
