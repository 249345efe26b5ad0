# shellcheck shell=bash
# Starts and stops a dockerd by hand, beside whatever other engine the machine has. One of the describe_*
# functions comes first and says which engine is meant; the others act on that one. It is sourced by setup/engine,
# which decides when an engine is needed at all.
#
# What describes an engine: $host (address), $data (images), $run (socket, process ids and whatever may vanish with a
# restart of the machine), $state (its own part of that), $pid_file, $log, and $network:
#   machine    the usual bridge docker0
#   bridge     a bridge of its own, so that docker0 stays with the engine that made it
#   namespace  a network namespace of its own: any number of such engines run side by side, and nothing is left behind

describe_machine_engine() {
    host=unix:///var/run/docker.sock network=machine
    data=/var/lib/docker run=/var/run state=/var/run/docker pid_file=/var/run/docker.pid log=/var/log/dockerd.log
}

# Sockets have a limit of about 100 characters for their path and must be reached by other users, so they are not
# in the cache folder.
describe_test_engine() {
    run=/run/deskgrid-tests-$(id -u)
    host=unix://$run/docker.sock network=bridge
    data=$(cache_folder)/engine state=$run/exec pid_file=$run/dockerd.pid log=$(cache_folder)/engine.log
}

describe_private_engine() {
    local folder
    folder=$(readlink -m "$1")
    [[ ${#folder} -le 60 ]] || fail "the path $folder is too long for the sockets of an engine: take one of at most 60 characters"
    mkdir -p "$folder"
    run=$folder
    host=unix://$run/docker.sock network=namespace
    data=$run/data state=$run/exec pid_file=$run/dockerd.pid log=$run/dockerd.log
}

# The group that may use the engine: a user's own one, or for root the usual one, which lets tests try other users.
engine_group() {
    if [[ $(id -u) != 0 && $network != machine ]]; then
        id -gn
    elif getent group docker >/dev/null; then
        echo docker
    else
        echo root
    fi
}

bridge_name() {
    echo "dgtest$(id -u)"
}

# A process id may be left over from a crash and belong to another program by now.
process_of() {
    local file=$1 program=$2 process
    process=$(as_root cat "$file" 2>/dev/null) || return 1
    [[ $(as_root readlink "/proc/$process/exe" 2>/dev/null) == */"$program"* ]] && printf '%s\n' "$process"
}

dockerd_process() {
    process_of "$pid_file" dockerd
}

containerd_pid_file() {
    echo "$state/containerd/containerd.pid"
}

containerd_name() {
    echo "deskgrid-$(printf '%s' "$run" | cksum | cut -d' ' -f1)"
}

clear_stale_process_ids() {
    dockerd_process >/dev/null || as_root rm -f "$pid_file"
    process_of "$(containerd_pid_file)" containerd >/dev/null || as_root rm -f "$(containerd_pid_file)"
}

# A bare container or a minimal machine may come without the control groups that containers need.
prepare_control_groups() {
    local root=/sys/fs/cgroup process controller
    if ! has_service_manager && ! mountpoint --quiet $root; then
        as_root mount -t cgroup2 cgroup2 $root
    fi
    # Inside a container the first group is not the kernel's root group: it can hand its controllers to the groups of
    # new containers only when no process sits in it.
    if ! has_service_manager && [[ -e $root/cgroup.type && -z $(<$root/cgroup.subtree_control) ]]; then
        as_root mkdir -p $root/outer
        for process in $(<$root/cgroup.procs); do
            write_as_root "$process" $root/outer/cgroup.procs
        done
        for controller in $(<$root/cgroup.controllers); do
            write_as_root "+$controller" $root/cgroup.subtree_control
        done
    fi
}

# Some processes end meanwhile and some controllers cannot be handed on; the engine says so where it matters.
write_as_root() {
    # shellcheck disable=SC2016 # The inner shell expands them.
    as_root sh -c 'echo "$1" >"$2"' sh "$1" "$2" 2>/dev/null || true
}

free_address() {
    local third
    for third in {201..250}; do
        if ! ip -4 route show | grep -qE "\b10\.213\.$third\."; then
            echo "10.213.$third.1/24"
            return
        fi
    done
    fail "no free address range among 10.213.201.0 to 10.213.250.0 for the tests' engine"
}

make_bridge() {
    local name
    name=$(bridge_name)
    if ! ip link show "$name" >/dev/null 2>&1; then
        as_root ip link add "$name" type bridge
    fi
    if ! ip -4 address show dev "$name" | grep -q inet; then
        as_root ip address add "$(free_address)" dev "$name"
    fi
    as_root ip link set "$name" up
}

# The words before dockerd and its options for the network.
network_words() {
    # shellcheck disable=SC2016 # The inner shell expands them.
    case $network in
    machine) words=(dockerd) ;;
    bridge) words=(dockerd --bridge "$(bridge_name)") ;;
    namespace) words=(unshare --net -- sh -c 'ip link set lo up && exec dockerd "$@"' dockerd) ;;
    esac
}

