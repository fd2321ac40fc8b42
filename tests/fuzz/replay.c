/* SPDX-License-Identifier: Apache-2.0 */
/* A main for fuzz targets: runs each file of the given files and folders once. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path, long size)
{
    /* malloc of the exact size, for the sanitizers */
    uint8_t *data = malloc(size ? (size_t)size : 1);
    FILE *file = fopen(path, "rb");
    int ok = data && file && fread(data, 1, (size_t)size, file) == (size_t)size;

    if (ok) {
        LLVMFuzzerTestOneInput(data, (size_t)size);
    } else {
        perror(path);
    }
    if (file) {
        fclose(file);
    }
    free(data);
    return ok;
}

/* How many files were run; -1 when one could not be read. */
static int replay(const char *path)
{
    struct stat st;
    DIR *folder;
    int count = 0;

    if (stat(path, &st) != 0) {
        perror(path);
        return -1;
    }
    if (S_ISREG(st.st_mode)) {
        return replay_file(path, (long)st.st_size) ? 1 : -1;
    }
    if (!S_ISDIR(st.st_mode) || !(folder = opendir(path))) {
        return 0;
    }
    for (struct dirent *entry; count >= 0 && (entry = readdir(folder));) {
        char inner[4096];
        int n = 0;

        if (entry->d_name[0] == '.') {
            continue;
        }
        if (snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name) < (int)sizeof(inner)) {
            n = replay(inner);
        }
        count = n < 0 ? -1 : count + n;
    }
    closedir(folder);
    return count;
}

int main(int argc, char **argv)
{
    int total = 0;

    for (int i = 1; i < argc; i++) {
        int n = replay(argv[i]);

        if (n < 0) {
            return EXIT_FAILURE;
        }
        total += n;
    }
    printf("%s: %d inputs\n", argv[0], total);
    return total > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
