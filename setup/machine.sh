# shellcheck shell=bash
# What every set-up script has to know about this machine: how to speak, how to act as root, where the cache
# folder is, how to talk to a Docker engine. It is sourced and changes nothing by itself; what is installed,
# built or started is the business of the script that sources it.

# Engine, iptables and friends live in folders that an ordinary user's PATH may lack.
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

say() {
    printf 'deskgrid: %s\n' "$*" >&2
}

fail() {
    printf 'deskgrid: error: %s\n' "$*" >&2
    exit 1
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# Images, the data set and the test engine's own data outlive a run here, so that the second run is quick.
cache_folder() {
    local folder=${DESKGRID_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/deskgrid-tests}
    mkdir -p "$folder"
    if [[ ! -e $folder/CACHEDIR.TAG ]]; then
        echo 'Signature: 8a477f597d28d172789f06886806bc55' >"$folder/CACHEDIR.TAG"
    fi
    printf '%s\n' "$folder"
}

can_be_root() {
    [[ $(id -u) == 0 ]] || { has sudo && { sudo -n true 2>/dev/null || [[ -t 0 ]]; }; }
}

# Runs a command as root. Without a terminal nobody could type a password, so sudo must not wait for one.
as_root() {
    if [[ $(id -u) == 0 ]]; then
        "$@"
    elif ! has sudo; then
        fail "'$1' needs root, and sudo is not installed: run this as root"
    elif sudo -n true 2>/dev/null; then
        sudo -n "$@"
    elif [[ -t 0 ]]; then
        sudo "$@"
    else
        fail "'$1' needs root, and sudo asks for a password here: run this as root or from a terminal"
    fi
}

# Asks apt what there is to install now; where a mirror does not answer, the lists that are here have to do.
update_lists() {
    say "fetching the package lists"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get --quiet -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
        update </dev/null >&2 || say "some package lists could not be fetched; going on with those that are here"
}

# Whether this session can show windows.
has_display() {
    [[ $(uname) != Linux || -n ${DISPLAY:-}${WAYLAND_DISPLAY:-} ]]
}

# Signals reach CMD as if the script were not there, and what the script started for it is stopped only after CMD has
# ended. CMD does not inherit the script's lock.
run_and_pass_signals() {
    local child status
    env --default-signal=INT,QUIT "$@" <&0 9>&- &
    child=$!
    trap 'kill -TERM "$child" 2>/dev/null || true' TERM HUP
    trap : INT
    # A signal may end a wait before the child has ended.
    while :; do
        status=0
        wait "$child" || status=$?
        kill -0 "$child" 2>/dev/null || break
    done
    return "$status"
}

has_service_manager() {
    [[ -d /run/systemd/system ]]
}

# engine_request HOST METHOD PATH [CURL OPTIONS]: the engine's answer on stdout, failure for anything but a 2xx.
# The program docker is not used, because its version may be too new or too old for the engine, or it is missing.
engine_request() {
    local host=$1 method=$2 path=$3
    shift 3
    case $host in
    unix://*) curl --silent --fail --request "$method" --unix-socket "${host#unix://}" "$@" "http://localhost$path" ;;
    tcp://*) curl --silent --fail --request "$method" --noproxy '*' "$@" "http://${host#tcp://}$path" ;;
    *) return 1 ;;
    esac
}

engine_answers() {
    [[ $(engine_request "$1" GET /_ping --max-time 5 2>/dev/null) == OK ]]
}

# Where an engine may answer, best first. A host that someone names is the only one looked at.
engine_candidates() {
    local named=${DESKGRID_TEST_DOCKER_HOST:-${DOCKER_HOST:-}}
    if [[ -n $named ]]; then
        printf '%s\n' "$named"
        return
    fi
    if has docker; then
        docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null || true
    fi
    printf '%s\n' unix:///var/run/docker.sock
    if [[ -n ${XDG_RUNTIME_DIR:-} ]]; then
        printf '%s\n' "unix://$XDG_RUNTIME_DIR/docker.sock"
    fi
}

# Prints the host of the first engine that answers this user.
usable_engine() {
    local host
    while read -r host; do
        if engine_answers "$host"; then
            printf '%s\n' "$host"
            return
        fi
    done < <(engine_candidates)
    return 1
}

# Being added to a group counts from the next login on. Where this user has been added to the engine's group but
# this session does not know it yet, the calling script starts again inside the group.
enter_engine_group() {
    local group
    [[ -S /var/run/docker.sock && ! -w /var/run/docker.sock && -z ${DESKGRID_GROUP_ENTERED:-} ]] || return 0
    group=$(stat -c %G /var/run/docker.sock)
    if has sg && id -nG "$(id -un)" | tr ' ' '\n' | grep -qxF -- "$group"; then
        export DESKGRID_GROUP_ENTERED=yes
        exec sg "$group" -c "$(printf '%q ' "$@")"
    fi
}
