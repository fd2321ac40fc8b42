/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/coverage.h"

#include <apr_strings.h>

#include "core/vary.h"
#include "httpd/log.h"

/* Says what to add, once a minute and child: every such response goes without a tag. */
static void log_vary(request_rec *r, const char *name)
{
    static apr_uint32_t next;
    int level = etv_log_is_due(&next) ? APLOG_WARNING : APLOG_DEBUG;

    ap_log_rerror(APLOG_MARK, level, 0, r,
                  "ETV0330: no version tag: the response varies on %s; add it with "
                  "\"ETagVersionVary +%s\", or for Cookie and Authorization with "
                  "ETagVersionIdentity",
                  name, name);
}

int etv_coverage_of_vary(request_rec *r, const etv_request_t *request, const char *vary)
{
    const char *cursor = vary, *name, *ours = etv_request_vary(request, r->pool);
    apr_size_t len;

    while (etv_vary_next(&cursor, &name, &len)) {
        const char *header = apr_pstrmemdup(r->pool, name, len);
        int credential =
            ap_cstr_casecmp(header, "Cookie") == 0 || ap_cstr_casecmp(header, "Authorization") == 0;

        if (ap_cstr_casecmp(header, "Accept-Encoding") == 0 || ap_cstr_casecmp(header, "Host") == 0)
            continue;
        if (etv_identity_covers_header(&request->identity, r, header) && credential)
            continue;
        if (!credential && etv_vary_has(ours, header))
            continue;
        log_vary(r, header);
        return 0;
    }
    return 1;
}
