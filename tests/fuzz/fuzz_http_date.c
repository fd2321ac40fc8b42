/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_fuzz.h"

#include <apr_date.h>
#include <apr_strings.h>

#include "core/http_date.h"

static int is_date(const char *text)
{
    etv_http_date_t date;
    int yes = etv_http_date_parse(text, &date);

    ETV_MUST(yes == 0 || yes == 1);
    return yes;
}

/* Nothing may stand around a date but OWS, and nothing may be missing. */
static void check_edges(const char *text)
{
    apr_pool_t *p = etv_fuzz_pool();
    size_t len = strlen(text);
    size_t last = len;

    ETV_MUST(is_date(apr_pstrcat(p, "\t ", text, " \t", NULL)) == is_date(text));
    if (!is_date(text)) {
        return;
    }
    ETV_MUST(len >= strlen("Sun Nov  6 08:49:37 1994"));
    ETV_MUST(!is_date(apr_pstrcat(p, text, "0", NULL)));
    ETV_MUST(!is_date(apr_pstrcat(p, text, ",", NULL)));
    ETV_MUST(!is_date(apr_pstrcat(p, ",", text, NULL)));
    ETV_MUST(!is_date(apr_pstrcat(p, text, ", ", text, NULL)));
    while (text[last - 1] == ' ' || text[last - 1] == '\t') {
        last--;
    }
    for (size_t i = 0; i < last; i++) {
        ETV_MUST(!is_date(apr_pstrndup(p, text, i)));
    }
}

static int sign(apr_int64_t number)
{
    return (number > 0) - (number < 0);
}

/* The order is that of APR's arithmetic, which knows no date before 1970 and no leap second. */
static void check_order(const char *a, const char *b)
{
    etv_http_date_t date_a, date_b;
    apr_time_t time_a, time_b;

    if (!etv_http_date_parse(a, &date_a) || !etv_http_date_parse(b, &date_b)) {
        return;
    }
    time_a = apr_date_parse_http(a);
    time_b = apr_date_parse_http(b);
    if (time_a == APR_DATE_BAD || time_b == APR_DATE_BAD || strstr(a, ":60") || strstr(b, ":60")) {
        return;
    }
    ETV_MUST(sign(date_a - date_b) == sign(time_a - time_b));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *a = etv_fuzz_line(&data, &size);
    char *b = etv_fuzz_line(&data, &size);

    if (a) {
        check_edges(a);
    }
    if (b) {
        check_edges(b);
        check_order(a, b);
    }
    ETV_MUST(!is_date(NULL));
    free(a);
    free(b);
    return 0;
}
