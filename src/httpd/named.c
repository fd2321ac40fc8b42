/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/named.h"

#include <stdatomic.h>

#include <apr_strings.h>

#include "httpd/shared.h"
#include "store/boottime.h"
#include "store/declared_ops.h"

/* What a client can make one request cost. */
#define GETS_MOST 4

/* Published texts that a process remembers. Stores keep them for a week. */
#define PUBLISHED      1024
#define PUBLISHED_BITS 20 /* of a word: when, in minutes */
#define MINUTES        ((APR_UINT64_C(1) << PUBLISHED_BITS) - 1)
#define AGAIN_MINUTES  (24 * 60)
#define FAILED_MINUTES 1

_Static_assert((int)ETV_TEXT_ID_MODELS == (int)ETV_REGISTRY_MODELS &&
                   (int)ETV_TEXT_ID_FIELDS == (int)ETV_REGISTRY_FIELDS &&
                   ETV_TEXT_ID_BYTES == ETV_REGISTRY_ID_BYTES &&
                   ETV_TEXT_ID_TEXT_MOST == ETV_REGISTRY_TEXT_MOST,
               "ids of texts are the registry's");

/* A word for each: which, and when. Two that share a word publish in turn. */
static _Atomic apr_uint64_t published[PUBLISHED];

static const etv_declared_ops_t *ops_of(const request_rec *r)
{
    const etv_store_t *store = etv_config_server(r->server)->store;

    return store ? store->ops->declared : NULL;
}

static const char *ask_store(request_rec *r, etv_request_t *request, etv_text_id_kind_e kind,
                             const unsigned char *id, const unsigned char *key, apr_size_t *len)
{
    const etv_declared_ops_t *ops = ops_of(r);
    const char *text;

    if (!ops || !ops->get || request->gets >= GETS_MOST)
        return NULL;
    request->gets++;
    if (ops->get(etv_config_server(r->server)->store, r->pool, (etv_registry_kind_e)kind, id, &text,
                 len) != APR_SUCCESS ||
        !etv_text_id_is_of(id, kind, text, *len, key))
        return NULL;
    etv_named_keep(kind, id, text, *len);
    return text;
}

const char *etv_named_find(request_rec *r, etv_request_t *request, etv_text_id_kind_e kind,
                           const unsigned char id[ETV_TEXT_ID_BYTES], const unsigned char *key,
                           apr_size_t *len)
{
    char text[ETV_REGISTRY_TEXT_MOST];

    *len = etv_registry_find(etv_shared_registry(), (etv_registry_kind_e)kind, id,
                             etv_boottime_us(), text);
    if (*len && etv_text_id_is_of(id, kind, text, *len, key))
        return apr_pstrmemdup(r->pool, text, *len);
    return ask_store(r, request, kind, id, key, len);
}

void etv_named_keep(etv_text_id_kind_e kind, const unsigned char id[ETV_TEXT_ID_BYTES],
                    const char *text, apr_size_t len)
{
    etv_registry_add(etv_shared_registry(), (etv_registry_kind_e)kind, id, etv_boottime_us(), text,
                     len);
}

/* Which text in which life of which store; without the bits for the minute. */
static apr_uint64_t which(request_rec *r, const etv_request_t *request, const unsigned char *id)
{
    struct {
        unsigned char id[ETV_TEXT_ID_BYTES], instance[ETV_INSTANCE_BYTES];
        const etv_store_t *store;
    } of;

    memset(&of, 0, sizeof(of));
    memcpy(of.id, id, sizeof(of.id));
    memcpy(of.instance, request->instance, sizeof(of.instance));
    of.store = etv_config_server(r->server)->store;
    return etv_hash_name(&of, sizeof(of)).lo >> PUBLISHED_BITS << PUBLISHED_BITS;
}

static _Atomic apr_uint64_t *word_of(apr_uint64_t of)
{
    return published + (of >> PUBLISHED_BITS) % PUBLISHED;
}

static apr_uint64_t minute_now(void)
{
    return ((apr_uint64_t)apr_time_sec(etv_boottime_us()) / 60) & MINUTES;
}

int etv_named_is_due(request_rec *r, const etv_request_t *request,
                     const unsigned char id[ETV_TEXT_ID_BYTES])
{
    apr_uint64_t of = which(r, request, id);
    apr_uint64_t found = atomic_load_explicit(word_of(of), memory_order_relaxed);

    return (found & ~MINUTES) != of || ((minute_now() - found) & MINUTES) >= AGAIN_MINUTES;
}

void etv_named_publish(request_rec *r, const etv_request_t *request, etv_text_id_kind_e kind,
                       const unsigned char id[ETV_TEXT_ID_BYTES], const char *text, apr_size_t len)
{
    const etv_declared_ops_t *ops = ops_of(r);
    apr_uint64_t of = which(r, request, id), when = minute_now();

    etv_named_keep(kind, id, text, len);
    if (!ops)
        return;
    /* A store that does not take it is not asked again for each response. */
    if (ops->put && ops->put(etv_config_server(r->server)->store, r->pool,
                             (etv_registry_kind_e)kind, id, text, len) != APR_SUCCESS)
        when -= AGAIN_MINUTES - FAILED_MINUTES;
    atomic_store_explicit(word_of(of), of | (when & MINUTES), memory_order_relaxed);
}
