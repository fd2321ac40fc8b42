/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_fuzz.h"

#include <apr_strings.h>

#include "core/store_url.h"

#define SECRET "zqSECRETqz"

static void check_sentinels(const etv_store_url_t *url, const etv_store_url_t *again)
{
    ETV_MUST((url->kind == ETV_STORE_URL_REDIS_SENTINEL) == (url->master != NULL));
    ETV_MUST((url->kind == ETV_STORE_URL_REDIS_SENTINEL) == (url->sentinels != NULL));
    ETV_MUST((url->kind == ETV_STORE_URL_REDIS_SENTINEL) == (url->n_sentinels > 0));
    ETV_MUST(url->n_sentinels <= ETV_STORE_URL_SENTINELS_MOST);
    ETV_MUST(!url->master || (*url->master && strlen(url->master) <= 128));
    ETV_MUST(again->n_sentinels == url->n_sentinels);
    ETV_MUST(etv_fuzz_same(again->master, url->master));
    for (int i = 0; i < url->n_sentinels; i++) {
        ETV_MUST(*url->sentinels[i].host && url->sentinels[i].port != 0);
        ETV_MUST(strcmp(again->sentinels[i].host, url->sentinels[i].host) == 0);
        ETV_MUST(again->sentinels[i].port == url->sentinels[i].port);
    }
}

static void check_right(apr_pool_t *p, const etv_store_url_t *url)
{
    etv_store_url_t again;

    ETV_MUST(url->db >= 0 && url->db <= 999999);
    ETV_MUST((url->kind == ETV_STORE_URL_REDIS_TCP) == (url->host != NULL));
    ETV_MUST((url->kind == ETV_STORE_URL_REDIS_UNIX) == (url->path != NULL));
    ETV_MUST(!url->host || (*url->host && url->port != 0));
    ETV_MUST(!url->path || (*url->path == '/' && strlen(url->path) <= 107));
    ETV_MUST(!url->tls || url->kind == ETV_STORE_URL_REDIS_TCP);
    ETV_MUST(url->tls || (!url->ca && !url->cert && !url->key));
    ETV_MUST(!url->cert == !url->key);
    ETV_MUST(!url->ca || *url->ca == '/');
    ETV_MUST(!url->cert || (*url->cert == '/' && *url->key == '/'));
    ETV_MUST(!url->user || *url->user);
    ETV_MUST(!url->password || *url->password);
    for (const char *c = url->canonical; *c; c++) {
        ETV_MUST(*c > ' ' && *c < 0x7f && *c != '@');
    }
    /* the canonical form is the same address, without credentials, and its own canonical form */
    ETV_MUST(!etv_store_url_parse(p, url->canonical, &again));
    ETV_MUST(again.kind == url->kind && again.port == url->port && again.db == url->db);
    ETV_MUST(etv_fuzz_same(again.host, url->host) && etv_fuzz_same(again.path, url->path));
    ETV_MUST(!again.user && !again.password && again.tls == url->tls);
    check_sentinels(url, &again);
    ETV_MUST(strcmp(again.canonical, url->canonical) == 0);
    ETV_MUST(strcmp(etv_store_url_redact(p, url->canonical), url->canonical) == 0);
}

static void check(apr_pool_t *p, const char *text, const char *secret)
{
    etv_store_url_t url;
    const char *error = etv_store_url_parse(p, text, &url);
    const char *redacted = etv_store_url_redact(p, text);

    ETV_MUST(!secret || !strstr(redacted, secret));
    if (error) {
        ETV_MUST(strstr(error, "accepted are"));
        ETV_MUST(!secret || !strstr(error, secret));
        return;
    }
    ETV_MUST(!secret || !strstr(url.canonical, secret));
    check_right(p, &url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const before[] = {"redis://:" SECRET,          "redis://user:" SECRET,
                                         "redis+unix://:" SECRET,     "rediss://:" SECRET,
                                         "redis+sentinel://:" SECRET, "redis+sentinel://u:" SECRET};
    apr_pool_t *p = etv_fuzz_pool();
    char *text = etv_fuzz_line(&data, &size);

    if (text) {
        check(p, text, NULL);
        for (size_t i = 0; i < sizeof(before) / sizeof(before[0]) && !strstr(text, SECRET); i++) {
            check(p, apr_pstrcat(p, before[i], text, NULL), SECRET);
        }
    }
    free(text);
    return 0;
}
