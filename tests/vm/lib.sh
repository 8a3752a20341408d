# shellcheck shell=bash
# The rig of tests/vm, to be sourced: namespaces, User-Mode Linux guests, the gateway under test, the server behind it.
#
#   vdvm-home1..9 (192.168.1.0/24 each, masquerading, when asked for)
#        |
#   vdvm-nat1 (192.168.71.0/24, masquerading) --+
#   direct guests ------------------------------+-- vdvm-wan 10.77.0.0/24 -- vdvm-gw 10.77.0.1 | 198.51.100.1 -- vdvm-inet
#
# Everything the rig makes is named vdvm-* or lies in $VM_WORK, with the pids it started; vm_down removes all of it, also
# what an earlier, killed run left. $VM_WORK is outside the checkout on purpose: a guest sees the host's / but mounts its
# own /tmp and /run, so a checkout there would be invisible to it.

VM_HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
VM_TOP=$(cd "$VM_HERE/../.." && pwd)
# shellcheck source=tools/lib/common.sh
. "$VM_TOP/tools/lib/common.sh"
VM_WORK=${VM_WORK:-/var/tmp/viaduct-vm}
VM_BUILD=${VM_BUILD:-$VM_TOP/build-test}
VM_PEER=${VM_PEER:-viaduct} # or "reference": strongSwan, xl2tpd and pppd in a guest play the gateway, to prove the rig
VM_BYTES=${VM_BYTES:-104857600}
VM_WAN=10.77.0
VM_GW=$VM_WAN.1
VM_SITE=198.51.100.2
VM_SITE6=2001:db8:77::2
VM_PREFIX=2001:db8:8::/48 # of pool alpha where a case wants one; the site knows the way back
VM_PKGS=(user-mode-linux strongswan-charon strongswan-starter strongswan-swanctl strongswan-libcharon
	libcharon-extra-plugins libstrongswan-extra-plugins libstrongswan-standard-plugins xl2tpd ppp iproute2 nftables
	kmod openssl iputils-ping procps python3 util-linux dhcping netbase dhcpcd-base conntrack)
export VM_WORK VM_BUILD VM_PEER VM_BYTES

# ---- results: one line each, counted by tools/test ----
vm_pass() { printf 'PASS %s\n' "$*"; }
vm_skip() { printf 'SKIP %s: %s\n' "$1" "$2"; }
vm_fail() {
	printf 'FAIL %s: %s\n' "$1" "$2"
	VM_FAILED=1
}
# Ends a case at the first thing that makes the rest of it pointless.
vm_fatal() {
	vm_fail "$@"
	exit 1
}

# The cases of a folder, one a line; with VM_BRIEF set only those that say "# brief": they need nearly every package between them.
vm_cases() { # FOLDER
	local f
	for f in "$1"/*; do
		[ -n "${VM_BRIEF:-}" ] && ! grep -qx '# brief' "$f" || printf '%s\n' "${f##*/}"
	done
}

