/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/identity.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <mod_ssl.h>

#include "core/vary.h"
#include "httpd/headers.h"

#define NAME_OFFSET 7 /* behind "cookie:" and "header:" */

static APR_OPTIONAL_FN_TYPE(ssl_is_https) * is_https;
static APR_OPTIONAL_FN_TYPE(ssl_var_lookup) * ssl_variable;

int etv_identity_has_ssl;

void etv_identity_init(void)
{
    is_https = APR_RETRIEVE_OPTIONAL_FN(ssl_is_https);
    ssl_variable = APR_RETRIEVE_OPTIONAL_FN(ssl_var_lookup);
    etv_identity_has_ssl = is_https && ssl_variable;
}

static int is_token(const char *text)
{
    return etv_vary_is_field_name(text) && strcmp(text, "*") != 0;
}

int etv_identity_parse(etv_item_t *item)
{
    if (ap_cstr_casecmp(item->text, "none") == 0) {
        item->kind = ETV_IDENTITY_NONE;
        return 1;
    }
    if (ap_cstr_casecmp(item->text, "user") == 0) {
        item->kind = ETV_IDENTITY_USER;
        return 1;
    }
    if (ap_cstr_casecmpn(item->text, "cookie:", NAME_OFFSET) == 0)
        item->kind = ETV_IDENTITY_COOKIE;
    else if (ap_cstr_casecmpn(item->text, "header:", NAME_OFFSET) == 0)
        item->kind = ETV_IDENTITY_HEADER;
    item->fold = item->kind == ETV_IDENTITY_HEADER;
    return item->kind && is_token(item->text + NAME_OFFSET);
}

etv_identity_t etv_identity_of(apr_pool_t *p, const etv_list_t *list)
{
    etv_identity_t identity;

    identity.items = etv_list_resolve(p, list, &identity.n);
    identity.none = identity.n == 1 && identity.items[0].kind == ETV_IDENTITY_NONE;
    if (identity.none && list->edits) /* an inherited `none` that was edited is an empty list */
        identity.none = identity.n = 0;
    return identity;
}

static int has_kind(const etv_identity_t *identity, int kind)
{
    for (int i = 0; i < identity->n; i++) {
        if (identity->items[i].kind == kind)
            return 1;
    }
    return 0;
}

static int has_header(const etv_identity_t *identity, const char *name)
{
    for (int i = 0; i < identity->n; i++) {
        if (identity->items[i].kind == ETV_IDENTITY_HEADER &&
            ap_cstr_casecmp(identity->items[i].text + NAME_OFFSET, name) == 0)
            return 1;
    }
    return 0;
}

int etv_identity_covers_header(const etv_identity_t *identity, const request_rec *r,
                               const char *name)
{
    if (identity->none || has_header(identity, name))
        return 1;
    if (ap_cstr_casecmp(name, "Cookie") == 0)
        return has_kind(identity, ETV_IDENTITY_COOKIE);
    if (ap_cstr_casecmp(name, "Authorization") == 0)
        return r->user && has_kind(identity, ETV_IDENTITY_USER);
    return 0;
}

static const char *variable(request_rec *r, const char *name)
{
    return ssl_variable(r->pool, r->server, r->connection, r, apr_pstrdup(r->pool, name));
}

/* Issuer and serial number name one certificate (RFC 5280 §4.1.2.2); NULL without a verified one.
 */
static const char *certificate(request_rec *r)
{
    const char *verified;

    if (!etv_identity_has_ssl || !is_https(r->connection))
        return NULL;
    verified = variable(r, "SSL_CLIENT_VERIFY");
    if (!verified || strcmp(verified, "SUCCESS") != 0)
        return NULL;
    return apr_pstrcat(r->pool, variable(r, "SSL_CLIENT_M_SERIAL"), " ",
                       variable(r, "SSL_CLIENT_I_DN"), NULL);
}

int etv_identity_covers_credentials(const etv_identity_t *identity, request_rec *r, int cookie,
                                    int authorization)
{
    if (identity->none)
        return 1;
    if (cookie && !etv_identity_covers_header(identity, r, "Cookie"))
        return 0;
    if (authorization && !etv_identity_covers_header(identity, r, "Authorization"))
        return 0;
    if (has_kind(identity, ETV_IDENTITY_USER))
        return 1;
    return !r->user && !certificate(r);
}

static const char *skip_space(const char *text)
{
    while (apr_isspace(*text))
        text++;
    return text;
}

/* What a cookie's name cannot follow: the rest of a longer name, or a value. */
static int is_inside(char c)
{
    return apr_isalnum(c) || strchr("!#$%&'*+-.^_`|~=", c) != NULL;
}

typedef struct {
    const char *name;
    size_t len;
    const char *value; /* of the last one that was found */
    int count;
} cookie_t;

/* Every place in a line where some server might see the cookie. */
static int find_in_line(void *baton, const char *key, const char *line)
{
    cookie_t *cookie = baton;

    (void)key;
    for (const char *at = line; (at = strstr(at, cookie->name)) != NULL; at += cookie->len) {
        const char *behind = skip_space(at + cookie->len);

        if (*behind != '=' || (at > line && is_inside(at[-1])))
            continue;
        cookie->value = skip_space(behind + 1);
        cookie->count++;
    }
    return 1;
}

/*
 * The value of one cookie, up to the semicolon. Servers disagree on which of several with the same
 * name counts, on whether a comma or white space separates cookies (a comma is what joins two
 * header lines), and on semicolons in quotes: where there is room for that, all that the client
 * sent is who it is.
 */
static void add_cookie(etv_tag_fields_t *fields, request_rec *r, const char *name)
{
    cookie_t cookie = {name, strlen(name), NULL, 0};

    apr_table_do(find_in_line, &cookie, r->headers_in, "Cookie", NULL);
    if (cookie.count > 1 || (cookie.count && *cookie.value == '"'))
        etv_headers_add_lines(fields, r, "Cookie");
    else if (cookie.count)
        etv_tag_fields_add(fields, cookie.value, strcspn(cookie.value, ";"));
    etv_tag_fields_add(fields, NULL, 0);
}

void etv_identity_add(const etv_identity_t *identity, request_rec *r, etv_tag_fields_t *fields)
{
    for (int i = 0; i < identity->n; i++) {
        const etv_item_t *item = identity->items + i;

        etv_tag_fields_add(fields, item->text, item->len);
        if (item->kind == ETV_IDENTITY_USER) {
            etv_tag_fields_add_string(fields, r->user);
            etv_tag_fields_add_string(fields, certificate(r));
        } else if (item->kind == ETV_IDENTITY_COOKIE) {
            add_cookie(fields, r, item->text + NAME_OFFSET);
        } else if (item->kind == ETV_IDENTITY_HEADER) {
            etv_headers_add_lines(fields, r, item->text + NAME_OFFSET);
        }
    }
    etv_tag_fields_add(fields, NULL, 0);
}

const char *etv_identity_vary(const etv_identity_t *identity, apr_pool_t *p, const char *vary)
{
    for (int i = 0; i < identity->n; i++) {
        const etv_item_t *item = identity->items + i;

        if (item->kind == ETV_IDENTITY_COOKIE)
            vary = etv_vary_union(p, vary, "Cookie");
        else if (item->kind == ETV_IDENTITY_HEADER)
            vary = etv_vary_union(p, vary, item->text + NAME_OFFSET);
    }
    return vary;
}
