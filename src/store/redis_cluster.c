/* SPDX-License-Identifier: Apache-2.0 */
#include "store/redis_cluster.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "store/boottime.h"

/** Between two host names that are followed. */
#define NAMES_GAP_US 1000000

#define PORT_MOST 65535

int etv_redis_cluster_tagged(const char *prefix)
{
    const char *open = strchr(prefix, '{');
    const char *close = open ? strchr(open, '}') : NULL;

    return close && close > open + 1;
}

apr_status_t etv_redis_cluster_init(etv_redis_cluster_t *cluster)
{
    memset(cluster, 0, sizeof(*cluster));
    return pthread_mutex_init(&cluster->lock, NULL);
}

void etv_redis_cluster_release(etv_cluster_node_t *node)
{
    if (node && atomic_fetch_sub(&node->refs, 1) == 1) {
        etv_resolver_destroy(node->resolver);
        free(node);
    }
}

void etv_redis_cluster_destroy(etv_redis_cluster_t *cluster)
{
    if (pthread_mutex_trylock(&cluster->lock) == 0) {
        etv_redis_cluster_release(cluster->node);
        cluster->node = NULL;
        pthread_mutex_unlock(&cluster->lock);
    }
}

etv_cluster_node_t *etv_redis_cluster_node(etv_redis_cluster_t *cluster)
{
    etv_cluster_node_t *node;

    pthread_mutex_lock(&cluster->lock);
    node = cluster->node;
    if (node) {
        atomic_fetch_add(&node->refs, 1);
    }
    pthread_mutex_unlock(&cluster->lock);
    return node;
}

/** Put another node, or none, in the place of the one that is remembered. */
static void replace(etv_redis_cluster_t *cluster, etv_cluster_node_t *node)
{
    etv_cluster_node_t *before;

    pthread_mutex_lock(&cluster->lock);
    before = cluster->node;
    cluster->node = node;
    if (node) {
        cluster->serials += cluster->serials + 1 ? 1 : 2;
        node->serial = cluster->serials;
    }
    pthread_mutex_unlock(&cluster->lock);
    etv_redis_cluster_release(before);
}

void etv_redis_cluster_forget(etv_redis_cluster_t *cluster, unsigned serial)
{
    etv_cluster_node_t *node = NULL;

    pthread_mutex_lock(&cluster->lock);
    if (serial && cluster->node && cluster->node->serial == serial) {
        node = cluster->node;
        cluster->node = NULL;
    }
    pthread_mutex_unlock(&cluster->lock);
    etv_redis_cluster_release(node);
}

void etv_redis_cluster_unreachable(etv_redis_cluster_t *cluster, const etv_cluster_node_t *node)
{
    pthread_mutex_lock(&cluster->lock);
    memcpy(cluster->down_host, node->host, sizeof(node->host));
    cluster->down_port = node->port;
    cluster->down_us = etv_boottime_us();
    pthread_mutex_unlock(&cluster->lock);
    etv_redis_cluster_forget(cluster, node->serial);
}

/* --- MOVED --- */

/** The host, in numbers, of whoever sent the reply. @return 0 when it has none */
static int host_of(const etv_redis_addr_t *from, char *host, size_t room)
{
    return (from->addr.ss_family == AF_INET || from->addr.ss_family == AF_INET6) &&
           getnameinfo((const struct sockaddr *)&from->addr, from->len, host, (socklen_t)room, NULL,
                       0, NI_NUMERICHOST) == 0;
}

/** @return the port, or 0 */
static apr_port_t port_of(const char *text)
{
    long port = 0;

    for (; *text >= '0' && *text <= '9' && port <= PORT_MOST; text++) {
        port = port * 10 + (*text - '0');
    }
    return *text || port > PORT_MOST ? 0 : (apr_port_t)port;
}

/** Take the address out of the reply. An IPv6 address stands without brackets. @return 0: none */
static int parse(const char *error, const etv_redis_addr_t *from, char *host, size_t room,
                 apr_port_t *port)
{
    static const char moved[] = "MOVED ";
    const char *address, *colon;
    size_t len;

    if (strncmp(error, moved, sizeof(moved) - 1) != 0 ||
        !(address = strchr(error + sizeof(moved) - 1, ' ')) || !(colon = strrchr(++address, ':')) ||
        !(*port = port_of(colon + 1))) {
        return 0;
    }
    len = (size_t)(colon - address);
    if (!len) {
        return host_of(from, host, room);
    }
    if (len >= room || strspn(address, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                       "0123456789-._:") < len) {
        return 0; /* "?" stands for a node that was told to name itself and cannot */
    }
    memcpy(host, address, len);
    host[len] = '\0';
    return 1;
}

static int is_current(etv_redis_cluster_t *cluster, const char *host, apr_port_t port)
{
    etv_cluster_node_t *node = etv_redis_cluster_node(cluster);
    int is = node && node->port == port && strcmp(node->host, host) == 0;

    etv_redis_cluster_release(node);
    return is;
}

static int is_down(etv_redis_cluster_t *cluster, const char *host, apr_port_t port)
{
    int is;

    pthread_mutex_lock(&cluster->lock);
    is = cluster->down_port == port && strcmp(cluster->down_host, host) == 0 &&
         etv_boottime_us() - cluster->down_us < ETV_CLUSTER_DOWN_US;
    pthread_mutex_unlock(&cluster->lock);
    return is;
}

/** Each name is resolved by a thread of its own: nodes that keep inventing names must not make many
 * of them. */
static int is_too_soon(etv_redis_cluster_t *cluster, const char *host, apr_port_t port)
{
    etv_redis_addr_t addrs[ETV_RESOLVER_MOST];
    apr_time_t now = etv_boottime_us();
    int error;
    int is;

    if (etv_resolver_lookup_number(host, port, addrs, &error)) {
        return 0;
    }
    pthread_mutex_lock(&cluster->lock);
    is = cluster->named_us && now - cluster->named_us < NAMES_GAP_US;
    if (!is) {
        cluster->named_us = now;
    }
    pthread_mutex_unlock(&cluster->lock);
    return is;
}

etv_cluster_e etv_redis_cluster_follow(etv_redis_cluster_t *cluster, const char *error,
                                       const etv_redis_addr_t *from)
{
    etv_cluster_node_t *node = calloc(1, sizeof(*node));
    etv_store_url_t url = {.kind = ETV_STORE_URL_REDIS_TCP};

    if (!node || !parse(error, from, node->host, sizeof(node->host), &node->port)) {
        free(node);
        return ETV_CLUSTER_ASTRAY;
    }
    if (is_down(cluster, node->host, node->port)) {
        free(node);
        return ETV_CLUSTER_DOWN;
    }
    if (is_current(cluster, node->host, node->port)) { /* another thread was told before */
        free(node);
        return ETV_CLUSTER_FOLLOWS;
    }
    if (is_too_soon(cluster, node->host, node->port)) {
        free(node);
        return ETV_CLUSTER_DOWN;
    }
    atomic_init(&node->refs, 1);
    url.host = node->host;
    url.port = node->port;
    if (etv_resolver_create(&url, NULL, &node->resolver)) {
        free(node);
        return ETV_CLUSTER_ASTRAY;
    }
    replace(cluster, node);
    return ETV_CLUSTER_FOLLOWS;
}
