# shellcheck shell=bash
# Sourced in a guest: strongSwan with the few plugins it needs. Debian's full list takes 19 s to start in here.
vd_charon() {
	local i
	modprobe -a af_key xfrm_user esp4 esp6 authenc echainiv cbc gcm sha512 2>/dev/null
	cat >/etc/strongswan.conf <<-C
		charon {
		  load = random nonce aes sha1 sha2 md5 hmac openssl gmp curve25519 gcm kdf kernel-netlink socket-default stroke vici updown
		  install_routes = no
		  filelog {
		    f {
		      path = /mnt/share/charon.log
		      default = 1
		      flush_line = yes
		    }
		  }
		  syslog {
		    daemon {
		      default = -1
		    }
		  }
		}
	C
	chmod 600 /etc/ipsec.secrets
	ipsec start >/mnt/share/ipsec-start.log 2>&1
	for ((i = 0; i < 150; i++)); do
		ipsec status 2>/dev/null | grep -q 'Security Associations' && return 0
		sleep 0.1
	done
	echo "charon did not start"
	return 1
}
