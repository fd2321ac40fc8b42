/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_fuzz.h"

#include <apr_strings.h>

#include "core/cache_control.h"
#include "core/cache_directive.h"

/* Below this length no limit of directives or names can be reached. */
#define SHORT 200

static const char *const all_known[] = {
    "max-age",          "s-maxage",     "stale-while-revalidate",
    "stale-if-error",   "no-cache",     "private",
    "no-store",         "public",       "immutable",
    "must-revalidate",  "no-transform", "must-understand",
    "proxy-revalidate", "ext",          NULL};

static int has(const char *field, const char *name)
{
    return etv_cache_control_has(field, name);
}

/* The smallest value of a lifetime; -1 when absent. */
static apr_int64_t life(const char *field, etv_cache_directive_kind_e kind)
{
    etv_cache_directive_t d;
    apr_int64_t least = -1;

    while (field && etv_cache_directive_next(&field, &d)) {
        if (etv_cache_directive_kind(&d) == kind) {
            apr_int64_t n = etv_cache_directive_seconds(&d);

            n = n == ETV_CACHE_ABSENT ? 0 : n;
            least = least < 0 || n < least ? n : least;
        }
    }
    return least;
}

static void check_strict(const char *m, const char *side)
{
    static const char *const stay[] = {
        "no-store", "no-cache",         "private",  "must-revalidate", "no-transform",
        "max-age",  "proxy-revalidate", "s-maxage", "stale-if-error",  "ext",
        NULL};
    apr_int64_t shared = life(side, ETV_CACHE_S_MAXAGE);

    for (int i = 0; stay[i]; i++) {
        ETV_MUST(!has(side, stay[i]) || has(m, stay[i]));
    }
    ETV_MUST(!etv_cache_control_has_bare(side, "private") ||
             etv_cache_control_has_bare(m, "private"));
    ETV_MUST(!etv_cache_control_has_bare(side, "no-cache") ||
             etv_cache_control_has_bare(m, "no-cache"));
    for (int kind = 0; kind < ETV_CACHE_LIFETIMES; kind++) {
        apr_int64_t one = life(side, (etv_cache_directive_kind_e)kind);

        ETV_MUST(one < 0 || life(m, (etv_cache_directive_kind_e)kind) <= one);
    }
    /* no longer for shared caches either, which prefer s-maxage */
    shared = shared < 0 ? life(side, ETV_CACHE_MAX_AGE) : shared;
    ETV_MUST(shared < 0 || life(m, ETV_CACHE_S_MAXAGE) <= shared);
    /* a no-store stays one for caches that know must-understand */
    ETV_MUST(!has(side, "no-store") || has(side, "must-understand") || !has(m, "must-understand"));
}

static void check_merge(apr_pool_t *p, const char *a, const char *b)
{
    const char *ab = etv_cache_control_merge(p, a, b);
    const char *ba = etv_cache_control_merge(p, b, a);
    const char *normal = NULL, *wrong;

    ETV_MUST(!ab == !ba);
    ETV_MUST(etv_fuzz_same(etv_cache_control_merge(p, ab, ab), ab));
    ETV_MUST(etv_fuzz_same(etv_cache_control_merge(p, ab, NULL), ab));
    if (!ab || strlen(a) + strlen(b ? b : "") > SHORT) {
        return;
    }
    ETV_MUST(etv_fuzz_same(etv_cache_control_merge(p, ab, ba), ab));
    ETV_MUST(etv_fuzz_same(etv_cache_control_merge(p, ba, ab), ba));
    ETV_MUST(etv_fuzz_same(etv_cache_control_merge(p, ab, a), ab));
    ETV_MUST(etv_fuzz_same(etv_cache_control_merge(p, ab, b), ab));
    for (int i = 0; all_known[i]; i++) {
        ETV_MUST(has(ab, all_known[i]) == has(ba, all_known[i]));
        ETV_MUST(!has(ab, all_known[i]) || has(a, all_known[i]) || has(b, all_known[i]));
    }
    ETV_MUST(has(ab, "no-store") == (has(a, "no-store") || has(b, "no-store")));
    ETV_MUST(!has(ab, "public") || !has(ab, "private"));
    check_strict(ab, a);
    check_strict(ab, b);
    /* the result is well-formed, so a field line joined to it is read as it would be alone */
    wrong = etv_cache_control_check(p, ab, &normal);
    ETV_MUST(wrong ? strstr(wrong, "at most") != NULL : strcmp(normal, ab) == 0);
}

static void check_one(apr_pool_t *p, const char *a)
{
    const char *rest = etv_cache_control_without(p, a, all_known);
    const char *normal = NULL;

    for (int i = 0; all_known[i]; i++) {
        ETV_MUST(!has(rest, all_known[i]));
    }
    ETV_MUST(!rest || etv_cache_control_without(p, rest, all_known) == rest);
    /* nothing hides what another field line forbids */
    ETV_MUST(has(apr_pstrcat(p, a, ", no-store", NULL), "no-store"));
    ETV_MUST(has(apr_pstrcat(p, "no-store,", a, NULL), "no-store"));
    if (!etv_cache_control_check(p, a, &normal)) {
        const char *again = NULL;

        ETV_MUST(!etv_cache_control_check(p, normal, &again) && strcmp(normal, again) == 0);
        for (int i = 0; all_known[i]; i++) {
            ETV_MUST(has(a, all_known[i]) == has(normal, all_known[i]));
        }
        for (const char *c = normal; *c; c++) {
            ETV_MUST((unsigned char)*c >= 0x20 || *c == '\t');
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *a = etv_fuzz_line(&data, &size);
    char *b = etv_fuzz_line(&data, &size);

    if (a) {
        apr_pool_t *p = etv_fuzz_pool();

        check_one(p, a);
        check_merge(p, a, b);
    }
    free(a);
    free(b);
    return 0;
}
