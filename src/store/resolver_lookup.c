/* SPDX-License-Identifier: Apache-2.0 */
#include "store/resolver_lookup.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>

static int look_up(const char *host, apr_port_t port, int flags, etv_redis_addr_t *addrs,
                   int *error)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    struct addrinfo *list = NULL;
    char service[8];
    int n = 0;

    snprintf(service, sizeof(service), "%u", (unsigned)port);
    *error = getaddrinfo(host, service, &hints, &list);
    if (*error) {
        return 0;
    }
    for (struct addrinfo *i = list; i && n < ETV_RESOLVER_MOST; i = i->ai_next) {
        if (i->ai_addrlen <= sizeof(addrs[n].addr)) {
            memcpy(&addrs[n].addr, i->ai_addr, i->ai_addrlen);
            addrs[n++].len = i->ai_addrlen;
        }
    }
    freeaddrinfo(list);
    return n;
}

int etv_resolver_lookup_number(const char *host, apr_port_t port, etv_redis_addr_t *addrs,
                               int *error)
{
    return look_up(host, port, AI_NUMERICHOST | AI_NUMERICSERV, addrs, error);
}

int etv_resolver_lookup_name(const char *host, apr_port_t port, etv_redis_addr_t *addrs, int *error)
{
    return look_up(host, port, AI_ADDRCONFIG | AI_NUMERICSERV, addrs, error);
}
