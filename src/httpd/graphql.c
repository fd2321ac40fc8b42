/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/graphql.h"

#include <apr_lib.h>
#include <apr_strings.h>

#include "core/graphql_request.h"
#include "core/media_type.h"
#include "httpd/graphql_body.h"
#include "httpd/log.h"
#include "httpd/request.h"

#define KEY  "mod_etag_version:graphql"
#define JSON "application/json"
#define TEXT "application/graphql"
#define FORM "application/x-www-form-urlencoded"

/** What was said in a body, by one chain of internal redirects. */
typedef struct {
    etv_graphql_request_t said;
    const char *body; /**< all of it; NULL when it was not understood */
    apr_size_t len;
} posted_t;

static posted_t *peek(const request_rec *r)
{
    void *found = NULL;

    if (etv_request_is_get(r)) /* the usual case, and cheaper */
        return NULL;
    apr_pool_userdata_get(&found, KEY, r->pool);
    return found;
}

static int is_query(const request_rec *r)
{
    return strcmp(r->method, "QUERY") == 0;
}

static int is_post(const request_rec *r)
{
    return r->method_number == M_POST;
}

/* --- what is said in a body --- */

typedef void parser_fn(apr_pool_t *p, etv_graphql_request_t *said, const char *text,
                       apr_size_t len);

/*
 * A type may have no parameter but `charset=utf-8`. Bytes of another charset would be read
 * differently by a backend that knows it (RFC 8259 §8.1), and some look for a type's name anywhere
 * in the field.
 */
static int is_plain_type(const char *type)
{
    const char *at = strchr(type, ';');
    int quoted;

    if (!at)
        return 1;
    at += 1 + strspn(at + 1, " \t");
    if (ap_cstr_casecmpn(at, "charset=", 8) != 0)
        return 0;
    at += 8;
    quoted = *at == '"';
    at += quoted;
    if (ap_cstr_casecmpn(at, "utf-8", 5) != 0 || (quoted && at[5] != '"'))
        return 0;
    at += 5 + quoted;
    return !at[strspn(at, " \t")];
}

/* Some applications take another method from one of these; some servers take `_` for `-`. */
static int is_other_method(void *found, const char *name, const char *value)
{
    static const char *const fields[] = {"x-http-method-override", "x-http-method",
                                         "x-method-override"};

    (void)value;
    for (int i = 0; i < 3; i++) {
        const char *a = name, *b = fields[i];

        while (*a && *b && (apr_tolower(*a) == *b || (*a == '_' && *b == '-'))) {
            a++;
            b++;
        }
        *(int *)found |= !*a && !*b;
    }
    return 1;
}

static int has_other_method(const request_rec *r)
{
    int found = 0;

    apr_table_do(is_other_method, &found, r->headers_in, NULL);
    return found;
}

/* A server may prefer what stands in the URL, as the client wrote it or as it was rewritten; and of
 * a POST nobody knows what else it takes from there. */
static int has_arguments(const request_rec *r)
{
    const request_rec *first = r;
    const char *query;

    while (first->prev)
        first = first->prev;
    query = first->parsed_uri.query;
    return (is_post(r) && query && *query) || etv_graphql_request_is_in(query) ||
           etv_graphql_request_is_in(r->args);
}

static parser_fn *parser_for(const request_rec *r)
{
    const char *type = apr_table_get(r->headers_in, "Content-Type");

    if (!type || !is_plain_type(type) || has_other_method(r) ||
        apr_table_get(r->headers_in, "Content-Encoding"))
        return NULL;
    if (etv_media_type_matches(type, JSON))
        return etv_graphql_request_json;
    if (etv_media_type_matches(type, TEXT))
        return etv_graphql_request_document;
    return etv_media_type_matches(type, FORM) ? etv_graphql_request_form : NULL;
}

static void log_unknown(request_rec *r, const etv_graphql_request_t *said)
{
    static const char *const why[] = {"one of them matches no pattern", "there is a mutation",
                                      "there is a subscription", "one of them matches no pattern",
                                      "they are not understood"};

    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r,
                  "ETV0390: nothing is known of what the operations depend on: %s",
                  why[said->what]);
}

/* @return OK, or the status of a body that cannot be read */
static int look(request_rec *r, posted_t *posted)
{
    parser_fn *parse = parser_for(r);
    int status;

    posted->said.what = ETV_GRAPHQL_UNKNOWN;
    if (!parse || has_arguments(r))
        return OK;
    status = etv_graphql_body_read(r, ETV_GRAPHQL_BODY_MOST, &posted->body, &posted->len);
    if (status == OK && posted->body)
        parse(r->pool, &posted->said, posted->body, posted->len);
    return status;
}

/* A POST is read for its tag, or to tell whether it changes anything. */
static int matters(const request_rec *r, const etv_dir_t *dir)
{
    int tags = etv_config_is_graphql(dir) && etv_config_is_on(dir) && etv_config_uses_versions(dir);

    if (is_query(r))
        return tags;
    if (!is_post(r))
        return 0;
    if (tags && etv_config_posts_queries(dir))
        return 1;
    for (; r && etv_config_changes(); r = etv_request_came_through(r)) {
        dir = etv_config_dir(r);
        if (etv_config_is_graphql(dir) && dir->invalidate.items)
            return 1;
    }
    return 0;
}

int etv_graphql_is_awaited(const request_rec *r, const etv_dir_t *dir)
{
    return !r->main && !etv_request_is_get(r) && !etv_request_is_own(r) && matters(r, dir) &&
           !peek(r);
}

