/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/key.h"

#include <pthread.h>
#include <stdatomic.h>

#include <apr_strings.h>

#include "core/digest.h"
#include "httpd/shared.h"
#include "store/boottime.h"
#include "store/store.h"

#define ASK_AGAIN_US apr_time_from_sec(60)

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void remember(etv_server_t *server, const unsigned char *secret)
{
    pthread_mutex_lock(&mutex);
    memcpy(server->kept_secret, secret, ETV_SECRET_BYTES);
    server->has_kept_secret = 1;
    pthread_mutex_unlock(&mutex);
}

static const unsigned char *recall(request_rec *r, const etv_server_t *server)
{
    unsigned char *copy = NULL;

    pthread_mutex_lock(&mutex);
    if (server->has_kept_secret)
        copy = apr_pmemdup(r->pool, server->kept_secret, ETV_SECRET_BYTES);
    pthread_mutex_unlock(&mutex);
    return copy;
}

/* Whether it is this request's turn to ask the store. */
static int is_due(etv_server_t *server)
{
    apr_int64_t now = etv_boottime_us(), next = atomic_load(&server->ask_secret_us);

    return now >= next &&
           atomic_compare_exchange_strong(&server->ask_secret_us, &next, now + ASK_AGAIN_US);
}

const unsigned char *etv_key_kept(request_rec *r)
{
    etv_server_t *server = etv_config_server(r->server);
    const unsigned char *known;
    etv_snapshot_t snapshot = {.now_us = r->request_time};

    if (!server->store)
        return NULL;
    known = recall(r, server);
    if (known && !is_due(server))
        return known;
    if (server->store->ops->lookup(server->store, r->pool, NULL, 0, &snapshot) != ETV_LOOKUP_OK ||
        !snapshot.secret)
        return known;
    remember(server, snapshot.secret);
    return apr_pmemdup(r->pool, snapshot.secret, ETV_SECRET_BYTES);
}

void etv_key_prepare(apr_pool_t *p, etv_server_t *server)
{
    const unsigned char *key = server->secret;
    unsigned char *secret;

    if (!key && etv_config_store_url(server)->kind == ETV_STORE_URL_LOCAL)
        key = etv_table_secret(etv_shared_table());
    server->fixed_key = key;
    if (!key)
        return;
    secret = apr_palloc(p, ETV_DIGEST_SECRET_BYTES);
    etv_digest_derive(secret, key);
    server->content_secret = secret;
}

const unsigned char *etv_key_derive_content(request_rec *r)
{
    const unsigned char *key = etv_key_of(r);
    unsigned char *secret;

    if (!key)
        return NULL;
    secret = apr_palloc(r->pool, ETV_DIGEST_SECRET_BYTES);
    etv_digest_derive(secret, key);
    return secret;
}
