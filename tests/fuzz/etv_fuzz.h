/* SPDX-License-Identifier: Apache-2.0 */
/** What the fuzz targets share: bytes to strings, a pool, and properties that must hold. */
#ifndef ETV_TESTS_FUZZ_H
#define ETV_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>
#include <apr_pools.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** A property; its violation is what the fuzzer looks for. */
#define ETV_MUST(property)                                                                         \
    do {                                                                                           \
        if (!(property)) {                                                                         \
            fprintf(stderr, "%s:%d: violated: %s\n", __FILE__, __LINE__, #property);               \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/** A cleared pool, the same one each time. */
static inline apr_pool_t *etv_fuzz_pool(void)
{
    static apr_pool_t *pool;

    if (!pool) {
        ETV_MUST(apr_initialize() == APR_SUCCESS);
        ETV_MUST(apr_pool_create(&pool, NULL) == APR_SUCCESS);
    }
    apr_pool_clear(pool);
    return pool;
}

/**
 * The next string of the input, up to a newline or the end, in memory of exactly its size so that
 * the sanitizer sees every read beyond it. The caller frees it. NULL at the end of the input.
 */
static inline char *etv_fuzz_line(const uint8_t **data, size_t *size)
{
    const uint8_t *end;
    size_t len;
    char *line;

    if (*size == 0) {
        return NULL;
    }
    end = memchr(*data, '\n', *size);
    len = end ? (size_t)(end - *data) : *size;
    line = malloc(len + 1);
    ETV_MUST(line);
    for (size_t i = 0; i < len; i++) {
        line[i] = (*data)[i] ? (char)(*data)[i] : ' ';
    }
    line[len] = '\0';
    *data += end ? len + 1 : len;
    *size -= end ? len + 1 : len;
    return line;
}

/** Whether two strings are the same; NULL only equals NULL. */
static inline int etv_fuzz_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

#endif
