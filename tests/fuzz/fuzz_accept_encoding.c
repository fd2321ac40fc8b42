/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_fuzz.h"

#include <apr_strings.h>

#include "core/accept_encoding.h"

static int allows(const char *field, const char *coding)
{
    return etv_accept_encoding_allows(field, coding, strlen(coding));
}

/* The input is a coding in the first line, a field in the second. */
static void check(const char *coding, const char *field)
{
    apr_pool_t *p = etv_fuzz_pool();
    int yes = allows(field, coding);

    ETV_MUST(yes == 0 || yes == 1);
    ETV_MUST(!allows(NULL, coding));
    ETV_MUST(!allows(field, ""));
    ETV_MUST(!allows(field, apr_pstrcat(p, coding, "+", NULL)));
    ETV_MUST(allows(field, apr_pstrcat(p, coding, "+", coding, NULL)) == yes);
    ETV_MUST(allows(field, apr_pstrcat(p, "br+", coding, NULL)) == (yes && allows(field, "br")));
    /* x-gzip is gzip */
    ETV_MUST(allows(field, "x-gzip") == allows(field, "gzip"));
    /* a refusal counts wherever it stands; what is not there before changes nothing */
    ETV_MUST(!allows(apr_pstrcat(p, field, ", gzip;q=0", NULL), "gzip"));
    ETV_MUST(!allows(apr_pstrcat(p, "gzip;q=0.000 , ", field, NULL), "X-GZIP"));
    ETV_MUST(allows(apr_pstrcat(p, field, ",", NULL), coding) == yes);
    ETV_MUST(allows(apr_pstrcat(p, " ,, ", field, NULL), coding) == yes);
    /* nothing accepts what it does not name */
    if (!strchr(field, '*') && !strchr(coding, '+') && strcasecmp(coding, "identity") != 0 && yes) {
        ETV_MUST(strcasestr(field, strncasecmp(coding, "x-", 2) == 0 ? coding + 2 : coding));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *coding = etv_fuzz_line(&data, &size);
    char *field = etv_fuzz_line(&data, &size);

    if (coding && field && strlen(coding) <= 128) {
        check(coding, field);
    }
    free(coding);
    free(field);
    return 0;
}
