# shellcheck shell=bash
# Cases side by side: most of a case is waiting. Sourced by tests/vm/run and tests/netns/run, after lib.sh.
#
# A lane is the same program once more, in network and mount namespaces of its own and with a work folder of its own, so every
# rig keeps its names. Lanes take their cases from one queue; what a case printed comes out in one piece when it has ended.
#   VM_LANES=N   how many; without it one per processor, two at most

# lanes_begin PROGRAM CASE...: queues the cases; when there is something to share out it runs PROGRAM in lanes and ends with their
# status. Not to be called in a lane, which has VM_QUEUE.
lanes_begin() {
	local n=${VM_LANES:-$(nproc)} program=$1
	shift
	VM_QUEUE=$VM_WORK/queue
	printf '%s\n' "$@" >"$VM_QUEUE"
	[ -n "${VM_LANES:-}" ] || [ "$n" -le 2 ] || n=2
	[ "$n" -le $# ] || n=$#
	[ -z "${VM_KEEP:-}" ] || n=1
	[ "$n" -gt 1 ] || return 0
	lanes_run "$program" "$n"
	exit
}
lanes_run() { # PROGRAM COUNT
	local i dir status=0 pids=() work=$VM_WORK queue=$VM_QUEUE
	vd_user || return 1 # or all lanes would add it at once
	for ((i = 1; i <= $2; i++)); do
		dir=$VM_WORK/lane-$i
		mkdir -p "$dir"
		# shellcheck disable=SC2016
		VM_LANE=$work VM_QUEUE=$queue VM_WORK=$dir NET_WORK=$dir setsid unshare --net --mount --propagation private bash -c '
			mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns && ip link set lo up && exec "$0"' "$1" 7>&- </dev/null &
		pids+=($!)
		vm_note_pid "$dir/lane.pid" $! wait
	done
	for i in "${pids[@]}"; do wait "$i" || status=1; done
	rm -f "$VM_WORK"/lane-*/lane.pid
	return "$status"
}
# Ends what still runs in lanes: at the end of a run that was interrupted, and of one that was killed before.
lanes_down() { # COMMAND: what takes a rig down
	local dir
	for dir in "$VM_WORK"/lane-*; do
		[ -d "$dir" ] || continue
		vm_end "$dir/lane.pid" TERM 200
		(VM_WORK=$dir && "$1")
	done
}
lanes_next() { # prints the next case; 1 when none is left
	local entry
	{
		flock 9
		IFS= read -r entry <"$VM_QUEUE" && sed -i 1d "$VM_QUEUE"
	} 9>"$VM_QUEUE.lock" && printf '%s\n' "$entry"
}
# lanes_case FILE SECONDS: runs a case in a session of its own, with its pid written down, so that what an earlier, killed run
# left can be ended by the next. Says when it did not end in time.
lanes_case() {
	local began=$SECONDS status name=${1##*/}
	printf '# case %s%s\n' "$name" "${NET_ALL_OFF:+ with every VIADUCT_NO_* set}"
	if [ -n "${VM_LANE:-}" ]; then
		setsid timeout "$2" bash "$1" >"$VM_WORK/case.out" 2>&1 7>&- &
	else
		setsid timeout "$2" bash "$1" 7>&- &
	fi
	vm_note_pid "$VM_WORK/case.pid" $! wait
	wait $!
	status=$?
	rm -f "$VM_WORK/case.pid"
	[ -z "${VM_LANE:-}" ] || {
		flock 9
		cat "$VM_WORK/case.out"
	} 9>"$VM_LANE/said.lock"
	[ "$status" != 124 ] || vm_fail "$name" "not finished in $2 s"
	printf '# case %s%s took %d s\n' "$name" "${NET_ALL_OFF:+ with every VIADUCT_NO_* set}" $((SECONDS - began))
	return "$status"
}
