#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo's application: an ordinary web server that knows nothing of entity-tags.

    GET  /              the page for people
    GET  /api/spectra/  about 140 KB of JSON, slow to render on purpose
    GET  /calls         how often the list was rendered
    POST /edit          changes one protein's quantum yield

usage: backend.py PORT; listens on 127.0.0.1 and writes one line to stdout when it is ready.
"""
import json
import math
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

RENDERING_SECONDS = 0.4
STEP_NM = 2

# name, excitation maximum (nm), emission maximum (nm), extinction coefficient (1/(M cm)), quantum yield
PROTEINS = [
    ("Sirius", 355, 424, 15000, 0.24), ("EBFP2", 383, 448, 32000, 0.56),
    ("avGFP", 395, 509, 25000, 0.79), ("mTagBFP2", 399, 454, 50600, 0.64),
    ("T-Sapphire", 399, 511, 44000, 0.60), ("mAmetrine", 406, 526, 45000, 0.58),
    ("Cerulean", 433, 475, 43000, 0.62), ("mCerulean3", 433, 475, 40000, 0.80),
    ("SCFP3A", 433, 474, 30000, 0.56), ("ECFP", 434, 477, 32500, 0.40),
    ("mTurquoise2", 434, 474, 30000, 0.93), ("LSSmOrange", 437, 572, 52000, 0.45),
    ("mBeRFP", 446, 611, 65000, 0.27), ("LSSmKate2", 460, 605, 26000, 0.17),
    ("mTFP1", 462, 492, 64000, 0.85), ("sfGFP", 485, 510, 83300, 0.65),
    ("mEmerald", 487, 509, 57500, 0.68), ("EGFP", 488, 507, 55900, 0.60),
    ("mMaple3", 489, 505, 15760, 0.37), ("Dendra2", 490, 507, 45000, 0.50),
    ("mAzamiGreen", 492, 505, 55000, 0.74), ("mWasabi", 493, 509, 70000, 0.80),
    ("ZsGreen", 493, 505, 43000, 0.91), ("StayGold", 496, 504, 159000, 0.93),
    ("mGreenLantern", 503, 514, 101800, 0.72), ("Dronpa", 503, 518, 95000, 0.85),
    ("Clover", 505, 515, 111000, 0.76), ("mNeonGreen", 506, 517, 116000, 0.80),
    ("mClover3", 506, 518, 109000, 0.78), ("mEos3.2", 507, 516, 63400, 0.84),
    ("EYFP", 513, 527, 67000, 0.67), ("mVenus", 515, 527, 104000, 0.64),
    ("mCitrine", 516, 529, 94000, 0.74), ("mOrange2", 549, 565, 58000, 0.60),
    ("mKO2", 551, 565, 63800, 0.62), ("tdTomato", 554, 581, 138000, 0.69),
    ("TagRFP", 555, 584, 100000, 0.48), ("TagRFP-T", 555, 584, 81000, 0.41),
    ("DsRed", 558, 583, 72500, 0.68), ("mRuby3", 558, 592, 128000, 0.45),
    ("mRuby2", 559, 600, 113000, 0.38), ("mApple", 568, 592, 75000, 0.49),
    ("mScarlet", 569, 594, 100000, 0.70), ("mScarlet-I", 569, 593, 104000, 0.54),
    ("mScarlet3", 569, 592, 104000, 0.75), ("mStrawberry", 574, 596, 90000, 0.29),
    ("mCherry", 587, 610, 72000, 0.22), ("mKate2", 588, 633, 62500, 0.40),
    ("mPlum", 590, 649, 41000, 0.10), ("mNeptune2.5", 599, 643, 95000, 0.28),
    ("mCardinal", 604, 659, 87000, 0.19), ("E2-Crimson", 611, 646, 126000, 0.23),
    ("smURFP", 642, 670, 180000, 0.18), ("miRFP670", 642, 670, 87400, 0.14),
    ("iRFP713", 690, 713, 105000, 0.06),
]
EDITED = "EGFP"


def curve(peak, rising, falling, shoulder):
    """A spectrum: two half bells of different widths and a vibronic shoulder, scaled to 1."""
    points = []
    for nm in range(max(300, peak - 110), min(900, peak + 110) + 1, STEP_NM):
        width = rising if nm < peak else falling
        value = math.exp(-((nm - peak) / width) ** 2 / 2)
        value += 0.28 * math.exp(-((nm - peak - shoulder) / 13) ** 2 / 2)
        points.append((nm, value))
    top = max(value for _, value in points)
    return [[nm, round(value / top, 3)] for nm, value in points]


class Database:
    """The proteins, and a count of how often the list was rendered."""

    def __init__(self):
        self.lock = threading.Lock()
        self.calls = 0
        self.rows = {name: {"name": name, "ex_max": ex, "em_max": em, "ext_coeff": coefficient,
                            "qy": qy} for name, ex, em, coefficient, qy in PROTEINS}

    def render(self):
        with self.lock:
            self.calls += 1
            rows = [dict(row) for row in self.rows.values()]
        start = time.monotonic()
        for row in rows:
            row["brightness"] = round(row["ext_coeff"] * row["qy"] / 1000, 2)
            row["spectra"] = {"ex": curve(row["ex_max"], 24, 11, -26),
                              "em": curve(row["em_max"], 10, 19, 30)}
        body = json.dumps(rows, separators=(",", ":")).encode()
        time.sleep(max(0.0, RENDERING_SECONDS - (time.monotonic() - start)))
        return body

    def edit(self):
        """Between 0.60 and 0.69, another value each time."""
        with self.lock:
            row = self.rows[EDITED]
            old, new = row["qy"], round(0.60 + (row["qy"] - 0.60 + 0.01) % 0.1, 2)
            row["qy"] = new
        return json.dumps({"protein": EDITED, "field": "qy", "old": old, "new": new}).encode()

    def count(self):
        with self.lock:
            return json.dumps({"calls": self.calls}).encode()


DATABASE = Database()
PAGE = Path(__file__).resolve().parent / "index.html"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        if self.path == "/api/spectra/":
            self.answer(200, "application/json", DATABASE.render())
        elif self.path == "/calls":
            self.answer(200, "application/json", DATABASE.count(), "no-store")
        elif self.path == "/":
            self.answer(200, "text/html; charset=utf-8", PAGE.read_bytes(), "no-cache")
        else:
            self.answer(404, "text/plain", b"not found\n")

    def do_HEAD(self):
        self.do_GET()

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/edit":
            self.answer(200, "application/json", DATABASE.edit())
        else:
            self.answer(404, "text/plain", b"not found\n")

    def answer(self, status, media_type, body, cache_control=None):
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        if cache_control:
            self.send_header("Cache-Control", cache_control)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format, *args):  # noqa: A002 (the name is the base class's)
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


def main():
    server = Server(("127.0.0.1", int(sys.argv[1])), Handler)
    print(f"ready on 127.0.0.1:{server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
