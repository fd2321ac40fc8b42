/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/expand.h"

#include <apr_strings.h>

#include "core/model_name.h"
#include "core/vary.h"
#include "httpd/log.h"

#define CAPTURE "MATCH_"

static int overlay(void *env, const char *key, const char *value)
{
    if (strncmp(key, CAPTURE, sizeof(CAPTURE) - 1) == 0)
        apr_table_setn(env, key, value);
    return 1;
}

/*
 * The environment in which expressions are evaluated. An internal redirect leaves the captures of
 * the first request with that request; a fast one leaves them in the same table, behind those of
 * the request that took over, so the last of several lines is the first request's.
 */
static apr_table_t *environment(etv_expand_t *expand)
{
    request_rec *r = expand->r;
    const request_rec *first = r;

    if (!expand->env) {
        while (first->prev)
            first = first->prev;
        expand->env = apr_table_copy(r->pool, r->subprocess_env);
        apr_table_do(overlay, expand->env, first->subprocess_env, NULL);
    }
    return expand->env;
}

static const char *evaluate(etv_expand_t *expand, const etv_item_t *item)
{
    request_rec *r = expand->r;
    apr_table_t *env = r->subprocess_env;
    const char *result = NULL, *err = NULL, *source = NULL, *vary = NULL;
    ap_regmatch_t matches[AP_MAX_REG_MATCH];
    ap_expr_eval_ctx_t ctx;
    int rc;

    memset(&ctx, 0, sizeof(ctx));
    memset(matches, 0, sizeof(matches));
    ctx.r = r;
    ctx.c = r->connection;
    ctx.s = r->server;
    ctx.p = r->pool;
    ctx.err = &err;
    ctx.info = item->expr;
    ctx.re_pmatch = matches;
    ctx.re_nmatch = AP_MAX_REG_MATCH;
    ctx.re_source = &source;
    ctx.vary_this = &vary;
    ctx.result_string = &result;

    r->subprocess_env = environment(expand);
    rc = ap_expr_exec_ctx(&ctx);
    r->subprocess_env = env;
    if (vary)
        expand->vary = etv_vary_union(r->pool, expand->vary, vary);
    if (rc <= 0) {
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, "ETV0301: the expression \"%s\" failed: %s",
                      item->text, err ? err : "no result");
        return NULL;
    }
    return result;
}

const char *etv_expand_expression(etv_expand_t *expand, const etv_item_t *item, apr_size_t most,
                                  apr_size_t *len)
{
    const char *text = evaluate(expand, item);

    if (!text || !*text)
        return NULL;
    *len = strlen(text);
    if (*len > most || etv_model_name_has_control(text)) {
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, expand->r,
                      "ETV0302: \"%s\" expands to a text that is too long or has control "
                      "characters",
                      item->text);
        return NULL;
    }
    return text;
}
