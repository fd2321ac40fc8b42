#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs the packages that the given sets need and that are missing; says so before it does.
#   scripts/deps.sh build|demo|check|systems|recipes|long|valkey|debian13|bench|fuzz|format ...
# DEPS=skip: do nothing. Debian and Ubuntu through apt-get, Fedora through dnf.
set -euo pipefail

[ "${DEPS:-}" = skip ] && exit 0
[ $# -gt 0 ] || { echo "usage: $0 build|demo|check|systems|recipes|long|valkey|debian13|bench|fuzz|format ..." >&2; exit 2; }

family()
{
    if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
        echo debian
    elif command -v dnf >/dev/null && command -v rpm >/dev/null; then
        echo fedora
    else
        echo other
    fi
}

# Of each set: what it is for, and the packages.
why()
{
    case $1 in
        build)  echo "compile the module" ;;
        demo)   echo "run httpd and the demo's backend" ;;
        check)  echo "run the tests against httpd, Redis, php-fpm and mod_wsgi" ;;
        systems) echo "run the example applications, with browsers and caches in front" ;;
        recipes) echo "try the recipes: PHP, Node, FastAPI, Active Record, and triggers of PostgreSQL and MariaDB" ;;
        long)   echo "run the tests under sanitizers and valgrind" ;;
        valkey) echo "run the tests of the Redis store with Valkey, too" ;;
        debian13) echo "make a Debian 13 in a folder, to test with its libraries" ;;
        bench)  echo "count instructions and measure requests per second" ;;
        fuzz)   echo "run the fuzz targets" ;;
        format) echo "format the C code (one version, so that all machines agree)" ;;
        *)      echo "deps.sh: no set named $1" >&2; return 1 ;;
    esac
}

packages_debian()
{
    case $1 in
        build)  echo gcc libc6-dev make pkg-config apache2-dev libhiredis-dev libsodium-dev libxxhash-dev libssl-dev \
                     libjansson-dev libcurl4-openssl-dev ;;
        demo)   echo apache2-bin python3 ;;
        check)  echo apache2-bin check clang-format-19 curl libapache2-mod-wsgi-py3 nghttp2-client openssl \
                     php-fpm python3 python3-pytest python3-pytest-xdist redis-server spin ;;
        systems) echo apache2-bin chromium chromium-driver fonts-dejavu-core gunicorn libapache2-mod-wsgi-py3 nginx python3-cachecontrol \
                      python3-django python3-django-redis python3-djangorestframework python3-pil python3-redis \
                      python3-requests python3-selenium redis-server varnish ;;
        recipes) echo gunicorn mariadb-server-core node-express node-mysql node-redis nodejs php-fpm php-redis php-sqlite3 \
                      postgresql python3-django python3-fastapi python3-psycopg2 python3-pymysql python3-redis \
                      python3-sqlalchemy python3-uvicorn redis-server ruby ruby-activerecord ruby-rack ruby-redis \
                      ruby-sqlite3 ruby-webrick ;;
        long)   echo clang iproute2 libclang-rt-dev spin util-linux valgrind ;;
        valkey) echo valkey-server ;;
        debian13) echo debootstrap util-linux ;;
        bench)  echo apache2-bin python3 redis-server valgrind wrk ;;
        fuzz)   echo clang libclang-rt-dev ;;
        format) echo clang-format-19 ;;
    esac
}

packages_fedora()
{
    case $1 in
        build)  echo gcc make pkgconf-pkg-config redhat-rpm-config httpd-devel hiredis-devel \
                     libsodium-devel xxhash-devel openssl-devel jansson-devel libcurl-devel ;;
        demo)   echo httpd-core python3 ;;
        check)  echo httpd check-devel clang-tools-extra curl python3-mod_wsgi nghttp2 openssl php-fpm \
                     python3-pytest python3-pytest-xdist /usr/bin/redis-server ;;
        systems) echo httpd chromedriver chromium nginx python3-CacheControl python3-django python3-django-redis \
                      python3-django-rest-framework python3-gunicorn python3-mod_wsgi python3-pillow python3-redis \
                      python3-requests python3-selenium /usr/bin/redis-server varnish ;;
        # Express, redis and mysql for Node are not among Fedora's packages.
        recipes) echo mariadb-server nodejs php-fpm php-pdo php-pecl-redis6 postgresql-server python3-PyMySQL \
                      python3-django python3-fastapi python3-gunicorn python3-psycopg2 python3-redis python3-sqlalchemy \
                      python3-uvicorn /usr/bin/redis-server ruby rubygem-activerecord rubygem-rack rubygem-redis \
                      rubygem-sqlite3 rubygem-webrick ;;
        long)   echo clang compiler-rt iproute libasan libubsan libtsan util-linux valgrind ;;
        valkey) echo valkey ;;
        bench)  echo httpd-core python3 /usr/bin/redis-server valgrind httpd-tools ;;
        fuzz)   echo clang compiler-rt ;;
        format) echo clang-tools-extra ;;
    esac
}

