/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/fields.h"

#include <http_core.h>
#include <http_protocol.h>
#include <apr_strings.h>

#include "core/vary.h"
#include "httpd/headers.h"
#include "httpd/request.h"

static const request_rec *first_of(const request_rec *r)
{
    while (r->prev)
        r = r->prev;
    return r;
}

/* Whether the Host field still names the host that was asked for, or `RequestHeader` changed it. */
static int is_host_received(const request_rec *r, const char *host)
{
    size_t len;

    if (!r->hostname)
        return 1;
    if (!host)
        return 0;
    len = strlen(r->hostname);
    return strncasecmp(host, r->hostname, len) == 0 && (!host[len] || host[len] == ':');
}

/* mod_dav takes over the methods that change what it lets httpd's default handler serve. */
static const char *handler_of(const request_rec *r)
{
    return r->handler && !etv_request_is_get(r) && strcmp(r->handler, "dav-handler") == 0
               ? NULL
               : r->handler;
}

/*
 * What is requested and what serves it. Fields that are mostly absent are named in a bit map, so
 * that the usual request hashes few bytes.
 */
void etv_fields_add_request(etv_tag_fields_t *fields, request_rec *r, const char *host,
                            const etv_server_t *server, unsigned char models)
{
    const char *target = first_of(r)->unparsed_uri;
    const char *scheme = ap_http_scheme(r);
    int http = scheme[0] == 'h' && scheme[1] == 't' && scheme[2] == 't' && scheme[3] == 'p';
    int https = http && scheme[4] == 's' && !scheme[5];
    const char *rare[] = {is_host_received(r, host) ? NULL : r->hostname,
                          https || (http && !scheme[4]) ? NULL : scheme,
                          server->vhost,
                          r->args,
                          r->path_info && *r->path_info ? r->path_info : NULL,
                          handler_of(r),
                          target && strcmp(target, r->uri) == 0 ? NULL : target};
    enum { RARE = sizeof(rare) / sizeof(rare[0]), HOST = 1 << RARE, HTTPS = HOST << 1 };
    unsigned int present = (https ? HTTPS : 0U) | (host ? HOST : 0U);
    unsigned char first[3];

    for (unsigned int i = 0; i < RARE; i++)
        present |= (unsigned int)(rare[i] != NULL) << i;
    first[0] = (unsigned char)present;
    first[1] = (unsigned char)(present >> 8);
    first[2] = models;
    etv_tag_fields_add(fields, first, sizeof(first));
    etv_tag_fields_add_string(fields, r->uri);
    etv_tag_fields_add_string(fields, r->filename);
    if (host)
        etv_tag_fields_add_lower(fields, host);
    for (unsigned int i = 0; present & (HOST - 1) && i < RARE; i++) {
        if (rare[i])
            etv_tag_fields_add_string(fields, rare[i]);
    }
}

/* The values of the request headers that the response varies on (law of shared caches: whoever
 * would get another response must get another tag). Codings and credentials have their own way. */
void etv_fields_add_varied(etv_tag_fields_t *fields, request_rec *r, const char *vary)
{
    const char *cursor = vary, *name;
    apr_size_t len;

    while (etv_vary_next(&cursor, &name, &len)) {
        const char *header = apr_pstrmemdup(r->pool, name, len);

        if (ap_cstr_casecmp(header, "Accept-Encoding") == 0 ||
            ap_cstr_casecmp(header, "Cookie") == 0 || ap_cstr_casecmp(header, "Authorization") == 0)
            continue;
        etv_tag_fields_add_string(fields, header);
        etv_headers_add_lines(fields, r, header);
    }
    etv_tag_fields_add(fields, NULL, 0);
}
