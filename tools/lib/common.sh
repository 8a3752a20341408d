# shellcheck shell=bash
# What tools/run, tools/test and the rigs share: messages, packages, building, the daemon's surroundings.
# Sourced; uses VD_TOP (the checkout) when set.

VD_TOP=${VD_TOP:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
VD_BUILD_PKGS=(gcc make libc6-dev linux-libc-dev autoconf automake libtool pkg-config libssl-dev libyaml-dev
	libjansson-dev libmnl-dev libnftables-dev libev-dev libltdl-dev libsqlite3-dev libsystemd-dev iproute2 nftables procps)
[ "$(dpkg --print-architecture 2>/dev/null)" != amd64 ] || VD_BUILD_PKGS+=(libipsec-mb-dev) # faster ESP; optional
VD_TEST_PKGS=(sqlite3 strace vpnc g++ check binutils shellcheck ike-scan python3 python3-jsonschema groff-base git xz-utils clang
	libclang-rt-dev)
VD_BENCH_PKGS=(iperf3 iputils-ping python3 wireguard-go wireguard-tools strongswan-charon strongswan-swanctl libcharon-extra-plugins
	libstrongswan-standard-plugins libstrongswan-extra-plugins)

if [ -t 1 ]; then
	VD_BOLD=$'\e[1m' VD_RED=$'\e[31m' VD_GREEN=$'\e[32m' VD_YELLOW=$'\e[33m' VD_PLAIN=$'\e[0m'
else
	VD_BOLD='' VD_RED='' VD_GREEN='' VD_YELLOW='' VD_PLAIN=''
fi
export VD_BOLD VD_RED VD_GREEN VD_YELLOW VD_PLAIN

# One line that says what is wrong and what to do; status 2: nothing was changed.
vd_die() {
	printf '%s: %s\n' "${VD_PROGRAM:-${0##*/}}" "$*" >&2
	exit 2
}

vd_now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# vd_step TEXT COMMAND...: runs it quietly with a line of progress; on failure shows the end of what it said.
# $VD_LOG keeps everything.
vd_step() {
	local text=$1 began pid status shown='' tick
	shift
	began=$(vd_now_ms)
	printf '%s ... ' "$text"
	"$@" >"$VD_LOG.step" 2>&1 &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.2
		[ -t 1 ] || continue
		tick=$(vd_step_progress)
		[ "$tick" = "$shown" ] && continue
		shown=$tick
		printf '\r\e[K%s ... %s' "$text" "$shown"
	done
	wait "$pid"
	status=$?
	cat "$VD_LOG.step" >>"$VD_LOG"
	[ -t 1 ] && printf '\r\e[K%s ... ' "$text"
	if [ "$status" = 0 ]; then
		printf '%sdone%s (%d s)\n' "$VD_GREEN" "$VD_PLAIN" $((($(vd_now_ms) - began) / 1000))
	else
		printf '%sfailed%s\n' "$VD_RED" "$VD_PLAIN"
		tail -n "${VD_STEP_TAIL:-15}" "$VD_LOG.step" | sed 's/^/    /'
	fi
	return "$status"
}
# vd_patient SECONDS FOLDER COMMAND...: ends the command with status 124 when no file below FOLDER has changed for so long: a slow
# machine may take its time, something that hangs may not.
vd_patient() {
	local limit=$1 folder=$2 pid
	shift 2
	touch "$folder" # what is older does not count
	setsid "$@" &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		sleep 1
		[ $((SECONDS % 10)) = 0 ] || continue
		[ -z "$(find "$folder" -newermt "@$((EPOCHSECONDS - limit))" -print -quit)" ] || continue
		kill -- "-$pid" 2>/dev/null
		wait "$pid"
		echo "nothing below $folder has changed for $limit s: cut off"
		return 124
	done
	wait "$pid"
}
vd_step_progress() {
	local done_
	done_=$(grep -cE '^  (CC|CCLD|CXX|GEN) ' "$VD_LOG.step" 2>/dev/null)
	if [ "${done_:-0}" -gt 0 ]; then
		printf '%s files' "$done_"
	else
		tail -n 1 "$VD_LOG.step" 2>/dev/null | tr -d '\r' | cut -c1-60
	fi
}

# ---- packages: only what is missing, and no service starts because of it ----
vd_missing() { # PACKAGE...: prints those that are not installed
	local p have
	have=$(dpkg-query -W -f='${Status} ${Package} ${binary:Package} ${Provides}\n' 2>/dev/null | grep '^install ok installed ')
	for p; do grep -qE "[ ,]${p//+/[+]}([ ,(:]|\$)" <<<"$have" || printf '%s\n' "$p"; done
}
vd_apt() { # PACKAGE...
	local policy=/usr/sbin/policy-rc.d status
	export DEBIAN_FRONTEND=noninteractive
	# Services of freshly installed packages (strongswan, xl2tpd) must not start on the host.
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
	else
		policy=''
	fi
	[ -n "${VD_APT_FRESH:-}" ] || { apt-get update && VD_APT_FRESH=1; }
	apt-get install -y --no-install-recommends "$@"
	status=$?
	[ -n "$policy" ] && rm -f "$policy"
	return "$status"
}
vd_packages() { # WHAT PACKAGE...: installs the missing ones with progress; dies in one line
	local what=$1 missing
	shift
	command -v dpkg-query >/dev/null || {
		echo "$what: not a Debian system, taken as installed"
		return 0
	}
	mapfile -t missing < <(vd_missing "$@")
	[ ${#missing[@]} -gt 0 ] || return 0
	vd_step "Installing $what (${missing[*]})" vd_apt "${missing[@]}" ||
		vd_die "cannot install ${missing[*]}: check the network and 'apt-get update', then run this again"
}

# ---- building, as the owner of the checkout, so that a user's tree does not fill with root's files ----
vd_as_owner() {
	local owner
	owner=$(stat -c %U "$VD_TOP")
	if [ "$(id -u)" = 0 ] && [ "$owner" != root ] && [ "$owner" != UNKNOWN ]; then
		runuser -u "$owner" -- "$@"
	else
		"$@"
	fi
}
vd_build() { # FOLDER CONFIGURE-FLAG...
	local dir=$1 jobs
	shift
	jobs=$(nproc)
	if [ ! -x "$VD_TOP/configure" ] || [ "$VD_TOP/configure.ac" -nt "$VD_TOP/configure" ]; then
		vd_step "Preparing the build (autoreconf)" vd_as_owner autoreconf -i "$VD_TOP" || return 1
	fi
	vd_as_owner mkdir -p "$dir" || return 1
	if [ ! -e "$dir/config.status" ] || [ "$VD_TOP/configure" -nt "$dir/config.status" ]; then
		vd_step "Configuring" vd_as_owner env -C "$dir" "$VD_TOP/configure" "$@" || return 1
	fi
	vd_step "Building in $dir" vd_as_owner make -C "$dir" -j"$jobs"
}
# The plugins of a build folder in one place, and a daemon that runs uninstalled: sets VD_PLUGINDIR.
vd_daemon_env() { # BUILD-FOLDER
	local so
	VD_PLUGINDIR=$1/plugins.run
	[ -x "$1/core/viaductd" ] || {
		echo "$1/core/viaductd is not built" >&2
		return 1
	}
	mkdir -p "$VD_PLUGINDIR" || return 1
	# Daemons may be starting from it meanwhile: what is right already is not touched.
	{
		flock 9
		find "$VD_PLUGINDIR" -type l \( ! -lname "$1/plugins/*" -o -xtype l \) -delete
		for so in "$1"/plugins/*/.libs/*.so; do
			[ ! -e "$so" ] || [ "$(readlink "$VD_PLUGINDIR/${so##*/}")" = "$so" ] || ln -sf "$so" "$VD_PLUGINDIR/${so##*/}"
		done
	} 9>"$VD_PLUGINDIR.lock"
	export VD_PLUGINDIR
	vd_user
}
vd_user() { # the system user that the daemon becomes
	getent passwd viaduct >/dev/null && return 0
	useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin viaduct
}
# Configuration, state and run folders below DIR. Configuration, secrets and the control socket's folder are root's to change and
# viaduct's to read; the state is viaduct's. Folders first, from the top: from then on nobody else can put a link there.
vd_own_configuration() { # DIR
	vd_user && mkdir -p "$1/state" "$1/run" || return 1
	chown -h root:viaduct "$1" "$1/run" && chmod 750 "$1" "$1/run" &&
		find "$1/config" -type d -exec chown -h root:viaduct {} \; -exec chmod 750 {} \; &&
		find "$1/config" -type f -links 1 -exec chown -h root:viaduct {} + -exec chmod u=rw,g=r,o= {} + &&
		chown -h viaduct:viaduct "$1/state" && chmod 750 "$1/state"
}
