/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/config.h"

#include <apr_strings.h>

#define PREFIX_DEFAULT             "model_version:"
#define CONNECT_TIMEOUT_DEFAULT_US apr_time_from_msec(250)
#define COMMAND_TIMEOUT_DEFAULT_US apr_time_from_msec(50)

static int table_size = ETV_TABLE_SIZE_DEFAULT;

#define NUMBER(name)        .name = ETV_UNSET,
#define POINTER(type, name) .name = NULL,
#define LIST(name)          .name = {.items = NULL},
static const etv_dir_t nothing_said = {ETV_DIR_FIELDS(NUMBER, POINTER, LIST, NUMBER)};
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
    ETV_DIR_FIELDS(MERGE_NUMBER, MERGE_POINTER, MERGE_LIST, MERGE_NUMBER)
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

int etv_config_table_size(void)
{
    return table_size;
}

void etv_config_set_table_size(int entries)
{
    table_size = entries;
}
