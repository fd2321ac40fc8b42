# SPDX-License-Identifier: Apache-2.0
"""The network figures of the browser's tests: a file of JSON per story, and one page of HTML with all of them."""
import html
import json

from .browser import artefacts, write_artefact

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>What the browser fetched</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
  table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; margin-bottom: 1.5rem; }
  h2 { font-size: 1.1rem; margin: 1.5rem 0 .3rem; }
  thead th { color: #777; font-weight: 400; font-size: .9rem; border: 0; }
  tbody th { padding-top: .8rem; }
  th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-top: 1px solid #8884; vertical-align: baseline; }
  td:nth-child(n+3), th:nth-last-child(-n+2) { text-align: right; }
  td:first-child { overflow-wrap: anywhere; padding-left: 1.5rem; }
  .hit { color: #0b7a4b; font-weight: 600; }
  @media (prefers-color-scheme: dark) { .hit { color: #59d79c; } }
</style>
</head>
<body>
<h1>What the browser fetched</h1>
<p>Bytes of head and body on the wire, as Chromium counts them. "cache": nothing was sent.</p>
@STORIES@
</body>
</html>
"""
_HEAD = "<tr><th>Visit, and what it loaded<th>Status<th>Bytes<th>Calls of the application</tr>"


class Story:
    """Visits in order. A test adds each and keeps the whole at its end."""

    def __init__(self, name, title):
        self.name, self.title, self.visits = name, title, []

    def add(self, what, visit, calls):
        self.visits.append({"visit": what, "calls": calls, "bytes": visit.bytes, "loads": visit.rows()})
        return visit

    def keep(self):
        write_artefact(f"browser-{self.name}.json",
                       json.dumps({"title": self.title, "visits": self.visits}, indent=1) + "\n")
        stories = [json.loads(path.read_text()) for path in sorted(artefacts().glob("browser-*.json"))]
        write_artefact("browser.html", _PAGE.replace("@STORIES@", "\n".join(_table(story) for story in stories)))


def _table(story):
    rows = []
    for visit in story["visits"]:
        rows.append(f"<tr><th colspan=2>{html.escape(visit['visit'])}<th>{visit['bytes']:,}<th>{visit['calls']}</tr>")
        for load in visit["loads"]:
            status = "cache" if load["status"] is None else load["status"]
            seen = ' class="hit"' if load["status"] in (None, 304) else ""
            rows.append(f"<tr><td>{html.escape(load['method'])} {html.escape(load['url'])}<td{seen}>{status}"
                        f"<td>{load['bytes']:,}<td></tr>")
    return (f"<h2>{html.escape(story['title'])}</h2>\n<table>\n<thead>{_HEAD}</thead>\n<tbody>\n"
            + "\n".join(rows) + "\n</tbody></table>")
