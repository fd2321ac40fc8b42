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

/* What was made before under this key, or zeroed memory that will be found there from now on.
 * @param rv     out: untouched on success
 * @param fresh  out: 1 when it is to be laid out; where nothing can be had it is 0 */
static void *segment(apr_pool_t *process, const char *key, apr_size_t bytes, int *fresh,
                     apr_status_t *rv)
{
    void *found = kept(process, key);
    char *memory = NULL;
    apr_status_t status;

    *fresh = 0;
    if (found)
        return found;
    status = make(process, bytes, &memory);
    if (status == APR_SUCCESS)
        status = keep(process, key, memory);
    if (status != APR_SUCCESS) {
        *rv = status;
        return NULL;
    }
    *fresh = 1;
    return memory;
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

static int within(int n, int least, int most)
{
    return n < least ? least : n > most ? most : n;
}

/* What has no size of its own, or one that follows from the table's, also when the directive has
 * changed since that was made. */
static apr_status_t open_others(apr_pool_t *process, int mirrored)
{
    int entries = etv_table_entries(shared_table);
    int texts = within(entries / TEXTS_PART, TEXTS_LEAST, TEXTS_MOST);
    apr_status_t rv = APR_SUCCESS;
    int fresh;

    shared_pending = segment(process, PENDING_KEY, etv_pending_bytes(), &fresh, &rv);
    if (fresh)
        etv_pending_init(shared_pending);
    shared_feed = segment(process, FEED_KEY, etv_feed_bytes(), &fresh, &rv);
    if (fresh)
        etv_feed_init(shared_feed);
    shared_seats = segment(process, SEATS_KEY, etv_seats_bytes(), &fresh, &rv);
    if (fresh)
        etv_seats_init(shared_seats);
    shared_registry = segment(process, REGISTRY_KEY, etv_registry_bytes(texts), &fresh, &rv);
    if (fresh)
        etv_registry_init(shared_registry, texts);
    shared_mirror = kept(process, MIRROR_KEY);
    if (mirrored) {
        shared_mirror = segment(process, MIRROR_KEY, etv_mirror_bytes(entries), &fresh, &rv);
        if (fresh)
            etv_mirror_init(shared_mirror, entries);
    }
    shared_hints = kept(process, HINTS_KEY);
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
    if (!shared_table)
        rv = make_table(process, TABLE_KEY, etv_config_table_size(), &shared_table);
    else if (etv_table_entries(shared_table) != etv_config_table_size())
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "ETV0401: ETagVersionTableSize stays %d until the server is stopped and "
                     "started again",
                     etv_table_entries(shared_table));
    return rv == APR_SUCCESS ? open_others(process, mirrored) : rv;
}
