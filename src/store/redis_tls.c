/* SPDX-License-Identifier: Apache-2.0 */
#include "store/redis_tls.h"

#include <apr_strings.h>

#ifdef ETV_HAS_TLS

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct etv_redis_tls_t {
    SSL_CTX *ctx;
    BIO_METHOD *method; /* a socket that raises no SIGPIPE */
};

struct etv_tls_link_t {
    SSL *ssl;
    char *other;
    int refused; /* X509_V_ERR_… of the server's certificate; X509_V_OK */
    apr_status_t status;
    const char *why;
};

/* --- the socket below --- */

static int fd_of(BIO *bio)
{
    return (int)(intptr_t)BIO_get_data(bio);
}

static int result_of(BIO *bio, ssize_t n, int retry)
{
    BIO_clear_retry_flags(bio);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
    }
    return (int)n;
}

static int socket_write(BIO *bio, const char *bytes, int len)
{
    /* MSG_NOSIGNAL: a host process need not have silenced SIGPIPE. */
    return result_of(bio, send(fd_of(bio), bytes, (size_t)len, MSG_NOSIGNAL), BIO_FLAGS_WRITE);
}

static int socket_read(BIO *bio, char *buffer, int len)
{
    return result_of(bio, recv(fd_of(bio), buffer, (size_t)len, 0), BIO_FLAGS_READ);
}

static long socket_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *make_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "etv socket");

    if (method &&
        !(BIO_meth_set_write(method, socket_write) && BIO_meth_set_read(method, socket_read) &&
          BIO_meth_set_ctrl(method, socket_control))) {
        BIO_meth_free(method);
        method = NULL;
    }
    return method;
}

/* --- files --- */

/** A key with a pass phrase: nobody is there to be asked. */
static int no_pass_phrase(char *buffer, int size, int writing, void *baton)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)baton;
    return -1;
}

/** Whether the file can be read at all: OpenSSL's own words for that help nobody. */
static const char *unreadable(apr_pool_t *p, const char *parameter, const char *path)
{
    FILE *file = fopen(path, "re");
    int error = errno;
    int byte;

    if (file) {
        errno = 0;
        byte = fgetc(file); /* of a folder, only this fails */
        error = byte == EOF ? errno : 0;
        fclose(file);
        if (!error) {
            return NULL;
        }
    }
    return apr_psprintf(p, "%s=%s: the file cannot be read: %s", parameter, path, strerror(error));
}

/** OpenSSL digests a certificate when it is first needed, and keeps the result in it: here once,
 *  rather than in each child and by whichever of its threads is first. */
static void digest_authorities(SSL_CTX *ctx)
{
    STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(SSL_CTX_get_cert_store(ctx));

    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        X509 *certificate = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));

        if (certificate) {
            X509_check_purpose(certificate, -1, 0);
        }
    }
}

static const char *load_authorities(apr_pool_t *p, SSL_CTX *ctx, const char *path)
{
    const char *wrong;

    if (!path) {
        return SSL_CTX_set_default_verify_paths(ctx) == 1
                   ? NULL
                   : "the system's trusted certificates cannot be read: name yours with ca=";
    }
    wrong = unreadable(p, "ca", path);
    if (!wrong && SSL_CTX_load_verify_locations(ctx, path, NULL) != 1) {
        wrong = apr_psprintf(p, "ca=%s: the file holds no certificate in PEM form", path);
    }
    return wrong;
}

static const char *load_certificate(apr_pool_t *p, SSL_CTX *ctx, const etv_store_url_t *url)
{
    const char *wrong = unreadable(p, "cert", url->cert);

    if (wrong) {
        return wrong;
    }
    if (!url->key) {
        return apr_psprintf(p, "cert=%s: the file of its key is missing: add key=", url->cert);
    }
    wrong = unreadable(p, "key", url->key);
    if (wrong) {
        return wrong;
    }
    if (SSL_CTX_use_certificate_chain_file(ctx, url->cert) != 1) {
        return apr_psprintf(p, "cert=%s: the file holds no certificate in PEM form", url->cert);
    }
    ERR_clear_error();
    if (SSL_CTX_use_PrivateKey_file(ctx, url->key, SSL_FILETYPE_PEM) != 1) {
        return ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH
                   ? apr_psprintf(p,
                                  "key=%s: the file holds the key of another certificate than %s",
                                  url->key, url->cert)
                   : apr_psprintf(p,
                                  "key=%s: the file holds no key in PEM form without a pass phrase",
                                  url->key);
    }
    return SSL_CTX_check_private_key(ctx) == 1
               ? NULL
               : apr_psprintf(p, "key=%s: the file holds the key of another certificate than %s",
                              url->key, url->cert);
}

/* --- the certificate --- */

static int is_name_error(int error)
{
    return error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH;
}

