/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/shared.h"

#include <apr_general.h>
#include <apr_shm.h>

#include "httpd/config.h"
#include "httpd/log.h"

/* They live in the process pool under these keys. The number counts layouts: another version of
 * this module, loaded at a graceful restart, must not read what it does not know. */
#define TABLE_KEY  "mod_etag_version/table/1"
#define MIRROR_KEY "mod_etag_version/mirror/1"
#define HASH_KEY   "mod_etag_version/hash/1"

#define ALIGN 64

static etv_table_t *shared_table;
static etv_mirror_t *shared_mirror;

etv_table_t *etv_shared_table(void)
{
    return shared_table;
}

etv_mirror_t *etv_shared_mirror(void)
{
    return shared_mirror;
}

/* Zeroed, as fresh pages are. */
static apr_status_t make(apr_pool_t *process, apr_size_t bytes, char **memory)
{
    apr_shm_t *shm;
    apr_status_t rv = apr_shm_create(&shm, bytes + ALIGN, NULL, process);

    if (rv != APR_SUCCESS)
        return rv;
    *memory = apr_shm_baseaddr_get(shm);
    *memory += (ALIGN - (apr_uintptr_t)*memory % ALIGN) % ALIGN;
    return APR_SUCCESS;
}

/* Copies the key: this module may be loaded elsewhere next time. */
static apr_status_t keep(apr_pool_t *process, const char *key, void *what)
{
    return apr_pool_userdata_set(what, key, apr_pool_cleanup_null, process);
}

static void *kept(apr_pool_t *process, const char *key)
{
    void *what = NULL;

    apr_pool_userdata_get(&what, key, process);
    return what;
}

apr_status_t etv_shared_use_key(apr_pool_t *process)
{
    unsigned char *key = kept(process, HASH_KEY);
    apr_status_t rv = APR_SUCCESS;

    if (!key) {
        key = apr_palloc(process, ETV_HASH_KEY_BYTES);
        rv = apr_generate_random_bytes(key, ETV_HASH_KEY_BYTES);
        if (rv == APR_SUCCESS)
            rv = keep(process, HASH_KEY, key);
    }
    etv_hash_use_key(key);
    return rv;
}

static apr_status_t make_table(apr_pool_t *process)
{
    int entries = etv_config_table_size();
    char *memory;
    apr_status_t rv = make(process, etv_table_bytes(entries), &memory);

    if (rv == APR_SUCCESS)
        rv = etv_table_init(memory, entries, &shared_table);
    return rv == APR_SUCCESS ? keep(process, TABLE_KEY, shared_table) : rv;
}

static apr_status_t make_mirror(apr_pool_t *process)
{
    /* As large as the table, also when the directive has changed since that was made. */
    int entries = etv_table_entries(shared_table);
    char *memory;
    apr_status_t rv = make(process, etv_mirror_bytes(entries), &memory);

    if (rv != APR_SUCCESS)
        return rv;
    shared_mirror = etv_mirror_init(memory, entries);
    return keep(process, MIRROR_KEY, shared_mirror);
}

int etv_shared_is_restart(const server_rec *s)
{
    return kept(s->process->pool, TABLE_KEY) != NULL;
}

apr_status_t etv_shared_open(server_rec *s, int mirrored)
{
    apr_pool_t *process = s->process->pool;
    apr_status_t rv = APR_SUCCESS;

    shared_table = kept(process, TABLE_KEY);
    shared_mirror = kept(process, MIRROR_KEY);
    if (!shared_table)
        rv = make_table(process);
    else if (etv_table_entries(shared_table) != etv_config_table_size())
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "ETV0401: ETagVersionTableSize stays %d until the server is stopped and "
                     "started again",
                     etv_table_entries(shared_table));
    if (rv == APR_SUCCESS && mirrored && !shared_mirror)
        rv = make_mirror(process);
    return rv;
}
