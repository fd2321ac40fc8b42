/* SPDX-License-Identifier: Apache-2.0 */
#include "core/event_stream.h"
#include "etv_fuzz.h"

/* An id that is read is the one that would be written, but for zeros in front of the number. */
static void check_id(const char *text)
{
    apr_uint64_t nonce, number;
    char id[ETV_EVENT_ID_ROOM];

    if (!etv_event_id_read(text, &nonce, &number))
        return;
    etv_event_id_write(id, nonce, number);
    ETV_MUST(strncmp(id, text, 17) == 0);
    ETV_MUST(strlen(id) <= strlen(text));
    ETV_MUST(number == 0 || strcmp(id + 17, text + strlen(text) - strlen(id + 17)) == 0);
}

/* One line, one string: nothing in a name ends either. */
static void check_quoted(const char *name, apr_size_t len)
{
    char *out = malloc(ETV_EVENT_QUOTED_ROOM(len));
    apr_size_t n;

    ETV_MUST(out);
    n = etv_event_quote(out, name, len);
    ETV_MUST(n == strlen(out) && n >= 2 && out[0] == '"' && out[n - 1] == '"');
    for (apr_size_t i = 1; i < n - 1; i++) {
        ETV_MUST((unsigned char)out[i] >= 0x20 && out[i] != 0x7f && out[i] != '"');
        if (out[i] == '\\') {
            i++;
            ETV_MUST(i < n - 1 && strchr("\"\\u", out[i]));
        }
    }
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text;

    check_quoted((const char *)data, size);
    while ((text = etv_fuzz_line(&data, &size))) {
        check_id(text);
        check_quoted(text, strlen(text));
        free(text);
    }
    return 0;
}
