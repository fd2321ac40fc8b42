# SPDX-License-Identifier: Apache-2.0
"""Where programs and modules are, and temporary folders that an unprivileged httpd can enter."""
import glob
import os
import shutil
import tempfile
from pathlib import Path

REPO = Path(__file__).resolve().parents[3]
IS_ROOT = os.geteuid() == 0
USER = os.environ.get("ETV_USER", "www-data")


def etv_module():
    return _module("ETV_MODULE", "mod_etag_version.so", "make")


def demo_module():
    return _module("ETV_DEMO_MODULE", "mod_etag_version_demo.so", "make build/mod_etag_version_demo.so")


def tool():
    """The command line tool, beside the module."""
    path = etv_module().parent / "etag-version"
    assert path.exists(), f"{path} is missing: run `make` first"
    return str(path)


def _module(variable, name, how):
    path = Path(os.environ.get(variable, REPO / "build" / name))
    if not path.is_absolute():
        path = REPO / path
    assert path.exists(), f"{path} is missing: run `{how}` first, or name it in {variable}"
    return path


def program(*names):
    """The first of the programs (glob patterns allowed) that is installed; a failure otherwise."""
    for name in names:
        if "*" in name:
            found = sorted(glob.glob(name))
            if found:
                return found[-1]
        else:
            path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
            if path:
                return path
    raise AssertionError(f"needed for this test and not installed: {' or '.join(names)}")


def httpd_program():
    return os.environ.get("ETV_HTTPD") or program("apache2", "httpd")


def redis_program():
    """redis-server, or what takes its place: valkey-server has the same options and commands."""
    return program(os.environ.get("ETV_REDIS_SERVER") or "redis-server")


def modules_dir():
    for folder in (os.environ.get("ETV_HTTPD_MODULES"), "/usr/lib/apache2/modules",
                   "/usr/lib64/httpd/modules"):
        if folder and os.path.isdir(folder):
            return folder
    raise AssertionError("httpd's modules not found; name their folder in ETV_HTTPD_MODULES")


def new_folder(prefix="etv-"):
    """A temporary folder with a short name (unix sockets) that every user may enter."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=os.environ.get("ETV_TMP", "/tmp")))
    folder.chmod(0o755)
    return folder


def remove_folder(folder):
    shutil.rmtree(folder, ignore_errors=True)


def writable(path):
    """Let the server's user write there."""
    path = Path(path)
    path.chmod(0o777 if path.is_dir() else 0o666)
    return path
