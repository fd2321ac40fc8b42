/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_fuzz.h"

#include <jansson.h>

#include "core/graphql_response.h"

/* Pieces of 1 to `most` bytes, of another size each time. */
static int is_clean(const uint8_t *data, size_t size, size_t most)
{
    etv_graphql_scan_t scan;
    size_t at = 0, n = 0;
    int goes_on = 1;

    etv_graphql_scan_init(&scan);
    while (at < size) {
        size_t len = 1 + (n++ * 7 + size) % most;
        char *exact;

        len = len < size - at ? len : size - at;
        exact = malloc(len);
        ETV_MUST(exact);
        memcpy(exact, data + at, len);
        ETV_MUST(goes_on >= etv_graphql_scan_feed(&scan, exact, len));
        goes_on = etv_graphql_scan_feed(&scan, exact, 0);
        free(exact);
        at += len;
    }
    ETV_MUST(goes_on || !etv_graphql_scan_is_clean(&scan));
    return etv_graphql_scan_is_clean(&scan);
}

static int has_errors(const json_t *object)
{
    const json_t *errors = json_object_get(object, "errors");

    if (!json_object_get(object, "data")) {
        return 1; /* no answer of GraphQL */
    }
    return errors && !json_is_null(errors) &&
           !(json_is_array(errors) && json_array_size(errors) == 0);
}

static int answer_has_errors(const json_t *root)
{
    int found = json_is_array(root) ? json_array_size(root) == 0 : has_errors(root);

    for (size_t i = 0; !found && i < json_array_size(root); i++) {
        found = has_errors(json_array_get(root, i));
    }
    return found;
}

/* Escapes in names, and more brackets than the scanner follows; where they stand is not looked at.
 * jansson takes a NUL behind a number for nothing. */
static int may_be_refused(const uint8_t *data, size_t size)
{
    size_t n = 0;

    if (memchr(data, '\\', size) || memchr(data, '\0', size)) {
        return 1;
    }
    for (size_t i = 0; i < size; i++) {
        n += data[i] == '[' || data[i] == '{';
    }
    return n > ETV_GRAPHQL_SCAN_DEPTH_MOST;
}

/* Pieces make no difference; and of what jansson takes for JSON both say the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int clean = is_clean(data, size, size ? size : 1);
    json_t *root = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);

    ETV_MUST(is_clean(data, size, 1) == clean);
    ETV_MUST(is_clean(data, size, 5) == clean);
    ETV_MUST(is_clean(data, size, 64) == clean);
    if (root && answer_has_errors(root)) {
        ETV_MUST(!clean);
    } else if (root && !may_be_refused(data, size)) {
        ETV_MUST(clean);
    }
    json_decref(root);
    return 0;
}
