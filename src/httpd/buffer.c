/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/buffer.h"

#include "core/blocks.h"

void etv_buffer_init(etv_buffer_t *buffer, request_rec *r, etv_digest_t *digest, apr_off_t most)
{
    buffer->held = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    buffer->open = NULL;
    buffer->room = 0;
    buffer->length = 0;
    buffer->most = most;
    buffer->digest = digest;
}

/* Reading a file's bucket turns it into what was read, and sendfile is lost: read a copy, which is
 * cut into pieces that are gone as soon as they are hashed. */
apr_status_t etv_buffer_hash_file(etv_digest_t *digest, apr_bucket *b)
{
    apr_bucket_brigade *copies;
    apr_bucket *copy;
    apr_status_t rv = apr_bucket_copy(b, &copy);

    if (rv != APR_SUCCESS)
        return rv;
    copies = apr_brigade_create(((apr_bucket_file *)b->data)->readpool, b->list);
    APR_BRIGADE_INSERT_TAIL(copies, copy);
    while (rv == APR_SUCCESS && !APR_BRIGADE_EMPTY(copies)) {
        const char *data;
        apr_size_t len;

        copy = APR_BRIGADE_FIRST(copies);
        rv = apr_bucket_read(copy, &data, &len, APR_BLOCK_READ);
        if (rv == APR_SUCCESS)
            etv_digest_update(digest, data, len);
        apr_bucket_delete(copy);
    }
    apr_brigade_destroy(copies);
    return rv;
}

/* A block for at least some of the bytes that are expected; the first ones are small. */
static int open_block(etv_buffer_t *buffer, apr_size_t expected)
{
    int large = buffer->length > 0 || expected > ETV_BLOCKS_SMALL;
    void *block = etv_blocks_get(large, &buffer->room);

    if (!block && large)
        block = etv_blocks_get(0, &buffer->room);
    if (!block)
        return 0;
    buffer->open =
        apr_bucket_heap_create(block, buffer->room, etv_blocks_give, buffer->held->bucket_alloc);
    buffer->open->length = 0;
    APR_BRIGADE_INSERT_TAIL(buffer->held, buffer->open);
    return 1;
}

/* @return how many of the bytes were taken */
static apr_size_t pack(etv_buffer_t *buffer, const char *data, apr_size_t len)
{
    apr_size_t taken = 0;

    while (taken < len) {
        apr_bucket_heap *heap;
        apr_size_t now = len - taken;

        if ((!buffer->open || !buffer->room) && !open_block(buffer, now))
            break;
        if (now > buffer->room)
            now = buffer->room;
        heap = buffer->open->data;
        memcpy(heap->base + buffer->open->start + buffer->open->length, data + taken, now);
        buffer->open->length += now;
        buffer->room -= now;
        buffer->length += (apr_off_t)now;
        taken += now;
    }
    return taken;
}

static etv_buffer_e take_file(etv_buffer_t *buffer, request_rec *r, apr_bucket *b)
{
    apr_size_t len = b->length;

    if (apr_bucket_setaside(b, r->pool) != APR_SUCCESS ||
        (buffer->digest && etv_buffer_hash(buffer->digest, b) != APR_SUCCESS))
        return ETV_BUFFER_FAILED;
    APR_BUCKET_REMOVE(b);
    APR_BRIGADE_INSERT_TAIL(buffer->held, b);
    buffer->open = NULL;
    buffer->length += (apr_off_t)len;
    return ETV_BUFFER_TAKEN;
}

etv_buffer_e etv_buffer_take(etv_buffer_t *buffer, request_rec *r, apr_bucket *b)
{
    const char *data;
    apr_size_t len, taken;

    if ((apr_off_t)b->length > buffer->most - buffer->length)
        return ETV_BUFFER_FULL;
    if (APR_BUCKET_IS_FILE(b) || APR_BUCKET_IS_MMAP(b))
        return take_file(buffer, r, b);
    if (apr_bucket_read(b, &data, &len, APR_BLOCK_READ) != APR_SUCCESS)
        return ETV_BUFFER_FAILED;
    taken = pack(buffer, data, len);
    if (buffer->digest)
        etv_digest_update(buffer->digest, data, taken);
    if (taken && taken < len) {
        apr_bucket_split(b, taken);
        apr_bucket_delete(b);
    } else if (taken == len) {
        apr_bucket_delete(b);
    }
    return taken == len ? ETV_BUFFER_TAKEN : ETV_BUFFER_FULL;
}

void etv_buffer_take_metadata(etv_buffer_t *buffer, apr_bucket *b)
{
    APR_BUCKET_REMOVE(b);
    APR_BRIGADE_INSERT_TAIL(buffer->held, b);
    buffer->open = NULL;
}
