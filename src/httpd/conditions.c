/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/conditions.h"

#include "httpd/evaluate.h"
#include "httpd/life.h"

#include <apr_strings.h>

#define REMEMBERED_KEY "mod_etag_version/conditions"

static etv_conditions_t conditions_of(const etv_headers_t *headers)
{
    etv_conditions_t conditions = {
        .if_match = headers->if_match,
        .if_none_match = headers->if_none_match,
        .if_modified_since = headers->if_modified_since,
        .if_unmodified_since = headers->if_unmodified_since,
        .range = headers->range,
        .if_range = headers->if_range,
    };

    return conditions;
}

int etv_conditions_remember(request_rec *r)
{
    etv_headers_t headers;
    etv_conditions_t now;

    if (r->main || r->prev)
        return DECLINED;
    etv_headers_scan(r->headers_in, &headers);
    now = conditions_of(&headers);
    if (etv_conditions_any(&now) || now.range)
        apr_pool_userdata_setn(apr_pmemdup(r->pool, &now, sizeof(now)), REMEMBERED_KEY, NULL,
                               r->pool);
    return DECLINED;
}

/* Redirects share the pool of the first request. */
static const etv_conditions_t *remembered(request_rec *r)
{
    void *found = NULL;

    apr_pool_userdata_get(&found, REMEMBERED_KEY, r->pool);
    return found;
}

int etv_conditions_is_clients(request_rec *r, const char *if_none_match)
{
    const etv_conditions_t *client = remembered(r);

    return client && client->if_none_match == if_none_match;
}

static const etv_request_t *withheld_before(const request_rec *r)
{
    for (r = r->prev; r; r = r->prev) {
        const etv_request_t *request = etv_request_peek(r);

        if (request && request->withheld)
            return request;
    }
    return NULL;
}

int etv_conditions_fixup(request_rec *r)
{
    const etv_request_t *before = r->prev && !r->main ? withheld_before(r) : NULL;

    if (before)
        etv_conditions_restore(r, before, 1);
    return DECLINED;
}

void etv_conditions_take(request_rec *r, etv_request_t *request, const etv_headers_t *headers)
{
    const etv_request_t *before = r->prev ? withheld_before(r) : NULL;

    request->client = conditions_of(headers);
    if (before) {
        request->client = before->client;
    } else if (etv_life_has_cache()) {
        const etv_conditions_t *client = remembered(r);

        /* its quick handler has been here, and may have put its own conditions in their place */
        if ((client || etv_conditions_any(&request->client)) && etv_evaluate_is_stored(r))
            request->client = client ? *client : (etv_conditions_t){.if_match = NULL};
    }
}

static void take_away(request_rec *r)
{
    static const char *const fields[] = {"If-Match", "If-None-Match", "If-Modified-Since",
                                         "If-Unmodified-Since"};

    for (int i = 0; i < 4; i++)
        apr_table_unset(r->headers_in, fields[i]);
}

void etv_conditions_withhold_all(request_rec *r, etv_request_t *request)
{
    const etv_conditions_t *client = &request->client;
    etv_headers_t headers;
    etv_conditions_t now;

    etv_headers_scan(r->headers_in, &headers);
    now = conditions_of(&headers);
    if (!etv_conditions_any(&now) && !now.range)
        return;
    request->withheld = 1;
    if ((now.if_none_match && now.if_none_match != client->if_none_match) ||
        (now.if_modified_since && now.if_modified_since != client->if_modified_since)) {
        /* mod_cache asks whether what it holds is still good; it has taken Range away itself. */
        request->cache = now;
        if (!r->proxyreq)
            take_away(r);
        return;
    }
    take_away(r);
    if (now.range && (etv_conditions_any(&now) || etv_precondition_is_content_tag(now.if_range))) {
        apr_table_unset(r->headers_in, "Range");
        apr_table_unset(r->headers_in, "If-Range");
    }
}

static void put_back(request_rec *r, const char *name, const char *value)
{
    if (value)
        apr_table_setn(r->headers_in, name, value);
    else
        apr_table_unset(r->headers_in, name);
}

void etv_conditions_restore(request_rec *r, const etv_request_t *request, int range)
{
    const etv_conditions_t *client = &request->client;

    put_back(r, "If-Match", client->if_match);
    put_back(r, "If-None-Match", client->if_none_match);
    put_back(r, "If-Modified-Since", client->if_modified_since);
    put_back(r, "If-Unmodified-Since", client->if_unmodified_since);
    put_back(r, "If-Range", client->if_range);
    put_back(r, "Range", range ? client->range : NULL);
}