static int is_address(const char *host)
{
    unsigned char bytes[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

static int is_for(X509 *certificate, const char *host)
{
    return is_address(host) ? X509_check_ip_asc(certificate, host, 0) == 1
                            : X509_check_host(certificate, host, 0,
                                              X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

/** OpenSSL's verdict over one certificate of the chain; it asks again for every fault it finds. */
static int judge(int right, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    etv_tls_link_t *link = SSL_get_app_data(ssl);
    int error = X509_STORE_CTX_get_error(store);

    if (!right && is_name_error(error) && link->other &&
        is_for(X509_STORE_CTX_get0_cert(store), link->other)) {
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 1;
    }
    if (!right) {
        link->refused = error;
    }
    return right;
}

/** RFC 6125: the host is compared with the alternative names; by X.509 and TLS alone, any
 *  certificate of the authority would do. */
static int expect_host(SSL *ssl, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    char name[256];
    char *end;

    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (is_address(host)) {
        return X509_VERIFY_PARAM_set1_ip_asc(param, host);
    }
    end = apr_cpystrn(name, host, sizeof(name));
    if (end > name && end[-1] == '.') {
        end[-1] = '\0'; /* the root's dot stands in no certificate */
    }
    /* An empty name would be no check at all. */
    return *name && X509_VERIFY_PARAM_set1_host(param, name, 0) &&
           SSL_set_tlsext_host_name(ssl, name);
}

/* --- what all connections share --- */

static apr_status_t unload(void *data)
{
    etv_redis_tls_t *tls = data;

    SSL_CTX_free(tls->ctx);
    BIO_meth_free(tls->method);
    return APR_SUCCESS;
}

static const char *load(apr_pool_t *p, const etv_store_url_t *url, etv_redis_tls_t *tls)
{
    const char *wrong;

    tls->ctx = SSL_CTX_new(TLS_client_method());
    tls->method = make_method();
    if (!tls->ctx || !tls->method || SSL_CTX_set_min_proto_version(tls->ctx, TLS1_2_VERSION) != 1) {
        return "OpenSSL cannot be used on this host";
    }
    SSL_CTX_set_options(tls->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    /* Each record counts against the deadline, also one that has no data for us. */
    SSL_CTX_clear_mode(tls->ctx, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_mode(tls->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(tls->ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(tls->ctx, no_pass_phrase);
    SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER, judge);
    wrong = load_authorities(p, tls->ctx, url->ca);
    digest_authorities(tls->ctx);
    return wrong || !url->cert ? wrong : load_certificate(p, tls->ctx, url);
}

const char *etv_redis_tls_load(apr_pool_t *p, const etv_store_url_t *url, etv_redis_tls_t **tls)
{
    etv_redis_tls_t *made = apr_pcalloc(p, sizeof(*made));
    const char *wrong;

    ERR_clear_error();
    wrong = load(p, url, made);
    ERR_clear_error();
    if (wrong) {
        unload(made);
        return wrong;
    }
    apr_pool_cleanup_register(p, made, unload, apr_pool_cleanup_null);
    *tls = made;
    return NULL;
}

/* --- one connection --- */

etv_tls_link_t *etv_tls_link_make(const etv_redis_tls_t *tls, const char *host, const char *other,
                                  int fd)
{
    etv_tls_link_t *link = calloc(1, sizeof(*link));
    BIO *bio;

    if (!link) {
        return NULL;
    }
    ERR_clear_error();
    link->ssl = SSL_new(tls->ctx);
    link->other = other ? strdup(other) : NULL;
    bio = BIO_new(tls->method);
    if (link->ssl && bio) {
        BIO_set_data(bio, (void *)(intptr_t)fd);
        BIO_set_init(bio, 1);
        SSL_set_bio(link->ssl, bio, bio);
        SSL_set_app_data(link->ssl, link);
        SSL_set_connect_state(link->ssl);
        if (expect_host(link->ssl, host)) {
            return link;
        }
    } else {
        BIO_free(bio);
    }
    ERR_clear_error();
    etv_tls_link_free(link);
    return NULL;
}

void etv_tls_link_free(etv_tls_link_t *link)
{
    if (link) {
        if (link->ssl) {
            /* Or else OpenSSL would look for a session to forget, under a lock: this may run in a
             * signal handler. */
            SSL_set_shutdown(link->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
            SSL_free(link->ssl);
        }
        free(link->other);
        free(link);
    }
}

static const char *why_refused(int error)
{
    switch (error) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return "the server's certificate is for another host than that of ETagVersionStore";
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return "the server's certificate, or that of its authority, has expired";
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "the server's certificate, or that of its authority, is not valid yet: is the clock "
               "right?";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        return "the server's certificate is not of a trusted authority: name the authority's "
               "certificate with ca=";
    default: /* a text of OpenSSL's own */
        return X509_verify_cert_error_string(error);
    }
}

static const char *why_failed(unsigned long error)
{
    switch (ERR_GET_REASON(error)) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_UNEXPECTED_MESSAGE:
    case SSL_R_BAD_LENGTH:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_RECORD_LENGTH_MISMATCH:
        return "what answers does not speak TLS: is it the server's tls-port?";
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
        return "the server knows neither TLS 1.2 nor 1.3";
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
    case SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY:
        return "the server ended the handshake: it knows no common cipher, or wants a client "
               "certificate (cert=, key=)";
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return "the server wants a client certificate: name it with cert= and key=";
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
        return "the server does not accept the client certificate (cert=)";
    case ERR_R_MALLOC_FAILURE:
        return "no memory";
    default:
        return "the exchange broke off against the rules of TLS";
    }
}

static etv_tls_e lost(etv_tls_link_t *link, apr_status_t status)
{
    link->status = status;
    return ETV_TLS_LOST;
}

/** What came of a call whose error is `result`; `error` is the system's from right after it. */
static etv_tls_e outcome(etv_tls_link_t *link, int result, int error)
{
    unsigned long reason;

    switch (SSL_get_error(link->ssl, result)) {
    case SSL_ERROR_NONE:
        return ETV_TLS_DONE;
    case SSL_ERROR_WANT_READ:
        return ETV_TLS_WANTS_READ;
    case SSL_ERROR_WANT_WRITE:
        return ETV_TLS_WANTS_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return lost(link, APR_EOF);
    case SSL_ERROR_SYSCALL:
        ERR_clear_error();
        return lost(link, error ? error : APR_EOF);
    default:
        break;
    }
    reason = ERR_peek_error();
    ERR_clear_error();
#ifdef SSL_R_UNEXPECTED_EOF_WHILE_READING
    if (ERR_GET_REASON(reason) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        return lost(link, APR_EOF); /* no farewell: what was cut off shows in the replies */
    }
#endif
    link->why = link->refused != X509_V_OK ? why_refused(link->refused) : why_failed(reason);
    return ETV_TLS_FAILED;
}

etv_tls_e etv_tls_link_handshake(etv_tls_link_t *link)
{
    int result;

    ERR_clear_error();
    errno = 0;
    result = SSL_do_handshake(link->ssl);
    return outcome(link, result, errno);
}

etv_tls_e etv_tls_link_send(etv_tls_link_t *link, const void *bytes, apr_size_t len, apr_size_t *n)
{
    int result;

    ERR_clear_error();
    errno = 0;
    result = SSL_write_ex(link->ssl, bytes, len, n);
    return outcome(link, result, errno);
}

etv_tls_e etv_tls_link_receive(etv_tls_link_t *link, void *buffer, apr_size_t len, apr_size_t *n)
{
    int result;

    ERR_clear_error();
    errno = 0;
    result = SSL_read_ex(link->ssl, buffer, len, n);
    return outcome(link, result, errno);
}

int etv_tls_link_pending(const etv_tls_link_t *link)
{
    return SSL_pending(link->ssl) > 0;
}

apr_status_t etv_tls_link_status(const etv_tls_link_t *link)
{
    return link->status;
}

const char *etv_tls_link_why(const etv_tls_link_t *link)
{
    return link->why;
}

#else /* without OpenSSL: nothing can be loaded, so nothing else is ever called */

const char *etv_redis_tls_load(apr_pool_t *p, const etv_store_url_t *url, etv_redis_tls_t **tls)
{
    (void)url;
    *tls = NULL;
    return apr_pstrdup(p, "rediss:// needs TLS, and this module was built without OpenSSL");
}

etv_tls_link_t *etv_tls_link_make(const etv_redis_tls_t *tls, const char *host, const char *other,
                                  int fd)
{
    (void)tls;
    (void)host;
    (void)other;
    (void)fd;
    return NULL;
}

void etv_tls_link_free(etv_tls_link_t *link)
{
    (void)link;
}

etv_tls_e etv_tls_link_handshake(etv_tls_link_t *link)
{
    (void)link;
    return ETV_TLS_LOST;
}

etv_tls_e etv_tls_link_send(etv_tls_link_t *link, const void *bytes, apr_size_t len, apr_size_t *n)
{
    (void)link;
    (void)bytes;
    (void)len;
    *n = 0;
    return ETV_TLS_LOST;
}

etv_tls_e etv_tls_link_receive(etv_tls_link_t *link, void *buffer, apr_size_t len, apr_size_t *n)
{
    (void)link;
    (void)buffer;
    (void)len;
    *n = 0;
    return ETV_TLS_LOST;
}

int etv_tls_link_pending(const etv_tls_link_t *link)
{
    (void)link;
    return 0;
}

apr_status_t etv_tls_link_status(const etv_tls_link_t *link)
{
    (void)link;
    return APR_ENOTIMPL;
}

const char *etv_tls_link_why(const etv_tls_link_t *link)
{
    (void)link;
    return "this module was built without OpenSSL";
}

#endif
