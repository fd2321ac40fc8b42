# SPDX-License-Identifier: Apache-2.0
"""Requests per second of proxied responses, as a ratio to the same proxy with the module switched off.

One event-MPM server, a virtual host per kind, all in front of the same origin (origin.c), which answers from
memory. Each round measures the module switched off and then the kind, or the other way round, so that a
change of the machine's mood meets both; the median of the rounds' ratios counts. Beside the rate, for which
the server shares the processors with the client and the origin, stands what it used of them itself:
microseconds per request.

Neighbours: mod_deflate, another filter that reads every byte; and nginx, if it is installed. Stock nginx
gives ETags to files only, and Debian packages no module that makes them for dynamic content: it is a plain
proxy here.
"""
import statistics

import rig
from load import Load

CONNECTIONS = 32
LARGE_READS = "ProxyIOBufferSize 65536\n"
# Virtual hosts of httpd: name -> directives.
HOSTS = {
    "off": rig.OFF,
    "content": rig.CONTENT,
    "off-64k": rig.OFF + LARGE_READS,
    "content-64k": rig.CONTENT + LARGE_READS,
    "deflate": rig.OFF + "SetOutputFilter DEFLATE\n",
    "content-deflate": rig.CONTENT + "SetOutputFilter DEFLATE\n",
}
GZIP = "Accept-Encoding: gzip"
# Name of a kind -> what it is, virtual host, header of the request.
KINDS = {
    "off": ("ETagVersion Off", "off", None),
    "content": ("ETagVersion Content, 200", "content", None),
    "late": ("ETagVersion Content, late 304", "content", "If-None-Match: "),
    "off-64k": ("ETagVersion Off", "off-64k", None),
    "content-64k": ("ETagVersion Content, 200", "content-64k", None),
    "late-64k": ("ETagVersion Content, late 304", "content-64k", "If-None-Match: "),
    "deflate": ("neighbour: mod_deflate, ETagVersion Off", "deflate", GZIP),
    "content-deflate": ("mod_deflate, ETagVersion Content, 200", "content-deflate", GZIP),
    "nginx": ("neighbour: nginx, proxy without a tag", "nginx", None),
}
# Title -> size, kinds (the first is what the others are compared with), and what is wished for.
GROUPS = {
    "1KB": ("1 KB", ("off", "content", "late", "nginx"), 1.0),
    "140KB": ("140 KB", ("off", "content", "late", "deflate", "content-deflate", "nginx"), 1.0),
    "4MB": ("4 MB", ("off", "content", "late", "nginx"), 0.9),
    "140KB-64k": ("140 KB", ("off-64k", "content-64k", "late-64k"), 0.85),
}


def httpd_command(folder, ports, origin_port):
    body = rig.load_proxy(folder, "filter", "deflate")
    # As many threads from the beginning as there will ever be: no process is started meanwhile.
    body += "StartServers 2\nServerLimit 2\nThreadsPerChild 32\nMaxRequestWorkers 64\nMaxSpareThreads 64\n"
    for host, directives in HOSTS.items():
        body += f"Listen 127.0.0.1:{ports[host]}\n<VirtualHost 127.0.0.1:{ports[host]}>\n{directives}" \
                f"ProxyPass / http://127.0.0.1:{origin_port}/\n</VirtualHost>\n"
    return [*rig.write_conf(folder, rig.free_port(), "event", body), "-DFOREGROUND"]


