# shellcheck shell=bash
# What to type into which client. Sourced by tools/run.

vd_print_clients() { # ADDRESS CONFIGURATION-FOLDER
	local address=$1 psk user password
	psk=$(cat "$2/secrets/l2tp.psk")
	user=user1
	password=$(cat "$2/secrets/user1")
	cat <<T

${VD_BOLD}Connect with L2TP/IPsec${VD_PLAIN}

    Server              $address
    Pre-shared key      $psk
    User name           $user
    Password            $password

${VD_YELLOW}Whoever knows this pre-shared key can pretend to be this gateway and see what its users do. Give it only to people
you would let read that traffic.${VD_PLAIN} If this host is behind a router, forward UDP 500 and 4500 to it and
dial the router's address instead.

${VD_BOLD}Windows${VD_PLAIN}   Settings > Network & internet > VPN > Add VPN. VPN provider: Windows (built-in); server name: $address;
          VPN type: L2TP/IPsec with pre-shared key; pre-shared key, user name and password as above. Save, Connect.
          The gateway behind a router needs one more thing, once, as administrator, then a restart:
          reg add HKLM\\SYSTEM\\CurrentControlSet\\Services\\PolicyAgent /v AssumeUDPEncapsulationContextOnSendRule /t REG_DWORD /d 2
${VD_BOLD}macOS${VD_PLAIN}     System Settings > Network > ... > Add VPN Configuration > L2TP over IPSec. Server address: $address;
          account name: $user; user authentication: Password; machine authentication: Shared Secret = the pre-shared
          key. Options: Send all traffic over VPN connection.
${VD_BOLD}iOS${VD_PLAIN}       Settings > General > VPN & Device Management > VPN > Add VPN Configuration. Type: L2TP; server: $address;
          account: $user; password; secret = the pre-shared key; Send All Traffic on.
${VD_BOLD}Android${VD_PLAIN}   Settings > Network & internet > VPN > +. Type: L2TP/IPSec PSK; server address: $address; IPSec pre-shared key;
          then user name and password. Android up to 11 knows only a weak key exchange (1024 bits): it connects after you
          took the # off "crypto: legacy" in conf.d/30-l2tp.yaml. Android 12 and later offer no new L2TP profiles.
${VD_BOLD}Linux${VD_PLAIN}     With NetworkManager-l2tp: nmcli connection add type vpn con-name viaduct vpn-type l2tp vpn.data \\
            "gateway=$address,user=$user,ipsec-enabled=yes,ipsec-psk=$psk,mru=1400,mtu=1400" \\
            vpn.secrets password=$password   and then: nmcli connection up viaduct
T
}
