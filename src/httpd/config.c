/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/config.h"

#include <apr_strings.h>

#include "core/media_type.h"

/* Longest Content-Type for which the answer is kept. */
#define TYPE_REMEMBERED 64

#define PREFIX_DEFAULT             "model_version:"
#define CONNECT_TIMEOUT_DEFAULT_US apr_time_from_msec(250)
#define COMMAND_TIMEOUT_DEFAULT_US apr_time_from_msec(50)

static int table_size = ETV_TABLE_SIZE_DEFAULT;
static etv_buffer_limit_t buffer_limit = {ETV_BUFFER_RESPONSE_DEFAULT, ETV_BUFFER_PROCESS_DEFAULT};
static int events_limit = ETV_UNSET;
static int changes;

#define NUMBER(name)        .name = ETV_UNSET,
#define POINTER(type, name) .name = NULL,
#define LIST(name)          .name = {.items = NULL},
static const etv_dir_t nothing_said = {ETV_DIR_FIELDS(NUMBER, POINTER, LIST, NUMBER, LIST)};
#undef NUMBER
#undef POINTER
#undef LIST

void *etv_config_create_dir(apr_pool_t *p, char *path)
{
    (void)path;
    return apr_pmemdup(p, &nothing_said, sizeof(nothing_said));
}

/* Sections merge for every request, and most of them say nothing about this module. A false no, as
 * for a merged section, whose padding is of no known value, costs only time. */
static int says_nothing(const etv_dir_t *dir)
{
    return memcmp(dir, &nothing_said, sizeof(nothing_said)) == 0;
}

void *etv_config_merge_dir(apr_pool_t *p, void *base_in, void *add_in)
{
    const etv_dir_t *base = base_in, *add = add_in;
    etv_dir_t *dir;

    if (says_nothing(add))
        return base_in;
    if (says_nothing(base))
        return add_in;
    dir = apr_palloc(p, sizeof(*dir));

#define MERGE_NUMBER(name)     dir->name = add->name != ETV_UNSET ? add->name : base->name;
#define MERGE_POINTER(type, n) dir->n = add->n ? add->n : base->n;
#define MERGE_LIST(name)       dir->name = etv_list_merge(p, base->name, add->name);
#define MERGE_PATTERNS(name)   dir->name = etv_patterns_merge(p, base->name, add->name);
    ETV_DIR_FIELDS(MERGE_NUMBER, MERGE_POINTER, MERGE_LIST, MERGE_NUMBER, MERGE_PATTERNS)
#undef MERGE_PATTERNS
#undef MERGE_NUMBER
#undef MERGE_POINTER
#undef MERGE_LIST
    return dir;
}

void *etv_config_create_server(apr_pool_t *p, server_rec *s)
{
    etv_server_t *server = apr_pcalloc(p, sizeof(*server));

    (void)s;
    server->connect_timeout_us = ETV_UNSET;
    server->command_timeout_us = ETV_UNSET;
    server->lease_us = ETV_UNSET;
    return server;
}

void *etv_config_merge_server(apr_pool_t *p, void *base_in, void *add_in)
{
    const etv_server_t *base = base_in, *add = add_in;
    etv_server_t *server = apr_pcalloc(p, sizeof(*server));

#define MERGE_POINTER(type, n) server->n = add->n ? add->n : base->n;
#define MERGE_DURATION(n)      server->n = add->n != ETV_UNSET ? add->n : base->n;
    ETV_SERVER_FIELDS(MERGE_POINTER, MERGE_DURATION)
#undef MERGE_POINTER
#undef MERGE_DURATION
    /* A password that stands beside an address belongs to it. */
    if (add->store_url && base->store_url && !add->store_password)
        server->store_password = NULL;
    return server;
}

const char *etv_config_prefix(const etv_server_t *server)
{
    return server->prefix ? server->prefix : PREFIX_DEFAULT;
}

const etv_store_url_t *etv_config_store_url(const etv_server_t *server)
{
    static const etv_store_url_t local = {.kind = ETV_STORE_URL_LOCAL, .canonical = "local"};

    return server->store_url ? server->store_url : &local;
}

apr_interval_time_t etv_config_connect_timeout_us(const etv_server_t *server)
{
    return server->connect_timeout_us != ETV_UNSET ? server->connect_timeout_us
                                                   : CONNECT_TIMEOUT_DEFAULT_US;
}

apr_interval_time_t etv_config_command_timeout_us(const etv_server_t *server)
{
    return server->command_timeout_us != ETV_UNSET ? server->command_timeout_us
                                                   : COMMAND_TIMEOUT_DEFAULT_US;
}

