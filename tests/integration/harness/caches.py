# SPDX-License-Identifier: Apache-2.0
"""Caches in front of httpd, set up as docs/recipes.md has it: each asks each time, and says how it answered."""
from .wait import until

NGINX = """
proxy_cache_path @ROOT@/cache levels=1:2 keys_zone=pages:1m use_temp_path=off;
map $cookie_sessionid $zone {
    ""      pages;
    default off;
}
upstream httpd {
    server 127.0.0.1:@HTTPD@;
    keepalive 8;
}
server {
    listen 127.0.0.1:@PORT@;
    location / {
        proxy_pass http://httpd;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_cache $zone;
        proxy_cache_key $scheme$http_host$request_uri;
        proxy_cache_revalidate on;
        proxy_ignore_headers Cache-Control Expires;
        add_header X-Cache $upstream_cache_status;
    }
}
"""
# For nginx: keep what is public, fresh until a second of 1970. It does not tell clients.
HEADER = 'Header set X-Accel-Expires "@1" "expr=%{resp:Cache-Control} =~ /public/"\n'
VARNISH = """
vcl 4.1;
import purge;
backend httpd { .host = "127.0.0.1"; .port = "@HTTPD@"; }

sub vcl_recv {
    set req.hash_ignore_busy = true;
    if (req.method ~ "^(GET|HEAD)$" && req.url ~ "^/(public|api/)") {
        unset req.http.Cookie;
    }
    if (req.method == "PURGE") {
        return (purge);
    }
    if (req.method == "REFRESH") {
        return (hash);
    }
}

sub vcl_hit {
    if (req.method == "REFRESH") {
        purge.soft(0s, 0s);
        return (synth(200, "Refreshed"));
    }
}

sub vcl_miss {
    if (req.method == "REFRESH") {
        return (synth(404));
    }
}

sub vcl_backend_response {
    set beresp.grace = 0s;
    set beresp.keep = 1d;
    if (beresp.ttl <= 0s && beresp.http.ETag) {
        set beresp.ttl = 0.001ms;
    }
    set beresp.http.X-How = "MISS";
    if (beresp.was_304) {
        set beresp.http.X-How = "REVALIDATED";
    }
}

sub vcl_deliver {
    set resp.http.X-Cache = resp.http.X-How;
    unset resp.http.X-How;
    if (obj.uncacheable) {
        set resp.http.X-Cache = "PASS";
    } else if (obj.hits > 0) {
        set resp.http.X-Cache = "HIT";
    }
}
"""
APACHE = """
CacheEnable disk /
CacheRoot "@ROOT@/run"
CacheHeader On
CacheIgnoreHeaders Set-Cookie
"""
DROPPED = "AH00717: Premature end of cache headers"  # mod_cache_disk says this whenever a write drops an entry
FRONTS = ["nginx", "varnish", "mod_cache", "same_httpd"]


class Cached:
    """A cache, the httpd behind it, and how often the application behind that ran for a path."""

    def __init__(self, kind, front, origin, calls):
        self.kind, self.front, self.origin, self.calls = kind, front, origin, calls

    def get(self, path, headers=(), **more):
        answer = self.front.get(path, headers, **more)
        assert answer.status in (200, 304), answer
        return answer

    def how(self, answer):
        """In one language: HIT, MISS (also when what was stored was no good any more), REVALIDATED, or PASS."""
        word = (answer.one("X-Cache") or "PASS").split()[0]
        return {"REVALIDATE": "REVALIDATED", "EXPIRED": "MISS", "BYPASS": "PASS"}.get(word, word)

    def kept(self, path, headers=()):
        """Until the page is in the cache: mod_cache does not keep what is of the second in which it asked before."""
        until(lambda: self.how(self.get(path, headers)) == "REVALIDATED", f"the cache to keep {path}")

    def from_cache(self, path, headers=(), method="GET", tag=None, **more):
        """A request that the cache answers from what it has, after the module told it 304 by itself."""
        calls = self.calls(path)
        answer = self.front.request(method, path, [*headers, *([("If-None-Match", tag)] if tag else [])], **more)
        assert self.calls(path) == calls, "the application ran"
        if self.kind == "same_httpd" and answer.status == 304:
            assert self.origin.why(answer) == "early-304", "before the cache was asked"
            return answer
        assert self.how(answer) == "REVALIDATED", answer
        if self.kind != "same_httpd":
            assert self.origin.logged(answer)[:2] == (304, "early-304")
        return answer


def front_of(kind, origin, nginx, varnish, httpd):
    """The cache of this kind before an httpd; the last three are the factories of conftest.py."""
    if kind == "nginx":
        return nginx(NGINX, HTTPD=origin.port)
    if kind == "varnish":
        return varnish(VARNISH, HTTPD=origin.port)
    if kind == "mod_cache":
        conf = f"{APACHE}CacheQuickHandler On\nProxyPreserveHost On\nProxyPass / http://127.0.0.1:{origin.port}/\n"
        return httpd(conf, "proxy cache_disk", etv=False)
    return origin
