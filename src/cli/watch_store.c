/* SPDX-License-Identifier: Apache-2.0 */
/* Watch in Redis itself: listen as the module does, with a table for this process alone. */
#include "cli/direct.h"

#include <string.h>
#include <sys/mman.h>

#include "store/feed.h"
#include "store/mirror.h"

/* Nothing is looked up in the table. */
#define TABLE_ENTRIES ETV_MIRROR_WAYS
/* Changes are pushed at once; the connection is tried out four times in this time. */
#define LEASE_US (4 * APR_USEC_PER_SEC)
#define LOOK_US  (10 * APR_USEC_PER_SEC)

/* Zeroed and aligned to pages, for as long as the process. */
static void *get_memory(apr_size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

static int open_feed(etv_redis_config_t *config)
{
    void *mirror = get_memory(etv_mirror_bytes(TABLE_ENTRIES));
    void *feed = get_memory(etv_feed_bytes());

    if (!mirror || !feed) {
        return 0;
    }
    config->lease_us = LEASE_US;
    config->scope = etv_hash_name("watch", 5);
    config->mirror = etv_mirror_init(mirror, TABLE_ENTRIES);
    config->channel = etv_mirror_channel(config->mirror, config->scope);
    config->feed = etv_feed_init(feed);
    return config->channel != NULL;
}

/* @return an exit status, once nobody wants more */
static int follow(etv_cli_t *cli, etv_feed_t *feed, apr_uint64_t next)
{
    etv_feed_entry_t entry;
    int goes_on = 1;

    while (goes_on) {
        switch (etv_feed_read(feed, &next, &entry)) {
        case ETV_FEED_BUMP:
            if (etv_cli_wants(cli, entry.name, entry.len)) {
                goes_on = etv_cli_show_bump(cli, entry.name, entry.len);
            }
            break;
        case ETV_FEED_GAP:
            goes_on = etv_cli_show_bump(cli, NULL, 0);
            break;
        case ETV_FEED_NONE:
            etv_feed_await(feed, next, LOOK_US);
            break;
        }
    }
    return ETV_CLI_OK;
}

int etv_cli_watch_store(etv_cli_t *cli)
{
    etv_redis_config_t config;
    etv_store_t *store;
    apr_uint64_t next;

    if (!etv_cli_store_config(cli, &config)) {
        return ETV_CLI_USAGE;
    }
    if (!open_feed(&config)) {
        etv_cli_say("no memory for what is heard");
        return ETV_CLI_DOWN;
    }
    next = etv_feed_next(config.feed);
    if (etv_redis_create(cli->p, &config, &store) != APR_SUCCESS) {
        etv_cli_say("no thread or memory for the store");
        return ETV_CLI_DOWN;
    }
    return follow(cli, config.feed, next);
}
