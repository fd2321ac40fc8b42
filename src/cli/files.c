/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <apr_strings.h>
#include <sodium/core.h>
#include <sodium/crypto_hash_sha256.h>
#include <sodium/utils.h>

#include "cli/cli.h"

#define DIGEST_BYTES crypto_hash_sha256_BYTES
#define SECRET_MOST  1024

/* What sha256sum prints, so that scripts which bump over HTTP can say the same.
 * @return 1 when all of it was read */
static int digest_all(FILE *file, unsigned char digest[DIGEST_BYTES])
{
    crypto_hash_sha256_state state;
    unsigned char buffer[65536];
    size_t n;

    if (sodium_init() < 0 || crypto_hash_sha256_init(&state) != 0) {
        return 0;
    }
    while ((n = fread(buffer, 1, sizeof(buffer), file)) > 0) {
        crypto_hash_sha256_update(&state, buffer, n);
    }
    crypto_hash_sha256_final(&state, digest);
    return !ferror(file);
}

const char *etv_cli_digest(apr_pool_t *p, const char *path)
{
    int is_input = strcmp(path, "-") == 0;
    unsigned char digest[DIGEST_BYTES];
    char hex[2 * DIGEST_BYTES + 1];
    FILE *file = is_input ? stdin : fopen(path, "rb");
    int done = file && digest_all(file, digest);

    if (!done) {
        etv_cli_say("%s cannot be read: %s", is_input ? "standard input" : path, strerror(errno));
    }
    if (file && !is_input) {
        fclose(file);
    }
    if (!done) {
        return NULL;
    }
    sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest));
    return apr_pstrdup(p, hex);
}

const char *etv_cli_secret(apr_pool_t *p, const char *path)
{
    char line[SECRET_MOST + 2];
    FILE *file = fopen(path, "r");
    const char *got = file ? fgets(line, sizeof(line), file) : NULL;

    if (!file) {
        etv_cli_say("%s cannot be read: %s", path, strerror(errno));
        return NULL;
    }
    fclose(file);
    line[got ? strcspn(line, "\r\n") : 0] = '\0';
    if (!*line || strlen(line) > SECRET_MOST) {
        etv_cli_say("%s must begin with a line of 1 to %d bytes", path, SECRET_MOST);
        return NULL;
    }
    return apr_pstrdup(p, line);
}
