/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a search came across. A model that holds because nothing happens in it proves nothing, so
 * each names what must happen in some run of it; SEEN costs no state. Printed when the search ends,
 * as "seen: hit 12, takeover 3"; scripts/model.sh wants no 0 there where the model holds.
 * `seen_names`, which ends with 0, comes before this.
 */
#ifndef ETV_MODEL_SEEN_H
#define ETV_MODEL_SEEN_H

#include <stdio.h>
#include <stdlib.h>

#define SEEN_MOST 24

static unsigned long seen_times[SEEN_MOST];

static void seen_say(void)
{
    const char *between = "seen: ";
    int i;

    for (i = 0; seen_names[i]; i++, between = ", ") {
        printf("%s%s %lu", between, seen_names[i], seen_times[i]);
    }
    printf("\n");
}

static void seen(int what)
{
    static int hooked;

    if (!hooked) {
        hooked = 1;
        atexit(seen_say);
    }
    seen_times[what]++;
}

#endif
