/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What it costs to find versions in the mirror. Fills a mirror with so many keys, then looks up so
 * many models so many times; `measured` is what callgrind counts.
 *
 *   find KEYS MODELS LOOKUPS
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "store/boottime.h"
#include "store/mirror.h"

static etv_hash128_t key_of(unsigned long number)
{
    char name[32];
    int len = snprintf(name, sizeof(name), "proteins.Protein:%lu", number);

    return etv_hash_name(name, (apr_size_t)len);
}

/* The lookups of requests: whether the lease holds, and each model. @return how many were found */
__attribute__((noinline)) static unsigned long measured(etv_mirror_t *mirror,
                                                        const etv_channel_t *channel,
                                                        const etv_hash128_t *keys, int models,
                                                        unsigned long lookups, apr_time_t now_us)
{
    unsigned long found = 0;
    etv_mirror_value_t value;

    for (unsigned long i = 0; i < lookups; i++) {
        apr_uint64_t lease = etv_channel_lease(channel);

        for (int m = 0; m < models && etv_channel_holds(lease, now_us); m++)
            found +=
                (unsigned long)etv_mirror_find(mirror, keys[i * (unsigned)models + (unsigned)m],
                                               etv_channel_epoch_of(lease), now_us, &value);
    }
    return found;
}

int main(int argc, char **argv)
{
    unsigned long keys = argc > 3 ? strtoul(argv[1], NULL, 10) : 0;
    int models = argc > 3 ? atoi(argv[2]) : 0;
    unsigned long lookups = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    apr_time_t now_us = etv_boottime_us();
    etv_mirror_value_t value = {.token = "1732190000000000123", .len = 19};
    etv_hash128_t *wanted = calloc(lookups * (unsigned)models + 1, sizeof(*wanted));
    apr_size_t bytes = etv_mirror_bytes((int)keys);
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    etv_mirror_t *mirror;
    etv_channel_t *channel;
    unsigned long found;
    int wrapped;

    if (!keys || !wanted || memory == MAP_FAILED)
        return 1;
    mirror = etv_mirror_init(memory, (int)keys);
    channel = etv_mirror_channel(mirror, etv_hash_name("bench", 5));
    etv_channel_publish(channel, etv_channel_raise(channel, &wrapped),
                        now_us + apr_time_from_sec(3600));
    for (unsigned long i = 0; i < keys; i++) {
        etv_hash128_t key = key_of(i);

        etv_mirror_install(mirror, key, etv_channel_epoch_of(etv_channel_lease(channel)),
                           etv_mirror_generation(mirror, key), ETV_MIRROR_CONFIGURED, now_us,
                           &value);
    }
    for (unsigned long i = 0; i < lookups * (unsigned)models; i++)
        wanted[i] = key_of(i * 7919 % keys);
    found = measured(mirror, channel, wanted, models, lookups, now_us);
    printf("%.2f\n", 100.0 * (double)found / (double)(lookups * (unsigned)models));
    free(wanted);
    return 0;
}
