/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/admin.h"

#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mod_core.h>

#include "httpd/admin_answer.h"
#include "httpd/admin_body.h"
#include "httpd/config.h"
#include "httpd/life.h"
#include "httpd/log.h"
#include "httpd/shared.h"
#include "store/admin_run.h"
#include "store/boottime.h"
#include "store/change.h"
#include "store/settle.h"

#define HANDLER "etag-version-admin"

/* --- bumps --- */

/*
 * The store could not be told: this host knows from now on that nothing is known of these models,
 * and its keeper goes on telling the store. The condition on a bump is not kept: one bump too many
 * costs a download, one too few would leave old data for good.
 */
static int remember(request_rec *r, const etv_server_t *server, const etv_model_t *models, int n)
{
    etv_keeper_t *keeper = etv_life_keeper();

    if (!keeper)
        return 0;
    for (int i = 0; i < n; i += ETV_MODELS_MOST) {
        etv_change_t *change =
            etv_change_make(r->pool, keeper, server->store, server->scope, r->server->timeout);

        etv_change_add(change, models + i, n - i < ETV_MODELS_MOST ? n - i : ETV_MODELS_MOST);
        etv_change_end(change);
    }
    return 1;
}

static int bump(request_rec *r, const etv_server_t *server, const etv_admin_request_t *request)
{
    json_t *answer, *names;
    etv_model_t *failed;
    int n = etv_admin_run_bumps(server->store, r->pool, request, &answer, &failed);

    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, "ETV0371: of %d bumps %d failed", request->n, n);
    if (!n)
        return etv_admin_answer(r, HTTP_OK, answer);
    names = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(names, json_stringn(failed[i].name, failed[i].name_len));
    json_object_set_new(answer, "error", json_string("the store could not be told"));
    json_object_set_new(answer, "failed", names);
    json_object_set_new(answer, "retrying", json_boolean(remember(r, server, failed, n)));
    apr_table_setn(r->headers_out, "Retry-After", "1");
    return etv_admin_answer(r, HTTP_SERVICE_UNAVAILABLE, answer);
}

static int refuse_unread(request_rec *r, int status, const char *reason)
{
    etv_admin_body_drop(r);
    return etv_admin_refuse(r, status, reason);
}

static int handle_bump(request_rec *r, const etv_server_t *server)
{
    etv_admin_request_t request = {0, {{NULL, 0, NULL}}};
    const char *reason = NULL;
    int status;

    if (etv_admin_is_foreign(r)) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                      "ETV0370: a POST from a page of another site is refused");
        return refuse_unread(r, HTTP_FORBIDDEN,
                             "this was sent by a page of another site (Sec-Fetch-Site, Origin)");
    }
    status = etv_admin_body_read(r, &request, &reason);
    if (status == AP_FILTER_ERROR)
        return status;
    if (status == OK && !request.n) {
        status = HTTP_BAD_REQUEST;
        reason = "name at least one model";
    }
    if (status != OK)
        return etv_admin_refuse(r, status, reason);
    return bump(r, server, &request);
}

/* --- versions --- */

static int is_pending(const etv_server_t *server, const etv_model_t *model, apr_time_t now_us)
{
    etv_keeper_t *keeper = etv_life_keeper();

    return keeper &&
           etv_pending_has(etv_keeper_pending(keeper), server->scope, model->hash, now_us);
}

static json_t *tell(const etv_server_t *server, const etv_model_t *model)
{
    apr_time_t now_us = etv_boottime_us();
    json_t *object = etv_admin_run_describe(server->store, model);
    apr_interval_time_t age_us;

    json_object_set_new(
        object, "state",
        json_string(is_pending(server, model, now_us) ? "changing" : etv_admin_run_state(model)));
    if (model->state == ETV_MODEL_FOUND) {
        age_us = etv_settle_age(etv_shared_table(), server->scope, model, now_us);
        json_object_set_new(object, "age_seconds", json_integer(apr_time_sec(age_us)));
    }
    return object;
}

static int answer_versions(request_rec *r, const etv_server_t *server,
                           const etv_admin_request_t *request)
{
    etv_model_t *models = etv_admin_run_lookup(server->store, r->pool, request, r->request_time);
    json_t *answer, *versions;

    if (!models) {
        apr_table_setn(r->headers_out, "Retry-After", "1");
        return etv_admin_refuse(r, HTTP_SERVICE_UNAVAILABLE, "the store does not answer");
    }
    versions = json_array();
    for (int i = 0; i < request->n; i++)
        json_array_append_new(versions, tell(server, models + i));
    answer = json_object();
    json_object_set_new(answer, "versions", versions);
    return etv_admin_answer(r, HTTP_OK, answer);
}

static int handle_show(request_rec *r, const etv_server_t *server)
{
    const char *accept = apr_table_get(r->headers_in, "Accept");
    etv_admin_request_t request = {0, {{NULL, 0, NULL}}};
    const char *reason = NULL;

    if (!r->args || !*r->args)
        return accept && ap_strcasestr(accept, "text/html")
                   ? etv_admin_page(r)
                   : etv_admin_refuse(r, HTTP_BAD_REQUEST,
                                      "name models: ?model=NAME, several times if you like; POST "
                                      "bumps them");
    reason = etv_admin_request_form(r->pool, &request, r->args, strlen(r->args));
    for (int i = 0; !reason && i < request.n; i++) {
        if (request.bumps[i].digest)
            reason = "if-digest is for POST";
    }
    if (!reason && !request.n)
        reason = "name at least one model";
    return reason ? etv_admin_refuse(r, HTTP_BAD_REQUEST, reason)
                  : answer_versions(r, server, &request);
}

/* --- methods --- */

static int handle_method(request_rec *r)
{
    const etv_server_t *server = etv_config_server(r->server);

    ap_allow_standard_methods(r, REPLACE_ALLOW, M_GET, M_POST, M_OPTIONS, -1);
    if (r->method_number == M_OPTIONS)
        return ap_send_http_options(r);
    if (r->method_number != M_GET && r->method_number != M_POST) {
        apr_table_setn(r->headers_out, "Allow", "GET, HEAD, POST, OPTIONS");
        return refuse_unread(r, HTTP_METHOD_NOT_ALLOWED, "GET tells versions, POST bumps them");
    }
    if (!server->store) {
        apr_table_setn(r->headers_out, "Retry-After", "1");
        return refuse_unread(r, HTTP_SERVICE_UNAVAILABLE, "this server has no store");
    }
    return r->method_number == M_POST ? handle_bump(r, server) : handle_show(r, server);
}

int etv_admin_handler(request_rec *r)
{
    if (!r->handler || strcmp(r->handler, HANDLER) != 0)
        return DECLINED;
    /* Nothing that includes other resources, and no error's document, shall tell or change. */
    if (r->main || r->status != HTTP_OK || !etv_config_serves(etv_config_dir(r), ETV_SERVE_ADMIN))
        return HTTP_NOT_FOUND;
    return handle_method(r);
}
