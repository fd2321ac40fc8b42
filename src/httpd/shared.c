/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/shared.h"

#include <apr_general.h>
#include <apr_shm.h>

#include "httpd/config.h"
#include "httpd/log.h"

/* They live in the process pool under these keys. The number counts layouts: another version of
 * this module, loaded at a graceful restart, must not read what it does not know. */
#define TABLE_KEY    "mod_etag_version/table/1"
#define MIRROR_KEY   "mod_etag_version/mirror/2"
#define FEED_KEY     "mod_etag_version/feed/1"
#define REGISTRY_KEY "mod_etag_version/registry/1"
#define HINTS_KEY    "mod_etag_version/hints/1"
#define PENDING_KEY  "mod_etag_version/pending/1"
#define SEATS_KEY    "mod_etag_version/seats/1"
#define HASH_KEY     "mod_etag_version/hash/1"

#define ALIGN 64

/* Texts that tags name, 5 KB each, and URLs whose models are remembered: as parts of the table.
 * What is pushed out is asked for again. Pages that were never written to take no memory. */
#define TEXTS_PART  16
#define TEXTS_LEAST 64
#define TEXTS_MOST  4096
#define HINTS_PART  4
#define HINTS_LEAST 1024

static etv_table_t *shared_table;
static etv_mirror_t *shared_mirror;
static etv_pending_t *shared_pending;
static etv_registry_t *shared_registry;
static etv_feed_t *shared_feed;
static etv_table_t *shared_hints;
static etv_seats_t *shared_seats;

etv_table_t *etv_shared_table(void)
{
    return shared_table;
}

etv_mirror_t *etv_shared_mirror(void)
{
    return shared_mirror;
}

etv_feed_t *etv_shared_feed(void)
{
    return shared_feed;
}

etv_registry_t *etv_shared_registry(void)
{
    return shared_registry;
}

etv_table_t *etv_shared_hints(void)
{
    return shared_hints;
}

etv_seats_t *etv_shared_seats(void)
{
    return shared_seats;
}

etv_pending_t *etv_shared_pending(void)
{
    return shared_pending;
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

static apr_status_t make_table(apr_pool_t *process, const char *key, int entries,
                               etv_table_t **table)
{
    char *memory;
    apr_status_t rv = make(process, etv_table_bytes(entries), &memory);

    if (rv == APR_SUCCESS)
        rv = etv_table_init(memory, entries, table);
    return rv == APR_SUCCESS ? keep(process, key, *table) : rv;
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

static apr_status_t make_pending(apr_pool_t *process)
{
    char *memory;
    apr_status_t rv = make(process, etv_pending_bytes(), &memory);

    if (rv != APR_SUCCESS)
        return rv;
    shared_pending = etv_pending_init(memory);
    return keep(process, PENDING_KEY, shared_pending);
}

static apr_status_t make_feed(apr_pool_t *process)
{
    char *memory;
    apr_status_t rv = make(process, etv_feed_bytes(), &memory);

    if (rv != APR_SUCCESS)
        return rv;
    shared_feed = etv_feed_init(memory);
    return keep(process, FEED_KEY, shared_feed);
}

static apr_status_t make_seats(apr_pool_t *process)
{
    char *memory;
    apr_status_t rv = make(process, etv_seats_bytes(), &memory);

    if (rv != APR_SUCCESS)
        return rv;
    shared_seats = etv_seats_init(memory);
    return keep(process, SEATS_KEY, shared_seats);
}

static apr_status_t make_registry(apr_pool_t *process, int texts)
{
    char *memory;
    apr_status_t rv = make(process, etv_registry_bytes(texts), &memory);

    if (rv != APR_SUCCESS)
        return rv;
    shared_registry = etv_registry_init(memory, texts);
    return keep(process, REGISTRY_KEY, shared_registry);
}

static int within(int n, int least, int most)
{
    return n < least ? least : n > most ? most : n;
}

/* What has no size of its own, or one that follows from the table's. */
static apr_status_t open_others(apr_pool_t *process)
{
    int entries = etv_table_entries(shared_table);
    apr_status_t rv = APR_SUCCESS;

    shared_pending = kept(process, PENDING_KEY);
    shared_feed = kept(process, FEED_KEY);
    shared_registry = kept(process, REGISTRY_KEY);
    shared_hints = kept(process, HINTS_KEY);
    shared_seats = kept(process, SEATS_KEY);
    if (!shared_pending)
        rv = make_pending(process);
    if (rv == APR_SUCCESS && !shared_feed)
        rv = make_feed(process);
    if (rv == APR_SUCCESS && !shared_seats)
        rv = make_seats(process);
    if (rv == APR_SUCCESS && !shared_registry)
        rv = make_registry(process, within(entries / TEXTS_PART, TEXTS_LEAST, TEXTS_MOST));
    if (rv == APR_SUCCESS && !shared_hints)
        rv = make_table(process, HINTS_KEY,
                        within(entries / HINTS_PART, HINTS_LEAST, ETV_TABLE_ENTRIES_MOST),
                        &shared_hints);
    return rv;
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
        rv = make_table(process, TABLE_KEY, etv_config_table_size(), &shared_table);
    else if (etv_table_entries(shared_table) != etv_config_table_size())
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "ETV0401: ETagVersionTableSize stays %d until the server is stopped and "
                     "started again",
                     etv_table_entries(shared_table));
    if (rv == APR_SUCCESS && mirrored && !shared_mirror)
        rv = make_mirror(process);
    return rv == APR_SUCCESS ? open_others(process) : rv;
}
