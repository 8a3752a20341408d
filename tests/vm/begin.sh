# shellcheck shell=bash
# Sourced by each case: the rig, a gateway of its own, and a tidy end.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
VM_FAILED=0
CASE=${0##*/}
CASE=${CASE#[0-9][0-9]-}
VM_DIALLED=()
CASE_ALSO=() # pid files of what a case itself started
case_end() {
	local status=$? n
	for n in "${CASE_ALSO[@]}"; do vm_end "$n" TERM 20; done
	for n in "${VM_DIALLED[@]}"; do vm_hangup "$n"; done
	vm_gateway_stop || vm_fail "$CASE" "the gateway did not end on SIGTERM in 6 s and was killed"
	vm_sanitizers "$CASE"
	[ "$VM_FAILED" = 0 ] || [ "$status" != 0 ] || status=1
	exit "$status"
}
# case_begin GUEST...: the gateway fresh, these guests running.
case_begin() {
	trap case_end EXIT
	vm_need "$@" || vm_fatal "$CASE" "a guest did not boot"
	vm_gateway || vm_fatal "$CASE" "no gateway: $(tail -1 "$VM_WORK/gateway/log" 2>/dev/null)"
}
CASE_DIAL=() # VARIABLE=VALUE for guest/dial
CASE_DIAL_LIMIT=20 # seconds until a client has its address
# case_dial GUEST USER PSK ADDRESS: dials; checks the time to dial and the dedicated address.
case_dial() {
	local said got tenths
	VM_DIALLED+=("$1")
	said=$(VM_DIAL_LIMIT=$((CASE_DIAL_LIMIT + 40)) vm_dial "$1" "$2" "$3" "PATIENCE=$((CASE_DIAL_LIMIT + 10))" "${CASE_DIAL[@]}") || {
		vm_tail "$1"
		[ -s "$VM_WORK/gateway/log" ] && tail -n 15 "$VM_WORK/gateway/log" | sed 's/^/#   gateway: /'
		vm_fail "$CASE: $2 dials from $1" "${said##*$'\n'}"
		return 1
	}
	tenths=$(vm_dial_time "$1")
	if [ "${tenths:-9999}" -le $((CASE_DIAL_LIMIT * 10)) ]; then
		vm_pass "$CASE: $2 dials from $1 in $((tenths / 10)).$((tenths % 10)) s"
	else
		vm_fail "$CASE: $2 dials from $1" "took $((tenths / 10)) s, more than $CASE_DIAL_LIMIT"
	fi
	got=$(vm_address "$1")
	if [ "$got" = "$4" ]; then
		vm_pass "$CASE: $2 has the dedicated address $4"
	else
		vm_fail "$CASE: $2's address" "got '$got', wanted $4"
	fi
}
# case_dial_all "GUEST USER PSK ADDRESS"...: all at the same time; their lines come out one after the other. As many kernels
# as guests share the host's processors meanwhile, so the time to dial grows with them.
case_dial_all() {
	local line pids=() p bad=0 i=0 CASE_DIAL_LIMIT=$((10 + 10 * $#))
	for line; do
		# shellcheck disable=SC2086
		set -- $line
		VM_DIALLED+=("$1")
		(case_dial "$@" && [ "$VM_FAILED" = 0 ]) >"$VM_WORK/dial.$i" &
		pids+=($!)
		i=$((i + 1))
	done
	for p in "${pids[@]}"; do wait "$p" || bad=1; done
	for ((i = 0; i < ${#pids[@]}; i++)); do cat "$VM_WORK/dial.$i"; done
	[ "$bad" = 0 ] || VM_FAILED=1
	return "$bad"
}
case_is() { # WHAT GOT PATTERN [MORE]: MORE is said with a failure
	# shellcheck disable=SC2053
	if [[ $2 == $3 ]]; then vm_pass "$CASE: $1"; else vm_fail "$CASE: $1" "it is '$2', not '$3'${4:+; $4}"; fi
}
case_ping() { # GUEST ADDRESS
	local said
	if said=$(vm_exec "$1" 20 "ping -n -q -c 5 -i 0.2 -W 2 $2"); then
		vm_pass "$CASE: $1 pings $2"
	else
		vm_fail "$CASE: $1 pings $2" "$(grep transmitted <<<"$said")"
	fi
}
# The way ESP takes, as the client's kernel sees it.
case_encapsulation() { # GUEST protocol50|udp4500
	local said
	said=$(vm_exec "$1" 10 'ip xfrm state')
	case $2:$(grep -c 'encap type espinudp .* 4500' <<<"$said"):$(grep -c '^src' <<<"$said") in
	*:*:0) vm_fail "$CASE: ESP" "the client has no security association" ;;
	protocol50:0:*) vm_pass "$CASE: ESP travels as protocol 50" ;;
	udp4500:[1-9]*:*) vm_pass "$CASE: ESP travels in UDP 4500" ;;
	*) vm_fail "$CASE: ESP" "not as $2: $(tr '\n' ' ' <<<"$said" | cut -c1-120)" ;;
	esac
}
ALPHA=alpha-psk-0123456789abcdef
BETA=beta-psk-fedcba9876543210
ALICE=10.99.0.11
BOB=10.99.0.12
export ALPHA BETA ALICE BOB
