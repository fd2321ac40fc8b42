/* SPDX-License-Identifier: Apache-2.0 */
/** The output filter that holds a response back, hashes it, and gives it a content tag. */
#ifndef ETV_HTTPD_CONTENT_H
#define ETV_HTTPD_CONTENT_H

#include <httpd.h>

/** Register the filter; once, with the hooks. */
void etv_content_register(void);

/** Put it into the chain, before the encoders; from the handler hook. */
void etv_content_insert(request_rec *r);

#endif