vm_case() { # FOLDER NAME: prints the file of a case, of which a part of the name will do
	local f=$1/$2
	[ -e "$f" ] || for f in "$1"/*"$2"*; do break; done
	if [ -e "$f" ]; then echo "$f"; else vm_fail "$2" "there is no such case" >&2; fi
	[ -e "$f" ]
}

# ---- processes we started: "pid start-time", so that a recycled pid is never hit ----
vm_note_pid() { # FILE PID [wait]: "wait" when the caller waits for it; else its end is no news to the shell
	local start
	[ "${3:-}" = wait ] || disown "$2" 2>/dev/null
	start=$(vm_start_time "$2") || return 1
	printf '%s %s\n' "$2" "$start" >"$1"
}
vm_start_time() { # PID
	local stat
	read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
	stat=${stat##*) }
	# shellcheck disable=SC2086
	set -- $stat
	printf '%s\n' "${20}"
}
vm_pid() { # FILE: prints the pid while that very process lives
	local pid start
	[ -r "$1" ] && read -r pid start <"$1" && [ -n "$pid" ] && [ "$(vm_start_time "$pid")" = "$start" ] &&
		printf '%s\n' "$pid"
}
vm_end() { # FILE [SIGNAL] [TENTHS]: ends the process of a pid file; 1 when it had to be killed
	local pid i
	pid=$(vm_pid "$1") || {
		rm -f "$1"
		return 0
	}
	kill -"${2:-TERM}" "$pid" 2>/dev/null
	for ((i = 0; i < ${3:-50}; i++)); do
		vm_pid "$1" >/dev/null || {
			rm -f "$1"
			return 0
		}
		sleep 0.1
	done
	kill -KILL "$pid" 2>/dev/null
	rm -f "$1"
	return 1
}

vm_end_session() { # FILE: kills a process that leads a session of its own, with all its children
	local pid i
	pid=$(vm_pid "$1") && {
		kill -KILL -- "-$pid" 2>/dev/null
		for ((i = 0; i < 30; i++)); do
			kill -0 -- "-$pid" 2>/dev/null || break
			sleep 0.1
		done
	}
	rm -f "$1"
}

# ---- namespaces ----
vm_ns() { # NAME
	# Without duplicate address detection a snapshot does not change by itself a second later.
	ip netns add "$1" && ip netns exec "$1" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 &&
		ip -n "$1" link set lo up
}
vm_bridge() { # NAMESPACE ADDRESS
	ip -n "$1" link add br0 type bridge forward_delay 0 && ip -n "$1" addr add "$2" dev br0 && ip -n "$1" link set br0 up
}
vm_wire() { # NAMESPACE INTERFACE ADDRESS BRIDGE-NAMESPACE
	local far="v${1#vdvm-}-${2}"
	ip link add "$2" netns "$1" type veth peer name "$far" netns "$4" || return 1
	ip -n "$4" link set "$far" master br0 up
	ip -n "$1" addr add "$3" dev "$2"
	ip -n "$1" link set "$2" up
}
vm_masquerade() { # NAMESPACE: what leaves by wan0 has its address
	ip netns exec "$1" sysctl -qw net.ipv4.ip_forward=1
	ip netns exec "$1" nft -f - <<-N
		table ip nat {
			chain post {
				type nat hook postrouting priority 100
				oifname "wan0" masquerade
			}
		}
	N
}
# A household of its own behind vdvm-nat1, addressed as every other: two translations, and private addresses that collide.
vm_home() { # NUMBER
	[ -e "/run/netns/vdvm-home$1" ] && return 0
	vm_ns "vdvm-home$1" && vm_wire "vdvm-home$1" wan0 "192.168.71.10$1/24" vdvm-nat1 && vm_bridge "vdvm-home$1" 192.168.1.1/24 &&
		ip -n "vdvm-home$1" route add default via 192.168.71.1 && vm_masquerade "vdvm-home$1"
}
vm_net() {
	vm_ns vdvm-wan && vm_bridge vdvm-wan "$VM_WAN.254/24" || return 1
	vm_ns vdvm-inet && vm_bridge vdvm-inet "$VM_SITE/24" || return 1
	vm_ns vdvm-nat1 && vm_wire vdvm-nat1 wan0 "$VM_WAN.201/24" vdvm-wan && vm_bridge vdvm-nat1 192.168.71.1/24 || return 1
	vm_masquerade vdvm-nat1 || return 1
	if [ "$VM_PEER" = reference ]; then
		ip -n vdvm-inet route add 10.99.0.0/24 via 198.51.100.1
	else
		vm_ns vdvm-gw && vm_wire vdvm-gw wan0 "$VM_GW/24" vdvm-wan && vm_wire vdvm-gw out0 198.51.100.1/24 vdvm-inet || return 1
		ip -n vdvm-gw route add default via "$VM_SITE"
		ip -n vdvm-gw addr add 2001:db8:77::1/64 dev out0 nodad
	fi
	ip -n vdvm-inet addr add "$VM_SITE6/64" dev br0 nodad && ip -n vdvm-inet route add "$VM_PREFIX" via 2001:db8:77::1 || return 1
	vm_site
}

# ---- the server behind the gateway: one file per user, its octets made from the user's name ----
vm_site() {
	local who i dir=$VM_WORK/site
	mkdir -p "$dir"
	for who in alice bob; do
		[ -s "$dir/$who.bin" ] && [ "$(stat -c %s "$dir/$who.bin")" = "$VM_BYTES" ] && [ -s "$dir/$who.sha256" ] && continue
		head -c "$VM_BYTES" /dev/zero | openssl enc -aes-128-ctr -nosalt -iv 00000000000000000000000000000000 \
			-K "$(printf %s "$who" | sha256sum | cut -c1-32)" -out "$dir/$who.bin"
		sha256sum <"$dir/$who.bin" | cut -d' ' -f1 >"$dir/$who.sha256"
	done
	ip netns exec vdvm-inet python3 "$VM_HERE/site.py" "$dir" "$VM_SITE" 80 >"$VM_WORK/site.log" 2>&1 &
	vm_note_pid "$VM_WORK/site.pid" $!
	ip netns exec vdvm-inet python3 "$VM_HERE/site.py" "$dir" "$VM_SITE6" 80 >"$VM_WORK/site6.log" 2>&1 &
	vm_note_pid "$VM_WORK/site6.pid" $!
	for ((i = 0; i < 100; i++)); do
		[ "$(ip netns exec vdvm-inet ss -Hltn 'sport = :80' | wc -l)" = 2 ] && return 0
		sleep 0.1
	done
	echo "the web server did not start: $(tail -1 "$VM_WORK/site.log")" >&2
	return 1
}

# ---- guests: NAME ADDRESS NAMESPACE ROUTE ----
# A guest's address and place are part of its name: c1, c2 sit on the WAN, n1, n2 behind the NAT, h1, h2 each at home behind
# a router of its own and that NAT, all with one address.
vm_guest_args() {
	case $1 in
	c[1-9]) echo "$VM_WAN.1${1#c}/24 vdvm-wan" ;;
	n[1-9]) echo "192.168.71.1${1#n}/24 vdvm-nat1 $VM_WAN.0/24 192.168.71.1" ;;
	h[1-9]) echo "192.168.1.2/24 vdvm-home${1#h} $VM_WAN.0/24 192.168.1.1" ;;
	srv) echo "$VM_GW/24 vdvm-wan" ;;
	*) return 1 ;;
	esac
}
vm_boot() { # NAME
	local name=$1 addr ns net via d=$VM_WORK/guests/$1 pid i tap="t-$1" second=()
	read -r addr ns net via < <(vm_guest_args "$name") || return 1
	vm_pid "$d/pid" >/dev/null && return 0
	if [[ $name == h? ]]; then vm_home "${name#h}" || return 1; fi
	rm -rf "$d"
	mkdir -p "$d/share" "$VM_WORK/uml"
	rm -rf "${VM_WORK:?}/uml/$name"
	mkfifo "$d/orders"
	ip -n "$ns" tuntap add "$tap" mode tap && ip -n "$ns" link set "$tap" master br0 up || return 1
	if [ "$name" = srv ]; then
		# A TAP can be opened only from its own namespace, so it is made beside the first and moved by a veth.
		ip -n vdvm-wan link add br1 type bridge forward_delay 0 && ip -n vdvm-wan link set br1 up
		ip link add out1 netns vdvm-wan type veth peer name srv-out netns vdvm-inet
		ip -n vdvm-inet link set srv-out master br0 up
		ip -n vdvm-wan link set out1 master br1 up
		ip -n vdvm-wan tuntap add t-srv1 mode tap && ip -n vdvm-wan link set t-srv1 master br1 up
		second=("vec1:transport=tap,ifname=t-srv1,depth=128,gro=1")
	fi
	# con1 reads orders: the guest must find the fifo as its descriptor 3, open for both so that it never sees an end.
	setsid ip netns exec "$ns" linux.uml mem="${VM_MEM:-256M}" root=none rootfstype=hostfs rootflags=/ ro quiet \
		init="$VM_WORK/guest/init" VD_NAME="$name" VD_WORK="$VM_WORK" VD_ADDR="$addr" VD_NET="${net:-}" VD_VIA="${via:-}" \
		con=null con0=null,fd:1 con1=fd:3,null umid="$name" uml_dir="$VM_WORK/uml/" \
		vec0:transport=tap,ifname="$tap",depth=128,gro=1 "${second[@]}" \
		3<>"$d/orders" </dev/null >"$d/console.log" 2>&1 &
	pid=$!
	vm_note_pid "$d/pid" "$pid"
	for ((i = 0; i < 900; i++)); do
		[ -e "$d/share/ready" ] && return 0
		vm_pid "$d/pid" >/dev/null || break
		sleep 0.1
	done
	echo "guest $name did not boot: $(tail -3 "$d/console.log" | tr '\n' ' ')" >&2
	vm_halt "$name"
	return 1
}
vm_need() { # NAME...: boots those that do not run yet, side by side
	local n pids=() bad=0
	for n in "$@"; do
		vm_pid "$VM_WORK/guests/$n/pid" >/dev/null && continue
		vm_boot "$n" &
		pids+=($!)
	done
	for n in "${pids[@]}"; do wait "$n" || bad=1; done
	return "$bad"
}
vm_exec() { # NAME SECONDS COMMANDS: runs them in the guest; 124 when it did not answer in time
	local d=$VM_WORK/guests/$1 s=$VM_WORK/guests/$1/share limit=$2 id=$BASHPID.$RANDOM i status
	vm_pid "$d/pid" >/dev/null || {
		echo "guest $1 is not running" >&2
		return 125
	}
	printf '%s\n' "$3" >"$s/order.$id"
	timeout 2 bash -c 'printf "%s\n" "$1" >"$2"' _ "$id" "$d/orders"
	for ((i = 0; i < limit * 20; i++)); do
		[ -e "$s/status.$id" ] && break
		sleep 0.05
	done
	cat "$s/output.$id" 2>/dev/null
	[ -e "$s/status.$id" ] || {
		echo "guest $1: no answer in $limit s" >&2
		return 124
	}
	status=$(cat "$s/status.$id")
	rm -f "$s/order.$id" "$s/output.$id" "$s/status.$id"
	return "$status"
}
vm_freeze() { # NAME STOP|CONT: as a notebook that is shut, and opened again
	# The guest's kernel alone: it traces its processes, which must not get signals of their own.
	kill -"$2" "$(vm_pid "$VM_WORK/guests/$1/pid")"
}
vm_halt() { # NAME
	local d=$VM_WORK/guests/$1 ns tap
	# Asking it to power off takes longer and frees nothing more: its disk is the host's, read-only.
	vm_end_session "$d/pid"
	read -r _ ns _ < <(vm_guest_args "$1") || return 0
	for tap in "t-$1" "t-${1}1"; do ip -n "$ns" link del "$tap" 2>/dev/null; done
	return 0
}

# ---- a client dials, fetches, hangs up ----
vm_dial() { # NAME USER PSK [VARIABLE=VALUE...]: 0 when PPP is up; the log lies in guests/NAME/share
	local name=$1 user=$2 psk=$3
	shift 3
	vm_exec "$name" "${VM_DIAL_LIMIT:-60}" "SERVER=${VM_DIAL_TO:-$VM_GW} PSK='$psk' NAME='$user' PASS='$user-password' $* $VM_WORK/guest/dial"
}
vm_dial_time() { cat "$VM_WORK/guests/$1/share/dial.time" 2>/dev/null; } # tenths of a second from the order to dial to an address
vm_address() { vm_exec "$1" 10 "ip -4 -o addr show dev ppp0 | sed -n 's/.*inet \\([0-9.]*\\).*/\\1/p'"; }
vm_hangup() { vm_exec "$1" 30 "$VM_WORK/guest/hangup" >/dev/null 2>&1; }
vm_fetch() { # NAME USER [RATE]: prints "octets sha256 milliseconds longest-gap-in-milliseconds"; VM_FROM: the site, instead
	vm_exec "$1" 150 "timeout 140 python3 $VM_WORK/guest/fetch.py 'http://${VM_FROM:-$VM_SITE}/$2.bin${3:+?rate=$3}'"
}
vm_check_fetch() { # CASE NAME USER RESULT: the octets must be that user's file
	local octets sum ms gap
	# shellcheck disable=SC2034
	read -r octets sum ms gap <<<"$4"
	if [ "$octets" = "$VM_BYTES" ] && [ "$sum" = "$(cat "$VM_WORK/site/$3.sha256")" ]; then
		vm_pass "$1: $((octets / 1000000)) MB with the right checksum in $ms ms ($((octets * 8 / (ms + 1) / 1000)) Mbit/s, longest gap $gap ms)"
	else
		vm_fail "$1" "download of $3.bin by $2 gave '${4:-nothing}', wanted $VM_BYTES octets $(cat "$VM_WORK/site/$3.sha256")"
	fi
}
vm_tail() { # NAME: the last lines of a guest's logs, for a failure
	local f
	for f in ipsec-up charon xl2tpd pppd; do
		[ -s "$VM_WORK/guests/$1/share/$f.log" ] || continue
		printf '# %s %s:\n' "$1" "$f"
		tail -n "${2:-8}" "$VM_WORK/guests/$1/share/$f.log" | sed 's/^/#   /'
	done
}

# ---- the gateway ----
VM_USERS=(alice bob carol dave erin frank grace)
vm_user_address() { # USER: the dedicated one
	local i
	for i in "${!VM_USERS[@]}"; do [ "${VM_USERS[i]}" = "$1" ] && echo "10.99.0.$((11 + i))"; done
}
vm_config() { # writes the configuration of the gateway under test
	local c=$VM_WORK/gateway/config who
	rm -rf "$VM_WORK/gateway"
	mkdir -p "$c/conf.d" "$c/secrets" "$c/users" "$VM_WORK/gateway/state" "$VM_WORK/gateway/run"
	vm_secret "$c/secrets/alpha.psk" alpha-psk-0123456789abcdef
	vm_secret "$c/secrets/beta.psk" beta-psk-fedcba9876543210
	for who in "${VM_USERS[@]}"; do vm_secret "$c/secrets/$who" "$who-password"; done
	cat >"$c/viaduct.yaml" <<-Y
		gateway:
		  name: gw.example.org
		  listen: [$VM_GW]
		  workers: ${VM_WORKERS:-2}
	Y
	cat >"$c/conf.d/10-people.yaml" <<-Y
		users:
		  people: { file: ../users/people.yaml }
		realms:
		  people: { authenticate: [users/people] }
		pools:
		  alpha: { range: 10.99.0.10-10.99.0.200, dns: [$VM_SITE] }
		  beta: { range: 10.98.0.10-10.98.0.200, dns: [$VM_SITE] }
	Y
	cat >"$c/conf.d/20-alpha.yaml" <<-Y
		connections:
		  alpha:
		    accept: [l2tp]
		    realm: people
		    pool: alpha
		    routes: all
		    egress: masquerade
		    reach: [internet, local, dns, clients, host, inbound]
		    l2tp: { auth: psk, psk: !file ../secrets/alpha.psk }
	Y
	cat >"$c/conf.d/30-beta.yaml" <<-Y
		connections:
		  beta:
		    accept: [l2tp]
		    realm: people
		    pool: beta
		    routes: all
		    egress: masquerade
		    reach: [internet, local, dns, clients, host, inbound]
		    l2tp: { auth: psk, psk: !file ../secrets/beta.psk }
	Y
	cat >"$c/users/people.yaml" <<-Y
		alice: { password: !file ../secrets/alice, address: 10.99.0.11 }
		bob: { password: !file ../secrets/bob, address: ${VM_BOB_ADDRESS:-10.99.0.12} }
	Y
	for who in "${VM_USERS[@]:2}"; do
		echo "$who: { password: !file ../secrets/$who, address: $(vm_user_address "$who") }" >>"$c/users/people.yaml"
	done
	vd_own_configuration "$VM_WORK/gateway"
}
vm_listens() { # NAMESPACE DIR: the daemon on DIR has its ports and its control socket
	[ -n "$(ip netns exec "$1" ss -Hlun 'sport = :4500')" ] && ip netns exec "$1" ss -Hlx | grep -qF " $2/run/control.sock "
}
vm_secret() { # FILE TEXT
	(umask 077 && printf '%s\n' "$2" >"$1")
}
vm_gateway() { # starts the gateway and waits until it listens; VM_CONFIG: what writes its configuration; VM_OPTIONS: of the daemon
	if [ "$VM_PEER" = reference ]; then
		vm_need srv && vm_exec srv 60 "PSK=alpha-psk-0123456789abcdef $VM_WORK/guest/reference" >"$VM_WORK/reference.log" 2>&1
		return
	fi
	vm_gateway_stop
	"${VM_CONFIG:-vm_config}"
	: >"$VM_WORK/gateway/log"
	vm_gateway_start
}
vm_gateway_start() { # as it is configured; the log goes on
	local i
	vd_daemon_env "$VM_BUILD" || return 1
	# shellcheck disable=SC2086
	ip netns exec vdvm-gw env VIADUCT_PLUGINDIR="$VD_PLUGINDIR" ASAN_OPTIONS=detect_leaks=0 \
		UBSAN_OPTIONS=print_stacktrace=1 "$VM_BUILD/core/viaductd" --foreground --config "$VM_WORK/gateway/config" \
		--state "$VM_WORK/gateway/state" --run "$VM_WORK/gateway/run" ${VM_OPTIONS:-} </dev/null >>"$VM_WORK/gateway/log" 2>&1 &
	vm_note_pid "$VM_WORK/gateway.pid" $!
	for ((i = 0; i < 150; i++)); do
		vm_pid "$VM_WORK/gateway.pid" >/dev/null || break
		vm_listens vdvm-gw "$VM_WORK/gateway" && return 0
		sleep 0.1
	done
	echo "the gateway did not start: $(grep -v '^$' "$VM_WORK/gateway/log" | tail -1)" >&2
	return 1
}
vm_gateway_stop() { # 1 when it had to be killed
	[ "$VM_PEER" = reference ] && return 0
	vm_end "$VM_WORK/gateway.pid" TERM 60
}
vm_ctl() { # viaductctl against the gateway under test
	timeout 10 "$VM_BUILD/tools/viaductctl" --socket "$VM_WORK/gateway/run/control.sock" "$@" 2>&1
}
vm_sanitizers() { # CASE: what the sanitizers had to say about the daemon
	[ -s "$VM_WORK/gateway/log" ] || return 0
	if grep -qE '(ERROR|WARNING): [A-Za-z]*Sanitizer|runtime error:' "$VM_WORK/gateway/log"; then
		vm_fail "$1 sanitizers" "$(grep -m1 -E 'Sanitizer|runtime error:' "$VM_WORK/gateway/log")"
	fi
}
# What the host's namespace looks like, for "as it was before".
# What a daemon must leave as it was. Forwarding stays on, with what the kernel changes along with it: others may need it by then.
vm_snapshot() { # NAMESPACE
	ip -n "$1" addr
	ip -n "$1" route show table all
	ip -n "$1" -6 route show table all
	ip netns exec "$1" nft list ruleset
	ip netns exec "$1" sysctl -a 2>/dev/null | grep -E '^net\.' | grep -vE '_count|random|uuid|entropy|\.probe_interval|nf_conntrack_(count|buckets)|ip_forward|\.forwarding|\.all\.accept_redirects|\.accept_ra ='
}
# Cases that make no sense against the reference gateway.
vm_only_viaduct() { # CASE REASON
	[ "$VM_PEER" = reference ] || return 0
	vm_skip "$1" "reference gateway: $2"
	exit 0
}

# ---- up and down ----
vm_up() {
	mkdir -p "$VM_WORK"
	vm_down
	mkdir -p "$VM_WORK/guest" "$VM_WORK/guests"
	cp "$VM_HERE"/guest/* "$VM_WORK/guest/" && chmod 755 "$VM_WORK"/guest/*
	mkdir -p "$VM_WORK/modules/lib" && ln -sfn /usr/lib/uml/modules "$VM_WORK/modules/lib/modules"
	vm_net
}
vm_down() {
	local d ns
	vm_end_session "$VM_WORK/case.pid"
	for d in "$VM_WORK"/guests/*; do [ -e "$d/pid" ] && vm_halt "${d##*/}"; done
	vm_end "$VM_WORK/gateway.pid" TERM 50
	vm_end "$VM_WORK/site.pid" TERM 20
	vm_end "$VM_WORK/returns.pid" TERM 20
	vm_end "$VM_WORK/site6.pid" TERM 20
	for ns in vdvm-home{1..9} vdvm-gw vdvm-nat1 vdvm-inet vdvm-wan; do
		ip netns list | grep -q "^$ns\\b" && ip netns del "$ns"
	done
	return 0
}