# Another engine's settings in /etc/docker and a containerd service that it uses must not leak into ours. Those that a
# test wants lie beside the socket.
separating_words() {
    local name
    name=$(containerd_name)
    write_as_root "$(cat "$run/settings.json" 2>/dev/null || echo '{}')" "$run/daemon.json"
    words+=(--config-file "$run/daemon.json" --data-root "$data" --exec-root "$state" --pidfile "$pid_file"
        --containerd-namespace "$name" --containerd-plugins-namespace "plugins.$name")
}

launch() {
    local words=()
    network_words
    [[ $network == machine ]] || separating_words
    words+=(--host "$host" --group "$(engine_group)")
    # A session of its own keeps Ctrl-C from the engine; 8 and 9 are this script's locks and not to be held by it.
    # shellcheck disable=SC2016 # The inner shell expands them.
    as_root sh -c 'log=$1; shift; setsid "$@" >>"$log" 2>&1 </dev/null 8>&- 9>&- &' sh "$log" "${words[@]}"
}

show_log_and_fail() {
    as_root tail -n 30 "$log" >&2 || true
    fail "$1; the end of its log $log stands above"
}

await_answer() {
    local waited
    for ((waited = 0; waited < 300; waited++)); do
        if engine_answers "$host"; then
            return
        fi
        sleep 0.2
        # It writes its process id early: where it has none after ten seconds, it has ended.
        if ((waited > 50)) && ! dockerd_process >/dev/null; then
            show_log_and_fail "dockerd ended while it was starting"
        fi
    done
    show_log_and_fail "dockerd did not answer within a minute"
}

# The socket has its own permissions; everyone may look into the folder around it.
prepare_folders() {
    as_root mkdir -p "$data" "$run"
    [[ $network == machine ]] || as_root chmod 755 "$run"
}

start_dockerd() {
    if engine_answers "$host"; then
        return
    fi
    has dockerd || fail "dockerd is not installed: run 'make test' once, or install the package docker.io"
    if ! dockerd_process >/dev/null; then
        say "starting a Docker engine at $host"
        prepare_folders
        clear_stale_process_ids
        prepare_control_groups
        [[ $network != bridge ]] || make_bridge
        launch
    fi
    await_answer
    [[ $network != bridge ]] || clear_leftovers
}

# What a run of tests that broke off has left; images that have a name stay.
clear_leftovers() {
    local kind
    for kind in containers networks volumes images; do
        engine_request "$host" POST "/$kind/prune" >/dev/null || true
    done
}

# A container that does not care for a polite request to end would hold up the engine's own end.
kill_containers() {
    local id
    for id in $(engine_request "$host" GET /containers/json | grep -oE '"Id":"[0-9a-f]{64}"' | cut -d'"' -f4); do
        engine_request "$host" POST "/containers/$id/kill" >/dev/null || true
    done
}

await_end() {
    local process=$1 waited
    for ((waited = 0; waited < 150; waited++)); do
        [[ -d /proc/$process ]] || return 0
        sleep 0.2
    done
    return 1
}

end_process() {
    local process=$1
    as_root kill -TERM "$process" 2>/dev/null || true
    await_end "$process" || as_root kill -KILL "$process" 2>/dev/null || true
}

# Containers and their supervisors outlive an engine that crashed. Both carry the engine's name in containerd.
end_what_a_crash_left() {
    local name shim
    name=$(containerd_name)
    # shellcheck disable=SC2016 # The inner shell expands them.
    as_root sh -c 'for file in "$1"/daemon/$2 /run/containerd/$2; do [ ! -e "$file" ] || kill -KILL "$(cat "$file")"; done' \
        sh "$state/containerd" "io.containerd.runtime.v2.task/$name/*/init.pid" 2>/dev/null || true
    for shim in $(pgrep --full "^[^ ]*containerd-shim.* -namespace $name "); do
        as_root kill -KILL "$shim" 2>/dev/null || true
    done
}

stop_dockerd() {
    local process
    # Without the settings that starting writes, nothing was started since the machine was.
    [[ -e $run/daemon.json ]] || return 0
    if process=$(dockerd_process); then
        if engine_answers "$host"; then
            kill_containers
            [[ $network != bridge ]] || clear_leftovers
        fi
        say "stopping the Docker engine at $host"
        end_process "$process"
    fi
    end_what_a_crash_left
    if [[ $network == bridge ]] && ip link show "$(bridge_name)" >/dev/null 2>&1; then
        as_root ip link delete "$(bridge_name)"
    fi
}

kill_dockerd() {
    local process
    process=$(dockerd_process) || fail "no engine runs in $run"
    as_root kill -KILL "$process"
    await_end "$process"
}

remove_dockerd() {
    stop_dockerd
    local mount
    # Deepest first, since mounts lie inside mounts.
    while read -r mount; do
        as_root umount "$mount" || as_root umount --lazy "$mount"
    done < <(cut -d' ' -f5 /proc/self/mountinfo | grep -F "$run/" | sort -r)
    as_root rm -rf "$data" "$state" "$log" "$run/daemon.json" "$run/docker.sock" "$pid_file"
}
