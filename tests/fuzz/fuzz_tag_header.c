/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_fuzz.h"

#include "core/tag_header.h"

/* Nothing but what the first text says may stand in front, and no byte that means something. */
static void check(etv_tag_header_e kind, const char *present, const char *one, const char *other)
{
    apr_pool_t *p = etv_fuzz_pool();
    etv_tag_header_name_t names[] = {{one, strlen(one)}, {other, strlen(other)}};
    const char *value = etv_tag_header_value(p, kind, present, names, 2), *rest;

    if (!value)
        return;
    ETV_MUST(strncmp(value, present, strlen(present)) == 0);
    rest = value + strlen(present);
    for (const char *at = rest; *at; at++)
        ETV_MUST(*at == *etv_tag_header_separator(kind) ||
                 (*at > 0x20 && *at < 0x7f && *at != ','));
    ETV_MUST(rest == value + strlen(value) || strlen(value) <= etv_tag_header_most(kind));
    /* who has all names gets none again */
    ETV_MUST(etv_tag_header_value(p, kind, value, names, 2) == value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *present = etv_fuzz_line(&data, &size);
    char *one = etv_fuzz_line(&data, &size);
    char *other = etv_fuzz_line(&data, &size);

    for (int kind = 1; kind <= ETV_TAG_HEADER_KINDS; kind++)
        check((etv_tag_header_e)kind, present ? present : "", one ? one : "", other ? other : "");
    free(present);
    free(one);
    free(other);
    return 0;
}
