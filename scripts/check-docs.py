#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that the documentation is about the module as it is.

Every directive that the built module has is described in docs/directives.md, with the contexts that
httpd reports, and appears in httpd.conf.example; no text names a directive that does not exist; every
log tag is explained; httpd accepts httpd.conf.example and each ```apache block; links lead somewhere.

usage: check-docs.py build/mod_etag_version.so
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
TEXTS = [REPO / "README.md", REPO / "CHANGES.md", REPO / "httpd.conf.example",
         *sorted((REPO / "docs").rglob("*.md"))]
MODULES = """mpm_event unixd log_config authz_core authz_host authz_user authn_core authn_file auth_basic
    alias cache cache_disk dir env expires headers macro mime proxy proxy_fcgi proxy_http rewrite
    setenvif""".split()
problems = []


def wrong(text):
    problems.append(text)


def httpd_program():
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    for name in ("apache2", "httpd"):
        found = shutil.which(name, path=path)
        if found:
            return found
    sys.exit("check-docs: httpd is not installed")


def modules_folder():
    for folder in ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules"):
        if os.path.isdir(folder):
            return folder
    sys.exit("check-docs: the folder of httpd's modules was not found")


class Httpd:
    """A folder in which httpd reads a configuration; nothing is started."""

    def __init__(self, root, module):
        self.root = Path(root)
        for name in ("modules", "conf", "run", "logs", "htdocs"):
            (self.root / name).mkdir()
        (self.root / "modules/mod_etag_version.so").symlink_to(Path(module).resolve())
        (self.root / "conf/etag-secret").write_text("a secret for the test of the examples\n")
        (self.root / "conf/redis-password").write_text("a password\n")
        (self.root / "conf/users").write_text("")
        (self.root / "mime.types").write_text("")

    def read(self, text, *options, load_etv=True):
        """Exit status and output of httpd with this configuration."""
        folder = modules_folder()
        names = [name for name in MODULES if os.path.exists(f"{folder}/mod_{name}.so")]
        lines = [f'ServerRoot "{self.root}"', "ServerName localhost", f'PidFile "{self.root}/run/pid"',
                 f'DefaultRuntimeDir "{self.root}/run"', f'TypesConfig "{self.root}/mime.types"',
                 f'ErrorLog "{self.root}/logs/error.log"', f'DocumentRoot "{self.root}/htdocs"',
                 "Listen 127.0.0.1:8080"]
        lines[1:1] = [f"<IfModule !{name}_module>\nLoadModule {name}_module {folder}/mod_{name}.so\n"
                      "</IfModule>" for name in names]
        if load_etv:
            lines.append("LoadModule etag_version_module modules/mod_etag_version.so")
        text = text.replace("/usr/lib/apache2/modules/mod_etag_version.so", "modules/mod_etag_version.so")
        file = self.root / "conf/httpd.conf"
        file.write_text("\n".join(lines) + "\n" + text + "\n")
        done = subprocess.run([httpd_program(), "-d", str(self.root), "-f", str(file), *options],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
        return done.returncode, done.stdout


def directives_of(httpd):
    """Name -> the line of contexts that httpd reports, from `httpd -L`."""
    status, output = httpd.read("", "-L")
    if status != 0:
        sys.exit(f"check-docs: httpd -L failed:\n{output}")
    found = re.findall(r"^(\w+) \(mod_etag_version\.c\)\n\t.*\n\t(Allowed.*)\n((?:\twhen.*\n)?)", output, re.M)
    return {name: allowed + " " + when.strip() for name, allowed, when in found}


def expected_context(allowed):
    """What the documentation must say for what httpd reports."""
    if ".htaccess" in allowed:
        return "server config, virtual host, directory, .htaccess"
    if "anywhere" in allowed or "inside" in allowed:
        return "server config, virtual host, directory"
    return "server config, virtual host"


def check_directives(directives):
    manual = (REPO / "docs/directives.md").read_text(encoding="utf-8")
    example = (REPO / "httpd.conf.example").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (ETagVersion\w*)\n(.*?)(?=^## |\Z)", manual, re.M | re.S))
    if not directives:
        wrong("httpd reports no directive of the module")
    for name, allowed in directives.items():
        if name not in sections:
            wrong(f"docs/directives.md has no section for {name}")
            continue
        section = sections[name]
        for label in ("Syntax", "Default", "Context"):
            if not re.search(rf"^\| {label} +\|", section, re.M):
                wrong(f"docs/directives.md: {name} does not say its {label}")
        context = expected_context(allowed)
        said = re.search(r"^\| Context +\| *(.*?) *\|$", section, re.M)
        # What is for the whole server only is refused elsewhere by the directive itself.
        if said and said.group(1) not in (context, "server config") or \
                said and said.group(1) == "server config" and context != "server config, virtual host":
            wrong(f"docs/directives.md: {name} is for \"{context}\", not \"{said.group(1)}\"")
        if not re.search(rf"^```apache\n(?:.*\n)*?.*\b{name}\b", section, re.M):
            wrong(f"docs/directives.md: {name} has no example")
        if not re.search(rf"\b{name}\b", example):
            wrong(f"httpd.conf.example does not mention {name}")
    for text in TEXTS:
        for name in sorted(set(re.findall(r"\bETagVersion\w*", text.read_text(encoding="utf-8")))):
            if name not in directives:
                wrong(f"{text.relative_to(REPO)} names {name}, which does not exist")