apr_interval_time_t etv_config_lease_us(const etv_server_t *server)
{
    return server->lease_us != ETV_UNSET ? server->lease_us : ETV_LEASE_DEFAULT_US;
}

apr_interval_time_t etv_config_trust_us(const etv_server_t *server)
{
    return etv_config_lease_us(server) > 0 ? etv_config_lease_us(server) : ETV_LEASE_DEFAULT_US;
}

int etv_config_table_size(void)
{
    return table_size;
}

void etv_config_set_table_size(int entries)
{
    table_size = entries;
}

const etv_buffer_limit_t *etv_config_buffer_limit(void)
{
    return &buffer_limit;
}

void etv_config_set_buffer_limit(etv_buffer_limit_t limit)
{
    buffer_limit = limit;
}

int etv_config_events_limit(void)
{
    return events_limit;
}

void etv_config_set_events_limit(int streams)
{
    events_limit = streams;
}

int etv_config_changes(void)
{
    return changes;
}

void etv_config_set_changes(void)
{
    changes = 1;
}

void etv_config_reset(void)
{
    etv_buffer_limit_t limit = {ETV_BUFFER_RESPONSE_DEFAULT, ETV_BUFFER_PROCESS_DEFAULT};

    table_size = ETV_TABLE_SIZE_DEFAULT;
    buffer_limit = limit;
    events_limit = ETV_UNSET;
    changes = 0;
}

/* --- lists that have a default --- */

#define ITEM(t) {.text = (t), .len = sizeof(t) - 1, .trusted = 1, .fold = 1}
#define DEFAULT_OF(name, members)                                                                  \
    static apr_array_header_t name##_array = {.elt_size = sizeof(etv_item_t),                      \
                                              .nelts = sizeof(members) / sizeof((members)[0]),     \
                                              .nalloc = sizeof(members) / sizeof((members)[0]),    \
                                              .elts = (char *)(members)};                          \
    static const etv_list_t name = {.items = &name##_array, .replaces = 1}

static etv_item_t default_type_items[] = {ITEM("text/*"),
                                          ITEM("application/json"),
                                          ITEM("application/*+json"),
                                          ITEM("application/javascript"),
                                          ITEM("application/xml"),
                                          ITEM("image/*")};
DEFAULT_OF(default_types, default_type_items);

static etv_item_t default_header_items[] = {ITEM("Last-Modified"), ITEM("Content-Length")};
DEFAULT_OF(default_headers, default_header_items);

/* Edits without a list before them edit the default. */
static const etv_item_t *resolve(apr_pool_t *p, const etv_list_t *said, const etv_list_t *otherwise,
                                 int *n)
{
    etv_list_t both;

    if (said->items && said->replaces)
        return etv_list_resolve(p, said, n);
    both = etv_list_merge(p, *otherwise, *said);
    return etv_list_resolve(p, &both, n);
}

static etv_type_e type_of(const etv_item_t *items, int n, const char *content_type)
{
    if (etv_media_type_is_stream(content_type))
        return ETV_TYPE_STREAM;
    for (int i = 0; i < n; i++) {
        if (etv_media_type_matches(content_type, items[i].text))
            return ETV_TYPE_COVERED;
    }
    return ETV_TYPE_OTHER;
}

/* Applications send a handful of types, and most sites leave the list as it is. */
static etv_type_e default_type(const char *content_type)
{
    static _Thread_local struct {
        char text[TYPE_REMEMBERED];
        etv_type_e type;
    } memo;
    const int n = (int)(sizeof(default_type_items) / sizeof(default_type_items[0]));

    if (!content_type || !*content_type)
        return type_of(default_type_items, n, content_type);
    if (strcmp(memo.text, content_type) != 0) {
        if (strlen(content_type) >= TYPE_REMEMBERED)
            return type_of(default_type_items, n, content_type);
        apr_cpystrn(memo.text, content_type, TYPE_REMEMBERED);
        memo.type = type_of(default_type_items, n, content_type);
    }
    return memo.type;
}

etv_type_e etv_config_type(apr_pool_t *p, const etv_dir_t *dir, const char *content_type)
{
    const etv_item_t *items;
    int n;

    if (!dir->types.items)
        return default_type(content_type);
    items = resolve(p, &dir->types, &default_types, &n);
    return type_of(items, n, content_type);
}

const etv_item_t *etv_config_headers(apr_pool_t *p, const etv_dir_t *dir, int *n)
{
    return resolve(p, &dir->headers, &default_headers, n);
}
