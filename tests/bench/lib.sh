# shellcheck shell=bash
# The bench's two namespaces and what stands in them, one leg at a time. A leg is a function leg_NAME that sets BENCH_TO (the
# inner address of B, where iperf3 listens), BENCH_A and BENCH_B (pids of the two parties), or a reason in BENCH_WHY and returns 1,
# or BENCH_MISSING where what it compares with is not installed.
#
#   vdbn-a 192.0.2.2 (wan0) ------ (wan0) 192.0.2.1 vdbn-b        A dials and is on CPU 0; B answers and is on CPU 1
VM_WORK=${BENCH_WORK:-/var/tmp/viaduct-bench}
# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../vm/lib.sh"
CHARON=/usr/lib/ipsec/charon
BENCH_MISSING=77
BENCH_CC=${BENCH_CC:-cubic} # the host's own choice differs from machine to machine, and with it what TCP costs

cpu_of() { if [ "$1" = a ] || [ "$(nproc)" = 1 ]; then echo 0; else echo 1; fi; }
bench_down() {
	local f ns
	for f in "$VM_WORK"/*.pid; do [ -e "$f" ] && vm_end "$f" TERM 50; done
	while read -r ns _; do
		case $ns in vdbn-*) ip netns del "$ns" ;; esac
	done < <(ip netns list)
	rm -f /run/wireguard/vdbn?.sock
	return 0
}
bench_up() {
	bench_down
	vm_ns vdbn-a && vm_ns vdbn-b && ip link add wan0 netns vdbn-a type veth peer name wan0 netns vdbn-b || return 1
	ip -n vdbn-a addr add 192.0.2.2/24 dev wan0 && ip -n vdbn-b addr add 192.0.2.1/24 dev wan0 || return 1
	ip -n vdbn-a link set wan0 up && ip -n vdbn-b link set wan0 up
}
# Whether the CPU seconds of a process have the softirq time in them that was spent while it ran.
softirq_time() {
	local config
	config=$({ zcat /proc/config.gz || cat "/boot/config-$(uname -r)"; } 2>/dev/null)
	case $config in
	*CONFIG_IRQ_TIME_ACCOUNTING=y*) echo "left out" ;;
	"") echo "unknown: the kernel's configuration cannot be read" ;;
	*) echo "counted in" ;;
	esac
}
# party SIDE COMMAND...: in the background; its pid, not that of a shell around it, is noted and becomes BENCH_A or BENCH_B.
party() {
	local side=$1
	shift
	ip netns exec "vdbn-$side" taskset -c "$(cpu_of "$side")" "$@" </dev/null >"$VM_WORK/$side.log" 2>&1 7>&- &
	vm_note_pid "$VM_WORK/$side.pid" $!
	printf -v "BENCH_${side^^}" %s "$!"
}
bench_wait() { # TENTHS COMMAND...
	local i n=$1
	shift
	for ((i = 0; i < n; i++)); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.1
	done
	return 1
}

leg_veth() {
	ip -n vdbn-a link set wan0 mtu 1400
	ip -n vdbn-b link set wan0 mtu 1400
	BENCH_TO=192.0.2.1 BENCH_A='' BENCH_B=''
}

leg_wireguard_go() {
	local a b
	command -v wireguard-go wg >/dev/null || {
		BENCH_WHY="wireguard-go is not installed"
		return $BENCH_MISSING
	}
	(umask 077 && wg genkey >"$VM_WORK/wga.key" && wg genkey >"$VM_WORK/wgb.key")
	party a env WG_PROCESS_FOREGROUND=1 LOG_LEVEL=error wireguard-go -f vdbna
	party b env WG_PROCESS_FOREGROUND=1 LOG_LEVEL=error wireguard-go -f vdbnb
	bench_wait 50 wg show vdbna && bench_wait 50 wg show vdbnb
	a=$(wg pubkey <"$VM_WORK/wga.key") b=$(wg pubkey <"$VM_WORK/wgb.key")
	wg set vdbna private-key "$VM_WORK/wga.key" listen-port 51820 peer "$b" endpoint 192.0.2.1:51820 allowed-ips 10.95.0.0/24
	wg set vdbnb private-key "$VM_WORK/wgb.key" listen-port 51820 peer "$a" endpoint 192.0.2.2:51820 allowed-ips 10.95.0.0/24
	ip -n vdbn-a addr add 10.95.0.2/24 dev vdbna && ip -n vdbn-a link set vdbna mtu 1400 up
	ip -n vdbn-b addr add 10.95.0.1/24 dev vdbnb && ip -n vdbn-b link set vdbnb mtu 1400 up
	BENCH_TO=10.95.0.1
}

# charon with its userspace ESP, IKEv2 in tunnel mode (it has no other), UDP encapsulation forced.
charon_files() { # SIDE LOCAL REMOTE INNER-LOCAL INNER-REMOTE
	local d=$VM_WORK/charon-$1
	rm -rf "$d"
	mkdir -p "$d"
	cat >"$d/strongswan.conf" <<-C
		charon {
		  load = random nonce openssl pem pkcs1 x509 pubkey sha1 sha2 hmac kdf aes kernel-libipsec kernel-netlink socket-default vici updown
		  install_virtual_ip = no
		  plugins {
		    vici {
		      socket = unix://$d/vici
		    }
		    kernel-libipsec {
		      allow_peer_ts = yes
		    }
		  }
		  filelog {
		    log {
		      path = $d/log
		      default = 1
		    }
		  }
		}
		swanctl {
		  load = random openssl pem pkcs1 x509 pubkey
		}
	C
	cat >"$d/swanctl.conf" <<-C
		connections {
		  bench {
		    version = 2
		    local_addrs = $2
		    remote_addrs = $3
		    encap = yes
		    proposals = aes256-sha384-ecp384
		    local {
		      auth = psk
		      id = $2
		    }
		    remote {
		      auth = psk
		      id = $3
		    }
		    children {
		      inner {
		        local_ts = $4/32
		        remote_ts = $5/32
		        esp_proposals = aes256gcm16
		      }
		    }
		  }
		}
		secrets {
		  ike-bench {
		    secret = "bench-psk"
		  }
		}
	C
}
charon_start() { # SIDE
	local d=$VM_WORK/charon-$1
	party "$1" unshare -m bash -c "mount -t tmpfs tmpfs /run; exec env STRONGSWAN_CONF=$d/strongswan.conf $CHARON"
}
swanctl_at() { # SIDE ARGUMENT...
	local d=$VM_WORK/charon-$1
	shift
	STRONGSWAN_CONF=$d/strongswan.conf timeout 15 swanctl "$@" --uri "unix://$d/vici"
}
redial_strongswan() {
	swanctl_at a --terminate --ike bench && swanctl_at a --initiate --child inner
}
leg_strongswan() {
	if ! [ -x $CHARON ] || ! [ -e /usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so ] || ! command -v swanctl >/dev/null; then
		BENCH_WHY="charon, swanctl or its plugin kernel-libipsec is not installed"
		return $BENCH_MISSING
	fi
	charon_files a 192.0.2.2 192.0.2.1 10.94.0.2 10.94.0.1
	charon_files b 192.0.2.1 192.0.2.2 10.94.0.1 10.94.0.2
	ip -n vdbn-a addr add 10.94.0.2/32 dev lo && ip -n vdbn-b addr add 10.94.0.1/32 dev lo
	charon_start a
	charon_start b
	bench_wait 100 test -S "$VM_WORK/charon-a/vici" && bench_wait 100 test -S "$VM_WORK/charon-b/vici"
	sleep 0.5
	swanctl_at a --load-all --file "$VM_WORK/charon-a/swanctl.conf" >"$VM_WORK/charon-a/load" 2>&1
	swanctl_at b --load-all --file "$VM_WORK/charon-b/swanctl.conf" >"$VM_WORK/charon-b/load" 2>&1
	swanctl_at a --initiate --child inner >"$VM_WORK/charon-a/initiate" 2>&1 || {
		BENCH_WHY="charon: $(tail -n 1 "$VM_WORK/charon-a/initiate")"
		return 1
	}
	ip -n vdbn-a link set ipsec0 mtu 1400 txqueuelen 1000
	ip -n vdbn-b link set ipsec0 mtu 1400 txqueuelen 1000
	BENCH_TO=10.94.0.1
}

# ---- Viaduct: the gateway at B ----
gateway_files() {
	local c=$VM_WORK/b/config
	rm -rf "$VM_WORK/b"
	mkdir -p "$c/conf.d" "$c/secrets" "$c/users" "$VM_WORK/b/state" "$VM_WORK/b/run"
	vm_secret "$c/secrets/psk" bench-psk-0123456789abcdef
	vm_secret "$c/secrets/alice" bench-password
	cat >"$c/viaduct.yaml" <<-Y
		gateway:
		  name: gw.example.org
		  listen: [192.0.2.1]
		  workers: 1
	Y
	cat >"$c/conf.d/10-bench.yaml" <<-Y
		users:
		  bench: { file: ../users/bench.yaml }
		realms:
		  bench: { authenticate: [users/bench] }
		pools:
		  bench: { range: 10.93.0.10-10.93.0.99, dns: [192.0.2.1] } # espblast asks for name servers
		connections:
		  bench:
		    accept: [l2tp]
		    realm: bench
		    pool: bench
		    crypto: modern
		    routes: all
		    reach: all
		    l2tp: { auth: psk, psk: !file ../secrets/psk }
	Y
	cat >"$c/users/bench.yaml" <<-Y
		alice: { password: !file ../secrets/alice, address: 10.93.0.11 }
	Y
	vd_own_configuration "$VM_WORK/b"
}
ready() { # SIDE
	[ -n "$(ip netns exec "vdbn-$1" ss -Hlun 'sport = :4500')" ] && [ -S "$VM_WORK/$1/run/control.sock" ]
}
daemon_start() { # SIDE
	party "$1" env VIADUCT_PLUGINDIR="$VD_PLUGINDIR" "$VM_BUILD/core/viaductd" --foreground --config "$VM_WORK/$1/config" \
		--state "$VM_WORK/$1/state" --run "$VM_WORK/$1/run"
	bench_wait 150 ready "$1" && return
	BENCH_WHY="the daemon did not start: $(tail -n 1 "$VM_WORK/$1.log")"
	return 1
}
gateway_start() {
	gateway_files
	vd_daemon_env "$VM_BUILD" || {
		BENCH_WHY="the daemon is not built in $VM_BUILD"
		return 1
	}
	daemon_start b || return 1
	# What espblast sends goes nowhere behind the TUN device.
	ip -n vdbn-b route add blackhole 198.51.100.0/24
}
ctl() { # SIDE ARGUMENT...
	local side=$1
	shift
	timeout 30 "$VM_BUILD/tools/viaductctl" --socket "$VM_WORK/$side/run/control.sock" "$@"
}
leg_blast() { gateway_start && BENCH_BLAST=''; }
leg_blast_zero() { gateway_start && BENCH_BLAST=--zero-checksum; }

# ---- Viaduct with Viaduct: A dials ----
client_files() {
	local c=$VM_WORK/a/config
	rm -rf "$VM_WORK/a"
	mkdir -p "$c/conf.d" "$c/secrets" "$c/users" "$VM_WORK/a/state" "$VM_WORK/a/run"
	vm_secret "$c/secrets/psk" bench-psk-0123456789abcdef
	vm_secret "$c/secrets/alice" bench-password
	cat >"$c/viaduct.yaml" <<-Y
		gateway:
		  name: branch.example.org
		  listen: [192.0.2.2]
		  workers: 1
	Y
	cat >"$c/conf.d/10-bench.yaml" <<-Y
		connections:
		  bench:
		    connect: [l2tp]
		    peer: 192.0.2.1
		    user: alice
		    password: !file ../secrets/alice
		    crypto: modern
		    routes: [10.93.0.0/24]
		    l2tp: { psk: !file ../secrets/psk, encap: udp } # as strongswan's leg; ESP as a protocol cannot go in batches
	Y
	vd_own_configuration "$VM_WORK/a"
}
redial_viaduct() {
	ctl a connection down bench && ctl a connection up bench
}
leg_viaduct() {
	gateway_start && client_files && daemon_start a || return 1
	ctl a connection up bench >"$VM_WORK/up.out" 2>&1 || {
		BENCH_WHY="$(tail -n 1 "$VM_WORK/up.out")"
		return 1
	}
	BENCH_TO=10.93.0.1
}

# ---- viaduct-load at A, and the gateway at B with users for it ----
load_begin() { # root, a lock, a build
	[ "$(id -u)" = 0 ] || vd_die "needs root: sudo $VD_PROGRAM"
	[ -c /dev/net/tun ] || vd_die "needs /dev/net/tun: modprobe tun"
	mkdir -p "$VM_WORK"
	exec 7>"$VM_WORK/lock"
	flock -w 1800 7 || vd_die "another run holds $VM_WORK/lock"
	VD_LOG=$VM_WORK/build.log
	VM_BUILD=${BENCH_BUILD:-$VD_TOP/build-bench}
	VM_FAILED=0
	[ -z "${BENCH_BUILD:-}" ] || return 0
	vd_packages "build packages" "${VD_BUILD_PKGS[@]}" check >&2
	vd_build "$VM_BUILD" >&2 || vd_die "the build failed: $(grep -m1 -E 'error:|Error' "$VD_LOG" || echo "see $VD_LOG")"
}
load_gateway() { # USERS: the gateway of the other legs, with a pool, users and echoes for so many
	local c=$VM_WORK/b/config i
	bench_up || vd_die "the namespaces could not be made"
	ip -n vdbn-a route add local 10.64.0.0/16 dev lo && ip -n vdbn-b route add 10.64.0.0/16 via 192.0.2.2
	gateway_files
	sed -i 's/10.93.0.10-10.93.0.99/10.93.0.10-10.93.127.250/; s/crypto: modern/ppp: { echo_interval: 20s, echo_failures: 2 }/' \
		"$c/conf.d/10-bench.yaml"
	echo 'ike_v1: { orphan_idle: 30s }' >"$c/conf.d/20-load.yaml"
	for ((i = 1; i <= $1; i++)); do printf 'load%d: { password: !file ../secrets/alice }\n' "$i"; done >"$c/users/bench.yaml"
	vd_own_configuration "$VM_WORK/b"
	vd_daemon_env "$VM_BUILD" && daemon_start b || vd_die "${BENCH_WHY:-the daemon is not built in $VM_BUILD}"
}
said() { # FILE EXPRESSION over the result r
	python3 -c 'import json, sys
r = json.load(open(sys.argv[1]))
print(eval(sys.argv[2]))' "$1" "$2" 2>&1
}