def check_log_tags():
    said = set(re.findall(r"\bETV\d{4}\b", (REPO / "docs/operations.md").read_text(encoding="utf-8")))
    used = set()
    for file in [REPO / "mod_etag_version.c", *(REPO / "src").rglob("*.c")]:
        used |= set(re.findall(r'"(ETV\d{4})\b', file.read_text(encoding="utf-8")))
    # The Redis store numbers its kinds of messages in an enum.
    kinds = (REPO / "src/store/redis_log.h").read_text(encoding="utf-8")
    used |= {f"ETV{number}" for number in re.findall(r"ETV_REDIS_SAYS_\w+,\s*/\*\*< (\d{4}) \*/", kinds)}
    for tag in sorted(used - said):
        wrong(f"docs/operations.md does not explain the log tag {tag}")
    for tag in sorted(said - used):
        wrong(f"docs/operations.md explains {tag}, which is not logged")
    return len(used)


def check_blocks(httpd):
    blocks = [("httpd.conf.example", (REPO / "httpd.conf.example").read_text(encoding="utf-8"))]
    for text in TEXTS:
        for number, block in enumerate(re.findall(r"^```apache\n(.*?)^```", text.read_text(encoding="utf-8"),
                                                  re.M | re.S), 1):
            blocks.append((f"{text.relative_to(REPO)}, apache block {number}", block))
    for name, block in blocks:
        loads_itself = re.search(r"^\s*LoadModule etag_version_module", block, re.M)
        status, output = httpd.read(block, "-t", load_etv=not loads_itself)
        if status != 0 or "AH00526" in output:
            wrong(f"httpd -t does not accept {name}:\n{output.strip()}")
    return len(blocks)


def check_links():
    for text in TEXTS:
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text.read_text(encoding="utf-8")):
            if not (text.parent / target).exists():
                wrong(f"{text.relative_to(REPO)} links to {target}, which does not exist")


def check_tests():
    """docs/systems.md says what proves what."""
    tests = "\n".join(file.read_text(encoding="utf-8") for file in (REPO / "tests/integration").glob("test_*.py"))
    text = (REPO / "docs/systems.md").read_text(encoding="utf-8")
    for name in sorted(set(re.findall(r"`(test_\w+)(?=[`\[])", text))):
        if f"def {name}(" not in tests:
            wrong(f"docs/systems.md names {name}, which is no test")


def main(module):
    with tempfile.TemporaryDirectory(prefix="etv-docs-") as root:
        httpd = Httpd(root, module)
        directives = directives_of(httpd)
        check_directives(directives)
        blocks = check_blocks(httpd)
    tags = check_log_tags()
    check_links()
    check_tests()
    for problem in problems:
        print(f"docs: {problem}")
    if not problems:
        print(f"docs: {len(directives)} directives and {tags} log tags documented, {blocks} examples load")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
