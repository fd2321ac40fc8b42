#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds and tests the module with the libraries and servers of Debian 13: hiredis 1.2, OpenSSL 3.5, gcc 14,
# Redis 8, Valkey 8; and the example application with Django 4.2. On Debian 12 this happens in a Debian 13 of its
# own (a folder, entered with chroot), made with the package mirror that apt uses here. On anything else it is tested
# with what is installed.
#   scripts/debian13.sh
# The folder is kept for the next time: build/check/debian13 (BUILD: another build folder).
set -euo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-build}
export BUILD=$build
root=$PWD/$build/check/debian13
[[ $build != /* ]] || root=$build/check/debian13
SUITE=trixie

fail()
{
    printf 'debian13: %s\n' "$@" >&2
    exit 1
}

# --- here, without a second system ----------------------------------------------------------------

# What is tested with what; Debian 13 has valkey-server, another system may have it.
test_here()
{
    local steps=(build unit replay redis)
    if command -v valkey-server >/dev/null || [ "$1" = with-valkey ]; then
        steps+=(valkey)
    else
        echo "debian13: no valkey-server here, so nothing is tested with it"
    fi
    steps+=(systems)
    gcc --version | head -1
    echo "hiredis $(pkg-config --modversion hiredis), OpenSSL $(pkg-config --modversion openssl)"
    scripts/check.sh newer "${steps[@]}"
}

# --- a Debian 13 in a folder ----------------------------------------------------------------------

# Where apt gets this system's own packages from.
mirror_of()
{
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        awk -v name="$1" '($1 == name || $1 ~ /^(old)*stable$/) && $2 == "main" && !seen++ { print $3 }'
}

# Half of one is never taken for one: it gets its name when it is complete.
make_root()
{
    local mirror
    mirror=$(mirror_of "$1")
    if [ -z "$mirror" ]; then
        echo "debian13: apt-get update, because there are no package lists here"
        apt-get -q update >/dev/null
        mirror=$(mirror_of "$1")
    fi
    [ -n "$mirror" ] || fail "apt's configuration names no mirror for $1 main"
    echo "debian13: making a Debian 13 in $root"
    rm -rf "$root" "$root.new"
    mkdir -p "$root.new"
    debootstrap --force-check-gpg --variant=minbase "$SUITE" "$root.new" "$mirror" >"$root.log" 2>&1 || {
        tail -n 20 "$root.log" >&2
        fail "debootstrap failed, see $root.log"
    }
    # Nothing here must outlive a power failure, and nobody reads manuals.
    printf '%s\n' force-unsafe-io 'path-exclude=/usr/share/doc/*' 'path-exclude=/usr/share/man/*' \
        >"$root.new/etc/dpkg/dpkg.cfg.d/tests"
    echo 'Acquire::Languages "none";' >"$root.new/etc/apt/apt.conf.d/90tests"
    # How this system reaches its mirror.
    apt-config dump | grep -E '^Acquire::(https?::.*[Pp]roxy|Check-)' >"$root.new/etc/apt/apt.conf.d/91machine" || true
    mv "$root.new" "$root"
}

# The sources as they are; what was built the last time stays, make sees what is newer.
copy_sources()
{
    local name
    name=$(realpath -m --relative-to=. "$build")
    mkdir -p "$root/src"
    find "$root/src" -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf {} +
    tar --exclude=./.git --exclude="./${name%%/*}" --exclude='./build*' --exclude=__pycache__ -cf - . |
        tar -C "$root/src" --no-same-owner -xf -
}

enter()
{
    chroot "$root" env -i HOME=/root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin BUILD=build "$@"
}

# Runs in namespaces of its own: when it ends, however it ends, its processes and mounts are gone.
test_in_root()
{
    local file
    [ -x "$root/usr/bin/apt-get" ] || make_root "$1"
    for file in resolv.conf hosts; do
        [ ! -e /etc/$file ] || cat /etc/$file >"$root/etc/$file"
    done
    copy_sources
    mount -t proc proc "$root/proc"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
    mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
    enter /src/scripts/deps.sh build check valkey systems
    enter /src/scripts/debian13.sh
}

# --- which of them --------------------------------------------------------------------------------

# shellcheck source=/dev/null
. /etc/os-release
if [ "$ID" = debian ] && [ "${VERSION_ID:-99}" -ge 13 ]; then
    scripts/deps.sh valkey systems
    test_here with-valkey
elif [ "$ID" = debian ]; then
    if [ "${1:-}" = in-namespace ]; then
        test_in_root "$VERSION_CODENAME"
        exit
    fi
    why="On Debian $VERSION_ID the tests with hiredis 1 and Valkey run in a Debian 13 in a folder, and"
    [ "$(id -u)" = 0 ] || fail "$why that needs root: sudo make check-long"
    scripts/deps.sh debian13
    command -v debootstrap >/dev/null || fail "$why that needs debootstrap: apt-get install debootstrap"
    unshare --mount --pid --fork --mount-proc true 2>/dev/null ||
        fail "$why that needs mounts, which are not allowed here (in a container: CAP_SYS_ADMIN)"
    # unshare takes no notice of signals; all that it started dies with it, and it with this script.
    setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --mount-proc "$0" in-namespace &
    child=$!
    trap 'kill -KILL $child 2>/dev/null || true' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    wait $child
else
    echo "debian13: this is ${PRETTY_NAME:-$ID}: tested with the libraries and servers that are here"
    test_here
fi
