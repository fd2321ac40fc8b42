/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_fuzz.h"

#include "core/admin_request.h"
#include "core/model_name.h"

static void check_request(const etv_admin_request_t *request)
{
    ETV_MUST(request->n >= 0 && request->n <= ETV_ADMIN_BUMPS_MOST);
    for (int i = 0; i < request->n; i++) {
        const etv_admin_bump_t *bump = request->bumps + i;

        ETV_MUST(strlen(bump->model) == bump->model_len);
        ETV_MUST(etv_model_name_is_right(bump->model, bump->model_len));
        ETV_MUST(!bump->digest || (*bump->digest && strlen(bump->digest) <= ETV_ADMIN_DIGEST_MOST));
        for (const char *c = bump->digest; c && *c; c++) {
            ETV_MUST(*c > ' ' && *c <= '~');
        }
        for (int j = 0; j < i; j++) {
            ETV_MUST(strcmp(bump->model, request->bumps[j].model) != 0);
        }
    }
}

/* The first byte chooses the notation: f, j, or both, the query up to the first newline. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = etv_fuzz_pool();
    static etv_admin_request_t request;
    const char *wrong = NULL;
    uint8_t kind = size ? data[0] : 0;
    const uint8_t *rest = data + (size ? 1 : 0);
    size_t left = size ? size - 1 : 0;
    char *exact;

    memset(&request, 0, sizeof(request));
    if (kind != 'f' && kind != 'j') {
        char *query = etv_fuzz_line(&rest, &left);

        wrong = query ? etv_admin_request_form(p, &request, query, strlen(query)) : NULL;
        free(query);
    }
    exact = malloc(left ? left : 1);
    ETV_MUST(exact);
    memcpy(exact, rest, left);
    if (!wrong) {
        wrong = (kind == 'f' ? etv_admin_request_form : etv_admin_request_json)(p, &request, exact,
                                                                                left);
    }
    ETV_MUST(!wrong || (*wrong && strlen(wrong) < 200));
    if (!wrong) {
        check_request(&request);
    }
    free(exact);
    return 0;
}
