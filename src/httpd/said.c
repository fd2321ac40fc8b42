/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/said.h"

#include <apr_strings.h>

const char *etv_said_take(request_rec *r, const char *name, apr_pool_t *p)
{
    apr_table_t *const tables[] = {r->err_headers_out, r->headers_out};
    const char *all = NULL;

    for (int i = 0; i < 2; i++) {
        const char *lines;

        if (apr_is_empty_table(tables[i]) || !apr_table_get(tables[i], name))
            continue;
        lines = apr_table_getm(p, tables[i], name);
        apr_table_unset(tables[i], name);
        all = all ? apr_pstrcat(p, all, ",", lines, NULL) : lines;
    }
    return all;
}