int etv_graphql_handler(request_rec *r)
{
    const etv_dir_t *dir = etv_config_dir(r);
    posted_t *posted;
    int status;

    if (!etv_graphql_is_awaited(r, dir) || r->status != HTTP_OK || etv_request_is_redirect(r))
        return DECLINED;
    posted = apr_pcalloc(r->pool, sizeof(*posted));
    apr_pool_userdata_setn(posted, KEY, NULL, r->pool);
    status = look(r, posted);
    if (posted->said.what == ETV_GRAPHQL_UNKNOWN)
        log_unknown(r, &posted->said);
    return status == OK ? DECLINED : status;
}

/* --- what it comes to --- */

int etv_graphql_asks(request_rec *r, const etv_dir_t *dir)
{
    const posted_t *posted;

    if (!etv_config_is_graphql(dir) || r->main || !etv_config_uses_versions(dir) ||
        !(is_query(r) || (is_post(r) && etv_config_posts_queries(dir))))
        return 0;
    posted = peek(r);
    /* Behind a hash may be anything; only a method that is safe says that it is a query. */
    return posted && (posted->said.what == ETV_GRAPHQL_READS ||
                      (posted->said.what == ETV_GRAPHQL_NAMED && is_query(r)));
}

int etv_graphql_is_query(const request_rec *r, const etv_dir_t *dir)
{
    return etv_config_is_graphql(dir) && is_query(r);
}

/* A customer, who says by .htaccess that a place is one of GraphQL, does not say for the
 * administrator what changes nothing there. */
int etv_graphql_only_reads(const request_rec *r, const etv_dir_t *dir)
{
    const posted_t *posted;

    if (!etv_config_is_graphql(dir) || !dir->graphql.trusted)
        return 0;
    posted = peek(r);
    return posted &&
           (posted->said.what == ETV_GRAPHQL_READS || posted->said.what == ETV_GRAPHQL_LISTENS);
}

/* --- models --- */

/** A list that is being made: each text once. */
typedef struct {
    etv_item_t *items;
    int n;
    int room;
    unsigned char taken[ETV_PATTERNS_MOST]; /* the patterns whose models are in it */
} union_t;

static void add(apr_pool_t *p, union_t *all, const etv_item_t *item)
{
    for (int i = 0; i < all->n; i++) {
        if (all->items[i].hash.lo == item->hash.lo && all->items[i].hash.hi == item->hash.hi) {
            all->items[i].trusted |= item->trusted; /* said outside .htaccess, too */
            return;
        }
    }
    if (all->n == all->room) {
        etv_item_t *more = apr_palloc(p, sizeof(*more) * (apr_size_t)(all->room * 2 + 8));

        if (all->n)
            memcpy(more, all->items, sizeof(*more) * (apr_size_t)all->n);
        all->items = more;
        all->room = all->room * 2 + 8;
    }
    all->items[all->n++] = *item;
}

static void add_all(apr_pool_t *p, union_t *all, const etv_item_t *items, int n)
{
    for (int i = 0; i < n; i++)
        add(p, all, items + i);
}

static int add_pattern(apr_pool_t *p, union_t *all, const etv_dir_t *dir, int i)
{
    int n;
    const etv_item_t *items = etv_list_resolve(p, &etv_patterns_at(&dir->graphql, i)->models, &n);

    if (!all->taken[i])
        add_all(p, all, items, n);
    all->taken[i] = 1;
    return n > 0;
}

/* @return whether any pattern knows the operation */
static int add_operation(apr_pool_t *p, union_t *all, const etv_dir_t *dir, const char *name)
{
    int found = 0;

    for (int i = 0; i < dir->graphql.items->nelts && all->n <= ETV_MODELS_MOST; i++) {
        if (etv_graphql_request_matches(etv_patterns_at(&dir->graphql, i)->text, name))
            found |= add_pattern(p, all, dir, i);
    }
    return found || all->n > ETV_MODELS_MOST; /* too many, whatever else there is */
}

/* @return whether each operation is known to the place */
static int add_operations(apr_pool_t *p, union_t *all, const etv_dir_t *dir,
                          const etv_graphql_request_t *said)
{
    int known = said->n > 0 && !dir->graphql.too_many;

    for (int i = 0; known && i < said->n; i++)
        known = add_operation(p, all, dir, said->names[i]);
    return known;
}

const etv_item_t *etv_graphql_models(request_rec *r, const etv_dir_t *dir, const etv_item_t *items,
                                     int *n)
{
    const posted_t *posted = peek(r);
    const char *args = r->args ? r->args : "";
    etv_graphql_request_t of_args;
    const etv_graphql_request_t *said = &of_args;
    union_t all = {.items = NULL};

    if (posted)
        said = &posted->said;
    else
        etv_graphql_request_args(r->pool, &of_args, args, strlen(args));
    add_all(r->pool, &all, items, *n);
    *n = 0;
    if ((said->what != ETV_GRAPHQL_READS && said->what != ETV_GRAPHQL_NAMED) ||
        !add_operations(r->pool, &all, dir, said)) {
        log_unknown(r, said);
        return NULL;
    }
    *n = all.n;
    return all.items;
}

/* A mutation's name is the client's word, and would decide for all others what they go on seeing.
 */
const etv_item_t *etv_graphql_changed(request_rec *r, const etv_dir_t *dir, const etv_item_t *items,
                                      int *n)
{
    union_t all = {.items = NULL};

    add_all(r->pool, &all, items, *n);
    for (int i = 0; i < dir->graphql.items->nelts; i++)
        add_pattern(r->pool, &all, dir, i);
    *n = all.n;
    return all.items;
}

void etv_graphql_add_fields(etv_tag_fields_t *fields, request_rec *r)
{
    const posted_t *posted = peek(r);

    if (!posted)
        return;
    etv_tag_fields_add_string(fields, r->method);
    etv_tag_fields_add_string(fields, apr_table_get(r->headers_in, "Content-Type"));
    etv_tag_fields_add(fields, posted->body, posted->len);
}
