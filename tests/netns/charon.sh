# shellcheck shell=bash
# Sourced by cases in which strongSwan's charon is the client, in vdnn-peer: it runs on files below $dir, and swan asks it.
# Its ESP in userspace knows tunnels alone, so that it connects with XAuth.
dir=$VM_WORK/charon
# charon_there: skips the case when it is not installed.
charon_there() {
	[ -x /usr/lib/ipsec/charon ] && command -v swanctl >/dev/null || {
		vm_skip "$CASE" "charon or swanctl is not installed"
		exit 0
	}
}
# charon_begin OCTETS: starts it. OCTETS: no datagram of IKE is larger.
charon_begin() {
	local d i
	rm -rf "$dir"
	for d in conf.d x509 x509ca x509ocsp x509aa x509ac x509crl pubkey private rsa ecdsa bliss pkcs8 pkcs12; do mkdir -p "$dir/swanctl/$d"; done
	cat >"$dir/strongswan.conf" <<-C
		charon {
		  load = random nonce aes sha1 sha2 md5 hmac openssl curve25519 gmp gcm kdf kernel-libipsec kernel-netlink socket-default xauth-generic vici updown
		  fragment_size = $1
		  plugins {
		    vici {
		      socket = unix://$dir/vici
		    }
		  }
		  filelog {
		    f {
		      path = $dir/log
		      default = 1
		      flush_line = yes
		    }
		  }
		}
		swanctl {
		  load = random openssl
		}
	C
	# The pid written down must be charon's, not that of a shell around it. ip netns exec gave it mounts of its own.
	ip netns exec vdnn-peer bash -c "mount -t tmpfs tmpfs /run && exec env STRONGSWAN_CONF=$dir/strongswan.conf /usr/lib/ipsec/charon" \
		</dev/null >"$dir/out" 2>&1 7>&- &
	vm_note_pid "$VM_WORK/own-charon.pid" $!
	for ((i = 0; i < 100; i++)); do
		[ -S "$dir/vici" ] && return
		sleep 0.1
	done
	vm_fatal "$CASE" "charon does not answer: $(tail -2 "$dir/out" | tr '\n' '|')"
}
swan() { timeout 30 env STRONGSWAN_CONF="$dir/strongswan.conf" SWANCTL_DIR="$dir/swanctl" swanctl "$@" --uri "unix://$dir/vici" 2>&1; } # OPTION...
