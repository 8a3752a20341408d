# shellcheck shell=bash
# Sourced by each case of tests/netns: two namespaces with a wire between them, the daemon in one of them, a tidy end.
#
#   vdnn-peer 10.77.0.2 (eth0) ------ (wan0) vdnn-gw 10.77.0.1
#
# Everything is named vdnn-* or lies in $VM_WORK, with the pids that were started; net_down removes all of it, also what
# an earlier, killed run left. Names and configuration of the gateway's side are those of the rig in tests/vm.
VM_WORK=${NET_WORK:-/var/tmp/viaduct-netns}
# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../vm/lib.sh"
NET_HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CASE=${0##*/}
CASE=${CASE#[0-9][0-9]-}
VM_FAILED=0

net_down() {
	local f ns
	vm_end "$VM_WORK/gateway.pid" TERM 50
	for f in "$VM_WORK"/own-*.pid; do [ -e "$f" ] && vm_end "$f" TERM 50; done
	while read -r ns _; do
		case $ns in vdnn-*) ip netns del "$ns" ;; esac
	done < <(ip netns list)
	return 0
}
net_end() {
	local status=$?
	net_down
	vm_sanitizers "$CASE"
	[ "$VM_FAILED" = 0 ] || [ "$status" != 0 ] || status=1
	exit "$status"
}
# net_begin: the namespaces, and the configuration of the rig.
net_begin() {
	trap net_end EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	net_down
	vm_ns vdnn-gw && vm_ns vdnn-peer && ip link add wan0 netns vdnn-gw type veth peer name eth0 netns vdnn-peer ||
		vm_fatal "$CASE" "the namespaces could not be made"
	ip -n vdnn-gw addr add "$VM_GW/24" dev wan0 && ip -n vdnn-gw link set wan0 up
	ip -n vdnn-peer addr add "$VM_WAN.2/24" dev eth0 && ip -n vdnn-peer link set eth0 up
	vm_config
	vd_daemon_env "$VM_BUILD" || vm_fatal "$CASE" "the daemon is not built in $VM_BUILD"
}
gw() { ip netns exec vdnn-gw "$@"; }
peer() { ip netns exec vdnn-peer "$@"; }
daemon() { # OPTION...: in the foreground
	gw env VIADUCT_PLUGINDIR="$VD_PLUGINDIR" ASAN_OPTIONS=detect_leaks=0 "$VM_BUILD/core/viaductd" "$@"
}
# net_daemon PID-FILE NAMESPACE DIR [OPTION...]: a daemon in the background on the configuration below DIR; waits until it listens.
net_daemon() {
	local i
	# Not through a function: the pid written down must be the daemon's, not that of a shell around it.
	ip netns exec "$2" env VIADUCT_PLUGINDIR="$VD_PLUGINDIR" ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
		"$VM_BUILD/core/viaductd" --foreground --config "$3/config" --state "$3/state" --run "$3/run" "${@:4}" \
		</dev/null >>"$3/log" 2>&1 7>&- &
	vm_note_pid "$1" $!
	for ((i = 0; i < 150; i++)); do
		vm_pid "$1" >/dev/null || return 1
		vm_listens "$2" "$3" && return 0
		sleep 0.1
	done
	return 1
}
start() { net_daemon "$VM_WORK/gateway.pid" vdnn-gw "$VM_WORK/gateway" "$@"; } # [OPTION...]
alive() { # WHAT
	if vm_pid "$VM_WORK/gateway.pid" >/dev/null && vm_ctl status >/dev/null; then
		vm_pass "$1: the daemon answers"
	else
		vm_fail "$1" "the daemon is gone or silent: $(tail -1 "$VM_WORK/gateway/log")"
	fi
}
# net_as_before WHAT FILE: the gateway's namespace is as it was when vm_snapshot wrote FILE.
net_as_before() {
	vm_snapshot vdnn-gw >"$VM_WORK/after"
	if diff "$2" "$VM_WORK/after" >"$VM_WORK/left"; then
		vm_pass "$1: addresses, routes, nftables and sysctls (but forwarding) are as before"
	else
		vm_fail "$1: left behind" "$(grep '^[<>]' "$VM_WORK/left" | head -5 | tr '\n' '|')"
	fi
}
# net_dialler DIR: the configuration of a daemon in vdnn-peer that dials the gateway: rightly, and with every mistake.
net_dialler() {
	local client=$1
	rm -rf "$client"
	mkdir -p "$client/config/conf.d" "$client/config/secrets" "$client/config/users" "$client/state" "$client/run"
	vm_secret "$client/config/secrets/alpha.psk" alpha-psk-0123456789abcdef
	vm_secret "$client/config/secrets/alice" alice-password
	vm_secret "$client/config/secrets/bob" bob-password
	vm_secret "$client/config/secrets/wrong" mistaken-0123456789
	vm_secret "$client/config/secrets/wrong.psk" mistaken-psk-0123456789abcdef
	cat >"$client/config/viaduct.yaml" <<-Y
	gateway:
	  name: branch.example.org
	  listen: [$VM_WAN.2]
	  workers: 1
Y
	cat >"$client/config/conf.d/10-office.yaml" <<-Y
	connections:
	  office:
	    connect: [l2tp]
	    peer: $VM_GW
	    user: alice
	    password: !file ../secrets/alice
	    routes: [10.99.0.0/24]
	    l2tp: { psk: !file ../secrets/alpha.psk }
	  forced:
	    connect: [l2tp]
	    peer: $VM_GW
	    user: bob
	    password: !file ../secrets/bob
	    routes: [10.99.0.0/24]
	    l2tp: { psk: !file ../secrets/alpha.psk, encap: udp }
	  badpsk:
	    connect: [l2tp]
	    peer: $VM_GW
	    user: alice
	    password: !file ../secrets/alice
	    l2tp: { psk: !file ../secrets/wrong.psk }
	  badpassword:
	    connect: [l2tp]
	    peer: $VM_GW
	    user: alice
	    password: !file ../secrets/wrong
	    l2tp: { psk: !file ../secrets/alpha.psk }
Y
	vd_own_configuration "$client"
}
