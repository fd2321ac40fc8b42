/* SPDX-License-Identifier: Apache-2.0 */
#include "core/accept_encoding.h"

#include <string.h>

#include "core/http_text.h"

/* What a field says about one coding. */
typedef enum { UNSAID, ACCEPTED, REFUSED } verdict_e;

/* §8.4.1.1, §8.4.1.3: recipients treat x-gzip and x-compress as gzip and compress. */
static void without_alias(const char **name, apr_size_t *len)
{
    if (etv_http_text_same_name(*name, *len, "x-gzip", 6) ||
        etv_http_text_same_name(*name, *len, "x-compress", 10)) {
        *name += 2;
        *len -= 2;
    }
}

/**
 * Read what follows a coding's name up to the end of the member: nothing or one weight, §12.4.2.
 * @return 1 when the weight is more than 0; 0 when it is 0 or this is not the grammar
 */
static int weight_accepts(const char *at)
{
    int zero, digits = 0;

    at = etv_http_text_skip_ows(at);
    if (*at == ',' || *at == '\0') {
        return 1;
    }
    if (*at != ';') {
        return 0;
    }
    at = etv_http_text_skip_ows(at + 1);
    if ((*at != 'q' && *at != 'Q') || at[1] != '=' || (at[2] != '0' && at[2] != '1')) {
        return 0;
    }
    zero = at[2] == '0';
    at += 3;
    if (*at == '.') {
        int any = 0;

        for (at++; *at >= '0' && *at <= '9' && digits < 3; at++, digits++) {
            any |= *at != '0';
        }
        if (any && !zero) {
            return 0; /* qvalue: at most 1.000 */
        }
        zero = zero && !any;
    }
    at = etv_http_text_skip_ows(at);
    return !zero && (*at == ',' || *at == '\0');
}

static verdict_e join(verdict_e so_far, int accepts)
{
    return so_far == REFUSED || !accepts ? REFUSED : ACCEPTED;
}

static int allows_one(const char *field, const char *coding, apr_size_t len)
{
    verdict_e named = UNSAID, others = UNSAID;

    without_alias(&coding, &len);
    while (*field) {
        const char *name;
        apr_size_t name_len;

        while (*field == ',' || etv_http_text_is_ows(*field)) {
            field++;
        }
        name = field;
        while (etv_http_text_is_tchar(*field)) {
            field++;
        }
        name_len = (apr_size_t)(field - name);
        if (name_len == 1 && *name == '*') {
            others = join(others, weight_accepts(field));
        } else {
            without_alias(&name, &name_len);
            if (etv_http_text_same_name(name, name_len, coding, len)) {
                named = join(named, weight_accepts(field));
            }
        }
        field += strcspn(field, ",");
    }
    if (named != UNSAID) {
        return named == ACCEPTED;
    }
    /* §12.5.3 item 2: identity needs to be refused to be unacceptable; others to be accepted. */
    if (etv_http_text_same_name(coding, len, "identity", 8)) {
        return others != REFUSED;
    }
    return others == ACCEPTED;
}

int etv_accept_encoding_allows(const char *field, const char *coding, apr_size_t coding_len)
{
    const char *end = coding + coding_len;

    if (!field) {
        return 0;
    }
    for (int part = 0; part < ETV_CODINGS_MOST; part++) {
        const char *plus = memchr(coding, '+', (apr_size_t)(end - coding));
        const char *part_end = plus ? plus : end;

        if (part_end == coding || !allows_one(field, coding, (apr_size_t)(part_end - coding))) {
            return 0;
        }
        if (!plus) {
            return 1;
        }
        coding = plus + 1;
    }
    return 0;
}
