#!/bin/bash
# networkd.sh DIR: systemd-networkd and the bus that networkctl asks it by, in the foreground, in this network namespace and
# in a mount namespace with a /run of its own. *.network files of DIR are read at start. A line "reload" on standard input
# copies them anew and runs networkctl reload, "reconfigure DEVICE" runs that, and "list" prints what networkd thinks;
# each is answered by its status in a line. The end of the input ends both programs.
dir=$1
mount --make-rprivate / && mount -t tmpfs tmpfs /run && mount -o remount,ro,bind /sys || exit 1
mkdir -p /run/dbus /run/systemd/network /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
cp "$dir"/*.network /run/systemd/network/
chown -R systemd-network:systemd-network /run/systemd/netif
dbus-daemon --config-file=/usr/share/dbus-1/system.conf --nofork --nopidfile --nosyslog --address=unix:path=/run/dbus/system_bus_socket >"$dir/dbus.log" 2>&1 &
bus=$!
/lib/systemd/systemd-networkd >"$dir/networkd.log" 2>&1 &
networkd=$!
trap 'kill $networkd $bus 2>/dev/null; wait' EXIT
for ((i = 0; i < 100; i++)); do
	networkctl --no-pager list >/dev/null 2>&1 && break
	sleep 0.1
done
while read -r what device; do
	case $what in
	reload)
		cp "$dir"/*.network /run/systemd/network/
		networkctl reload >&2
		;;
	reconfigure) networkctl reconfigure "$device" >&2 ;;
	list) networkctl --no-pager --no-legend list >&2 ;;
	esac
	echo "$what $?"
done