# All installed names; a virtual one counts when something provides it (pkg-config from pkgconf).
names_debian()
{
    dpkg-query -W -f '${Status}|${Package}, ${Provides}\n' |
        sed -n 's/^install ok installed|//p' | tr ',' '\n' | sed 's/^ *//; s/ .*//' | sort -u
}

INSTALLED=
is_installed_debian()
{
    [ -n "$INSTALLED" ] || INSTALLED=$(names_debian)
    grep -qxF -e "$1" <<<"$INSTALLED"
}

is_installed_fedora()
{
    rpm -q --whatprovides "$1" >/dev/null 2>&1
}

as_root()
{
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

# apt-get; `update` only when the lists are empty, outdated, or lack one of the packages.
install_debian()
{
    local p known=yes
    for p in "$@"; do
        apt-cache policy "$p" 2>/dev/null | grep 'Candidate: [^(]' >/dev/null || known=no
    done
    if [ $known = no ]; then
        echo "deps: apt-get update, because the package lists do not have all of these"
        quietly apt_get update
    fi
    if ! quietly apt_get -y install --no-install-recommends "$@"; then
        echo "deps: trying once more with fresh package lists: apt-get update"
        quietly apt_get update
        quietly apt_get -y install --no-install-recommends "$@"
    fi
}

apt_get()
{
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 "$@" </dev/null
}

# What a package manager says is shown only when it fails.
quietly()
{
    local log status=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 || status=$?
    [ $status = 0 ] || cat "$log" >&2
    rm -f "$log"
    return $status
}

# Debian starts and enables a service when its package is installed. The tests start private servers
# themselves, so nothing may start here: a policy for the time of the installation, removed after.
POLICY=/usr/sbin/policy-rc.d
POLICY_IS_OURS=no

hold_services()
{
    local text='#!/bin/sh\nexit 101\n'
    if [ ! -e $POLICY ]; then
        echo "deps: no service is started by this: $POLICY says so until the packages are in"
        trap release_services EXIT
        trap 'exit 129' HUP
        trap 'exit 130' INT
        trap 'exit 143' TERM
        POLICY_IS_OURS=yes
        # shellcheck disable=SC2059
        printf "$text" | as_root sh -c "cat >$POLICY && chmod 755 $POLICY"
    fi
}

release_services()
{
    [ $POLICY_IS_OURS = no ] || as_root rm -f $POLICY
    POLICY_IS_OURS=no
}

# What was just installed shall not start at the next boot either.
disable_services()
{
    local unit
    [ -d /run/systemd/system ] || return 0
    for unit in $(dpkg-query -L "$@" 2>/dev/null |
                      sed -n 's,^\(/usr\)\?/lib/systemd/system/\([a-z][^@]*\.service\)$,\2,p' | sort -u); do
        case $unit in
            redis-server.service | valkey-server.service | php*-fpm.service | nginx.service | varnish*.service | \
            postgresql.service)
                echo "deps: systemctl disable $unit, because only the tests need it"
                as_root systemctl --quiet disable "$unit" || true ;;
        esac
    done
}

FAMILY=$(family)
missing=()
reasons=()
for set in "$@"; do
    reason=$(why "$set")
    case $FAMILY in
        debian) wanted=$(packages_debian "$set") ;;
        fedora) wanted=$(packages_fedora "$set") ;;
        other)
            echo "deps: neither apt-get nor dnf here; please install by hand what $0 lists" \
                 "for \"$set\", then run again with DEPS=skip" >&2
            exit 1 ;;
    esac
    lacking=()
    for package in $wanted; do
        "is_installed_$FAMILY" "$package" || lacking+=("$package")
    done
    if [ ${#lacking[@]} -gt 0 ]; then
        reasons+=("to $reason: ${lacking[*]}")
        missing+=("${lacking[@]}")
    fi
done
[ ${#missing[@]} -gt 0 ] || exit 0

mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
echo "deps: installing what is missing"
printf 'deps:   %s\n' "${reasons[@]}"
if [ "$(id -u)" != 0 ] && { ! command -v sudo >/dev/null || { [ ! -t 0 ] && ! sudo -n true 2>/dev/null; }; }; then
    echo "deps: this needs root, and sudo does not help here. Please run as root, then try again:" >&2
    case $FAMILY in
        debian) echo "  apt-get update && apt-get install --no-install-recommends ${missing[*]}" >&2 ;;
        fedora) echo "  dnf install ${missing[*]}" >&2 ;;
    esac
    exit 1
fi
case $FAMILY in
    debian)
        before=$(dpkg-query -W -f '${Package}\n' | sort)
        hold_services
        install_debian "${missing[@]}"
        release_services
        after=$(dpkg-query -W -f '${Package}\n' | sort)
        mapfile -t new < <(comm -13 <(echo "$before") <(echo "$after"))
        [ ${#new[@]} -eq 0 ] || disable_services "${new[@]}" ;;
    fedora)
        quietly as_root dnf -y --setopt=install_weak_deps=False install "${missing[@]}" </dev/null ;;
esac
echo "deps: done"
