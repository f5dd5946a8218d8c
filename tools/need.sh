# need.sh - sourced by ./run and ./test: installs Debian packages that are missing, or prints the one line that does.
# usage: need PACKAGE...
need() {
    missing=
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
    [ -z "$missing" ] && return 0
    if [ "$(id -u)" = 0 ]; then as=
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then as=sudo
    else
        echo "Souk needs some packages first. Please run:" >&2
        echo "    sudo apt-get update && sudo apt-get install -y$missing" >&2
        return 1
    fi
    echo "installing:$missing" >&2
    $as apt-get update -qq >&2 || return 1
    DEBIAN_FRONTEND=noninteractive $as apt-get install -y -qq --no-install-recommends $missing >/dev/null || return 1
}
build_packages="gcc libc6-dev cmake ninja-build pkg-config libjansson-dev libyaml-dev libsodium-dev libzstd-dev zlib1g-dev libutf8proc-dev"
