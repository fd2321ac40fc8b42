/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_fuzz.h"

#include "core/vary.h"

static int members(const char *field)
{
    const char *name;
    apr_size_t len;
    int n = 0;

    while (etv_vary_next(&field, &name, &len)) {
        ETV_MUST(len > 0 && !memchr(name, ',', len));
        ETV_MUST(!strchr(" \t", name[0]) && !strchr(" \t", name[len - 1]));
        n++;
    }
    return n;
}

/* Every member of `field` is in `all`. */
static void must_contain(apr_pool_t *p, const char *all, const char *field)
{
    const char *name;
    apr_size_t len;

    while (etv_vary_next(&field, &name, &len)) {
        char *text = apr_palloc(p, len + 1);

        memcpy(text, name, len);
        text[len] = '\0';
        ETV_MUST(etv_vary_has(all, text) || strcmp(text, "*") == 0);
    }
}

static void check(const char *a, const char *b)
{
    apr_pool_t *p = etv_fuzz_pool();
    const char *ab = etv_vary_union(p, a, b);
    const char *ba = etv_vary_union(p, b, a);

    ETV_MUST(etv_vary_same(a, a));
    ETV_MUST(etv_vary_same(a, b) == etv_vary_same(b, a));
    ETV_MUST(etv_vary_same(ab, ba));
    ETV_MUST(etv_fuzz_same(etv_vary_union(p, ab, ab), ab));
    ETV_MUST(etv_fuzz_same(etv_vary_union(p, ab, a), ab));
    ETV_MUST(!ab == (members(a) + members(b) == 0));
    if (etv_vary_has_any(a) || etv_vary_has_any(b)) {
        ETV_MUST(strcmp(ab, "*") == 0);
        return;
    }
    if (ab && strcmp(ab, "*") == 0) {
        ETV_MUST(members(a) + members(b) > ETV_VARY_MOST);
        return;
    }
    ETV_MUST(members(ab) <= members(a) + members(b));
    must_contain(p, ab, a);
    must_contain(p, ab, b);
    ETV_MUST(!etv_vary_same(a, b) || members(ab) <= members(a));
    ETV_MUST(!etv_vary_same(a, b) || etv_vary_same(ab, a));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *a = etv_fuzz_line(&data, &size);
    char *b = etv_fuzz_line(&data, &size);

    check(a, b);
    etv_vary_is_field_name(a);
    free(a);
    free(b);
    return 0;
}
