/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_fuzz.h"

#include <apr_strings.h>

#include "core/duration.h"

#define MOST_MS (APR_INT64_C(3650) * 86400 * 1000)

static void check(const char *text)
{
    apr_interval_time_t us = -7, again = -7;
    char *ms;

    if (!etv_duration_parse(text, &us)) {
        ETV_MUST(us == -7);
        return;
    }
    ETV_MUST(us >= 0 && us <= MOST_MS * 1000 && us % 1000 == 0);
    ETV_MUST(strspn(text, "0123456789") > 0);
    ETV_MUST(strspn(text, "0123456789mshd") == strlen(text));
    /* written in milliseconds it is the same */
    ms = apr_psprintf(etv_fuzz_pool(), "%" APR_INT64_T_FMT "ms", us / 1000);
    ETV_MUST(etv_duration_parse(ms, &again) && again == us);
    /* a zero in front changes nothing */
    ETV_MUST(etv_duration_parse(apr_pstrcat(etv_fuzz_pool(), "0", text, NULL), &again));
    ETV_MUST(again == us);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text;

    while ((text = etv_fuzz_line(&data, &size))) {
        check(text);
        free(text);
    }
    return 0;
}
