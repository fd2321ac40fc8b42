/* SPDX-License-Identifier: Apache-2.0 */
/** The output filter that takes the header of ETagVersionModelsHeader away. */
#ifndef ETV_HTTPD_STRIP_H
#define ETV_HTTPD_STRIP_H

#include <httpd.h>

/** Register the filter; once, with the hooks. */
void etv_strip_register(void);

/** Put it into the chain, where the header is trusted in this place or in one that redirected here;
 *  when all other filters that could set the header are in. */
void etv_strip_insert(request_rec *r);

#endif