def nginx_command(folder, port, origin_port):
    """Connections to the origin are kept, and no body goes through a file."""
    temporary = "".join(f"    {name}_temp_path {folder}/nginx-{name};\n"
                        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    conf = folder / "nginx.conf"
    conf.write_text(f"""worker_processes 2;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
{temporary}    proxy_max_temp_file_size 0;
    keepalive_requests 1000000000;
    upstream origin {{
        server 127.0.0.1:{origin_port};
        keepalive 64;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
""")
    return [rig.program("nginx"), "-p", str(folder), "-c", str(conf), "-e", f"{folder}/nginx.log"]


class Kind:
    """What is measured: a request to a virtual host, answered by a process."""

    def __init__(self, name, size, port, process):
        self.what, self.host, self.header = KINDS[name]
        self.bytes, self.process, self.port = rig.SIZES[size], process, port
        self.rates, self.cpu, self.ratios, self.cpu_ratios = [], [], [], []
        self.late = self.header == "If-None-Match: "
        if self.late:
            self.header += rig.content_tag(port, self.bytes)

    def check(self):
        """One answer is what it shall be, before thousands are counted."""
        client = rig.Client(self.port)
        more = f"{self.header}\r\n" if self.header else ""
        status, headers = client.send(rig.proxied_request(self.bytes, more=more))
        client.close()
        tagged = "ETag" in headers
        if status != (b"304" if self.late else b"200") or tagged != self.host.startswith("content"):
            rig.fail(f"{self.what}: {status.decode()} with the ETag {headers.get('ETag')}")
        if (self.header == GZIP) != (headers.get("Content-Encoding") == "gzip"):
            rig.fail(f"{self.what}: Content-Encoding is {headers.get('Content-Encoding')}")

    def measure(self, load):
        before = self.process.cpu_seconds()
        rate, size = load.run(f"http://127.0.0.1:{self.port}/json/{self.bytes}",
                              *([self.header] if self.header else []))
        used = self.process.cpu_seconds() - before
        if (size < 0.9 * self.bytes) != (self.late or self.header == GZIP):
            rig.fail(f"{self.what}: {size:.0f} bytes per answer")
        self.rates.append(rate)
        self.cpu.append(used * 1e6 / (rate * load.seconds))

    def forget(self):
        self.rates.clear()
        self.cpu.clear()

    def compare(self, base):
        """With what was measured just before or after."""
        self.ratios.append(self.rates[-1] / base.rates[-1])
        if base.cpu[-1] > 0:
            self.cpu_ratios.append(self.cpu[-1] / base.cpu[-1])

    def line(self, wanted):
        rate, cpu = statistics.median(self.rates), statistics.median(self.cpu)
        text = f"  {self.what:<40} {rate:>8,.0f}/s {cpu:>7,.0f} us"
        if self.ratios:
            ratio = statistics.median(self.ratios)
            text += f"   rate x {ratio:.2f} ({min(self.ratios):.2f}..{max(self.ratios):.2f})"
        if self.cpu_ratios:
            text += f"   us x {statistics.median(self.cpu_ratios):.2f}"
        return text + (f"   wanted: rate x {wanted}" if wanted else "")


def measure_group(title, rounds, load, ports, processes):
    size, names, wanted = GROUPS[title]
    kinds = []
    for name in names:
        host = KINDS[name][1]
        process = processes.get("nginx" if host == "nginx" else "httpd")
        if not process:
            continue
        kinds.append(Kind(name, size, ports[host], process))
        kinds[-1].check()
        kinds[-1].measure(load)  # once for nothing: connections and memory are there afterwards
        kinds[-1].forget()
    base, others = kinds[0], kinds[1:]
    for i in range(rounds):
        for kind in others:
            for one in (base, kind) if i % 2 == 0 else (kind, base):
                one.measure(load)
            kind.compare(base)
    alone, _size = load.run(f"http://127.0.0.1:{ports['origin']}/json/{rig.SIZES[size]}")
    print(f"\n{size}{', ProxyIOBufferSize 65536' if '64k' in title else ''}"
          f" (the origin without a proxy: {alone:,.0f}/s)", flush=True)
    for kind in kinds:
        ours = kind.host.startswith("content") and kind.header != GZIP
        print(kind.line(wanted if ours else None), flush=True)


def start(folder, ports, processes):
    """httpd and, where it is installed, nginx, in front of the origin."""
    processes["httpd"] = rig.Process(httpd_command(folder, ports, ports["origin"]), folder / "output.log")
    rig.wait_until(lambda: all(rig.answers(ports[host]) for host in HOSTS), "httpd",
                   processes["httpd"].process, processes["httpd"].log)
    if rig.find_program("nginx"):
        processes["nginx"] = rig.Process(nginx_command(folder, ports["nginx"], ports["origin"]),
                                         folder / "nginx-output.log")
        rig.wait_until(lambda: rig.answers(ports["nginx"]), "nginx", processes["nginx"].process,
                       processes["nginx"].log)


def run(rounds, seconds, groups):
    load = Load(seconds, CONNECTIONS)
    with rig.Folder() as folder:
        ports = {host: rig.free_port() for host in (*HOSTS, "nginx")}
        processes = {}
        try:
            processes["origin"], ports["origin"] = rig.start_origin(folder)
            start(folder, ports, processes)
            print(f"Proxied responses ({load.name}, {CONNECTIONS} connections, {rounds} rounds of {seconds} s, "
                  "event, keep-alive):\nrate, the server's own processor time per request, both as multiples "
                  "of the first line", flush=True)
            if "nginx" not in processes:
                print("nginx is not installed: no figures of this neighbour")
            for title in groups:
                measure_group(title, rounds, load, ports, processes)
        finally:
            for process in reversed(processes.values()):
                process.stop()
