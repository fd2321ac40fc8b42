/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_fuzz.h"

#include <strings.h>

#include "core/field_set.h"

#define DATE (APR_TIME_C(784111777) * APR_USEC_PER_SEC)

/* A text that was read is written again as it was, whatever order its lines have. */
static void check_text(apr_pool_t *p, const char *text, size_t size)
{
    etv_field_set_field_t fields[ETV_FIELD_SET_FIELDS_MOST];
    int n = etv_field_set_read(p, text, size, DATE, fields);

    ETV_MUST(n >= 0 && n <= ETV_FIELD_SET_FIELDS_MOST);
    for (int i = 0; i < n; i++) {
        ETV_MUST(fields[i].name && *fields[i].name && fields[i].value);
        ETV_MUST(!strpbrk(fields[i].name, ": \r\n") && !strpbrk(fields[i].value, "\r\n"));
    }
}

/* Fields as a response might have them: what was written comes back. */
static void check_fields(apr_pool_t *p, const uint8_t *data, size_t size)
{
    static const char *const names[] = {"Cache-Control", "Expires", "Vary", "Surrogate-Key"};
    etv_field_set_field_t fields[4], again[ETV_FIELD_SET_FIELDS_MOST];
    char *lines[4] = {NULL};
    const char *text;
    apr_size_t len;
    int n, at = 0;

    for (int i = 0; i < 4; i++) {
        lines[i] = etv_fuzz_line(&data, &size);
        fields[i].name = names[i];
        fields[i].value = lines[i] && strcmp(lines[i], "-") != 0 ? lines[i] : NULL;
    }
    len = etv_field_set_write(p, fields, 4, DATE, &text);
    if (len) {
        ETV_MUST(len <= ETV_FIELD_SET_MOST && strlen(text) == len);
        n = etv_field_set_read(p, text, len, DATE, again);
        ETV_MUST(n > 0);
        for (int i = 0; i < 4; i++) {
            if (!fields[i].value)
                continue;
            ETV_MUST(at < n && strcmp(again[at].name, fields[i].name) == 0);
            ETV_MUST(i == 1 || strcmp(again[at].value, fields[i].value) == 0);
            at++;
        }
        ETV_MUST(at == n);
    }
    for (int i = 0; i < 4; i++)
        free(lines[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = etv_fuzz_pool();
    char *text = malloc(size ? size : 1);

    ETV_MUST(text);
    if (size)
        memcpy(text, data, size);
    check_text(p, text, size);
    check_fields(p, data, size);
    free(text);
    return 0;
}
