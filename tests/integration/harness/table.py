# SPDX-License-Identifier: Apache-2.0
"""One server for a table of cases: each case is a Location with its own lines and backend reply."""
from .backend import Reply


class Case:
    """`conf`: lines for <Location>; `headers`: what the backend adds; `sent`: request headers."""

    def __init__(self, name, conf="", headers=(), sent=(), status=200, want=None, body=None):
        self.name, self.conf, self.sent, self.want = name, conf, list(sent), want
        self.reply = Reply(status, headers, body)

    @property
    def path(self):
        return f"/t/{self.name}"

    def __repr__(self):
        return self.name

    def serve(self, backend):
        """Register the reply; returns the Location."""
        backend.on(self.path, self.reply)
        lines = "\n".join("  " + line.strip() for line in self.conf.splitlines() if line.strip())
        models = "" if "ETagVersionModels" in self.conf else f"  ETagVersionModels m.{self.name}\n"
        return f'<LocationMatch "^{self.path}$">\n{models}{lines}\n</LocationMatch>\n'


def build(shared_httpd, backend, cases, modules="", conf=""):
    """A running server for the cases, all in scope of ETagVersion Version."""
    names = [case.name for case in cases]
    assert len(set(names)) == len(names), "two cases of the same name"
    text = (f"ProxyPass /t/ {backend.url}/t/\n<Location /t/>\n  ETagVersion Version\n</Location>\n"
            + conf + "\n" + "".join(case.serve(backend) for case in cases))
    server = shared_httpd(text, f"proxy {modules}", start=False)
    server.backend = backend
    return server.start()


def each(cases):
    """For pytest.mark.parametrize."""
    return {"argvalues": cases, "ids": [case.name for case in cases]}
