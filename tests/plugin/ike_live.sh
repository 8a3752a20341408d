#!/bin/bash
# ike_live.sh PROGRAM [IKE ESP]: strongSwan's charon as IKEv1 client against ike_live, in namespaces of its own. Needs root.
# The kernel may lack ESP: what is proved is phase 1 and the quick mode up to what charon can install.
set -u
prog=$1 ike=${2:-aes256-sha256-modp2048} esp=${3:-aes256-sha1} encap=${4:-yes} psk=${5:-correct horse battery}
[ -x /usr/lib/ipsec/charon ] || exit 77
gw=ike-live-gw-$$ cl=ike-live-cl-$$ d=$(mktemp -d) pids=
cleanup() {
	# Not TERM: Check hands that on to its process group, which is ours.
	for p in $pids; do kill -KILL "$p" 2>/dev/null; done
	for p in $pids; do wait "$p" 2>/dev/null; done
	ip netns del "$gw"
	ip netns del "$cl"
	rm -rf "$d"
}
trap cleanup EXIT
ip netns add "$gw" && ip netns add "$cl" || exit 77
ip link add ike0 netns "$gw" type veth peer name ike0 netns "$cl"
ip -n "$gw" addr add 10.91.7.1/24 dev ike0; ip -n "$gw" link set ike0 up
ip -n "$cl" addr add 10.91.7.2/24 dev ike0; ip -n "$cl" link set ike0 up; ip -n "$cl" link set lo up
for k in conf.d x509 x509ca x509ocsp x509aa x509ac x509crl pubkey private rsa ecdsa bliss pkcs8 pkcs12; do
	mkdir -p "$d/swanctl/$k"
done
cat > "$d/strongswan.conf" <<C
charon {
  load = random nonce aes sha1 sha2 md5 hmac openssl gmp gcm kdf pem kernel-libipsec kernel-netlink socket-default vici
  plugins {
    vici {
      socket = unix://$d/vici
    }
  }
  filelog {
    f {
      path = $d/log
      default = 1
      flush_line = yes
    }
  }
}
swanctl {
  load = random openssl
}
C
cat > "$d/swanctl/swanctl.conf" <<C
connections {
  t {
    version = 1
    local_addrs = 10.91.7.2
    remote_addrs = 10.91.7.1
    proposals = $ike
    encap = $encap
    dpd_delay = 2s
    local {
      auth = psk
      id = 10.91.7.2
    }
    remote {
      auth = psk
      id = 10.91.7.1
    }
    children {
      l2tp {
        mode = transport
        local_ts = 10.91.7.2[udp/1701]
        remote_ts = 10.91.7.1[udp/1701]
        esp_proposals = $esp
      }
    }
  }
}
secrets {
  ike-a {
    secret = "$psk"
  }
}
C
ip netns exec "$gw" "$prog" 10.91.7.1 12 > "$d/gw" 2>&1 & pids="$pids $!"
ip netns exec "$cl" bash -c "mount -t tmpfs tmpfs /run && exec env STRONGSWAN_CONF=$d/strongswan.conf /usr/lib/ipsec/charon" > "$d/out" 2>&1 & pids="$pids $!"
for _ in $(seq 50); do [ -S "$d/vici" ] && break; sleep 0.1; done
export STRONGSWAN_CONF=$d/strongswan.conf SWANCTL_DIR=$d/swanctl
swanctl --load-all --uri "unix://$d/vici" > /dev/null
swanctl --initiate --child l2tp --timeout 4 --uri "unix://$d/vici" | tail -25
sleep 3
swanctl --list-sas --uri "unix://$d/vici"
swanctl --terminate --ike t --timeout 2 --uri "unix://$d/vici" | tail -3
sleep 1
echo "--- gateway"; cat "$d/gw"
