/* SPDX-License-Identifier: Apache-2.0 */
/** The keys of content and header tags, which need no lookup of versions. */
#ifndef ETV_HTTPD_KEY_H
#define ETV_HTTPD_KEY_H

#include <httpd.h>

#include "httpd/config.h"

/** In a child: derive the secret for body digests once, where it cannot change. */
void etv_key_prepare(apr_pool_t *p, etv_server_t *server);

/** As etv_key_of, where it is kept by the store. */
const unsigned char *etv_key_kept(request_rec *r);

/**
 * The key for tags of a request's server: ETagVersionSecret, or what its store keeps. Redis is
 * asked at most once a minute and process.
 * @return ETV_HASH_KEY_BYTES in the request's pool or longer; NULL when none is known yet
 */
static inline const unsigned char *etv_key_of(request_rec *r)
{
    const unsigned char *fixed = etv_config_server(r->server)->fixed_key;

    return fixed ? fixed : etv_key_kept(r);
}

/** As etv_key_of_content, where it was not derived before. */
const unsigned char *etv_key_derive_content(request_rec *r);

/** The secret for body digests, ETV_DIGEST_SECRET_BYTES in the request's pool; NULL as above. */
static inline const unsigned char *etv_key_of_content(request_rec *r)
{
    const unsigned char *prepared = etv_config_server(r->server)->content_secret;

    return prepared ? prepared : etv_key_derive_content(r);
}

#endif
