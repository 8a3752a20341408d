/* What each stock client says first. Octets where a trace is known; where a fact is known from memory alone it is marked
 * "order", and what is tested with it is that the gateway does not depend on it. */
#include "tests/scenario/stock.h"

#include <viaduct/base.h>

#include "tests/scenario/gateway.h"

/* ---- phase 1: attributes of transforms ---- */
#define AES256 "80010007800e0100"
#define AES128 "80010007800e0080"
#define DES3 "80010005"
#define DES "80010001"
#define MD5 "0001"
#define SHA1 "0002"
#define SHA256 "0004"
#define SHA512 "0006"
/* Cipher first, the lifetime in four octets. */
#define WINDOWS(cipher, hash, group) cipher "8002" hash "8004" group "80030001800b0001000c000400007080"
#define RACOON(life, cipher, hash, group) "800b0001800c" life cipher "80030001" "8002" hash "8004" group
#define RACOON_XAUTH(life, cipher, hash, group) "800b0001800c" life cipher "8003fde9" "8002" hash "8004" group
#define STRONGSWAN(cipher, hash, group) cipher "8002" hash "8004" group "80030001" "800b0001800c2a30"
#define ROUTEROS(cipher, hash, group) "800b0001000c000400015180" cipher "80030001" "8002" hash "8004" group
#define G1024 "0002"
#define G1536 "0005"
#define G2048 "000e"
#define G3072 "000f"
#define P256 "0013"
#define P384 "0014"

static const char *const windows_ike[] = { WINDOWS(AES256, SHA1, P384), WINDOWS(AES128, SHA1, P256),
	WINDOWS(AES256, SHA1, G2048), WINDOWS(DES3, SHA1, G2048), WINDOWS(DES3, SHA1, G1024), NULL };
/* A release without 3DES and group 2: lists are supersets. */
static const char *const windows_new_ike[] = { WINDOWS(AES256, SHA1, P384), WINDOWS(AES128, SHA1, P256),
	WINDOWS(AES256, SHA1, G2048), NULL };
#define APPLE(cipher, hash, group) RACOON("0e10", cipher, hash, group)
static const char *const apple_ike[] = { APPLE(AES256, SHA256, G2048), APPLE(AES256, SHA1, G2048),
	APPLE(AES256, MD5, G2048), APPLE(AES256, SHA512, G2048), APPLE(AES256, SHA256, G1536), APPLE(AES256, SHA1, G1536),
	APPLE(AES256, MD5, G1536), APPLE(AES256, SHA256, G1024), APPLE(AES256, SHA1, G1024), APPLE(AES256, MD5, G1024),
	APPLE(AES128, SHA1, G1024), APPLE(AES128, MD5, G1024), APPLE(DES3, SHA1, G1024), APPLE(DES3, MD5, G1024), NULL };
#define ANDROID(cipher, hash) RACOON("7080", cipher, hash, G1024)
static const char *const android_ike[] = { ANDROID(AES256, SHA256), ANDROID(AES256, SHA1), ANDROID(AES256, MD5),
	ANDROID(AES128, SHA256), ANDROID(AES128, SHA1), ANDROID(AES128, MD5), ANDROID(DES3, SHA256), ANDROID(DES3, SHA1),
	ANDROID(DES3, MD5), ANDROID(DES, SHA256), ANDROID(DES, SHA1), ANDROID(DES, MD5), NULL };
/* XAUTHInitPreShared. */
#define CISCO(cipher, hash, group) RACOON_XAUTH("0e10", cipher, hash, group)
static const char *const cisco_ike[] = { CISCO(AES256, SHA256, G2048), CISCO(AES256, SHA1, G2048),
	CISCO(AES256, MD5, G2048), CISCO(AES256, SHA512, G2048), CISCO(AES256, SHA256, G1536), CISCO(AES256, SHA1, G1536),
	CISCO(AES256, MD5, G1536), CISCO(AES256, SHA1, G1024), CISCO(AES256, MD5, G1024), CISCO(AES128, SHA1, G1024),
	CISCO(AES128, MD5, G1024), CISCO(DES3, SHA1, G1024), CISCO(DES3, MD5, G1024), CISCO(DES, SHA1, G1024),
	CISCO(DES, MD5, G1024), NULL };
#define ANDROID_XAUTH(cipher, hash) RACOON_XAUTH("7080", cipher, hash, G1024)
#define ANDROID_XAUTHS(cipher) ANDROID_XAUTH(cipher, SHA256), ANDROID_XAUTH(cipher, SHA1), ANDROID_XAUTH(cipher, MD5)
static const char *const android_xauth_ike[] = { ANDROID_XAUTHS(AES256), ANDROID_XAUTHS(AES128), ANDROID_XAUTHS(DES3),
	ANDROID_XAUTHS(DES), NULL };
static const char *const routeros_ike[] = { ROUTEROS(AES128, SHA1, G2048), ROUTEROS(AES128, SHA1, G1024),
	ROUTEROS(DES3, SHA1, G2048), ROUTEROS(DES3, SHA1, G1024), NULL };
static const char *const chromeos_ike[] = { STRONGSWAN(AES128, SHA256, G3072), STRONGSWAN(AES128, SHA1, G2048),
	STRONGSWAN(DES3, SHA1, G1536), STRONGSWAN(DES3, SHA1, G1024), NULL };
static const char *const nm_ike[] = { STRONGSWAN(AES256, SHA256, G2048), STRONGSWAN(AES256, SHA256, G1536),
	STRONGSWAN(AES256, SHA256, G1024), STRONGSWAN(AES256, SHA1, G2048), STRONGSWAN(AES256, SHA1, G1536),
	STRONGSWAN(AES256, SHA1, G1024), STRONGSWAN(AES256, SHA1, P384), STRONGSWAN(AES128, SHA1, G1024),
	STRONGSWAN(AES128, SHA1, P256), STRONGSWAN(DES3, SHA1, G2048), STRONGSWAN(DES3, SHA1, G1024), NULL };

/* ---- vendor ids ---- */
#define V_KEY_MODS "01528bbbc00696121849ab9a1c5b2a5100000001"
#define V_NT5 "1e2b516905991c7d7c96fcbfb587e461"
#define V_RFC3947 "4a131c81070358455c5728f20e95452f"
#define V_02N "90cb80913ebb696e086381b5ec427b1f"
#define V_02 "cd60464335df21f87cfdb2fc68b6a448"
#define V_03 "7d9419a65310ca6f2c179d9215529d56"
#define V_00 "4485152d18b6bbcd0be8a8469579ddcc"
#define V_FRAGMENTATION "4048b7d56ebce88525e7de7f00d6c2d3"
#define V_DISCOVERY "fb1de3cdf341b7ea16b7e5be0855f120"
#define V_INITIAL "26244d38eddb61b3172a36e3d0cfb819"
#define V_CGA "e3a5966a76379fe707228231e5ce8652"
#define V_DPD "afcad71368a1f1c96b8696fc77570100"
#define V_XAUTH "09002689dfd6b712"
#define V_UNITY "12f5f28c457168a9702d9fe274cc0100"
#define WINDOWS_VENDORS(version) { V_KEY_MODS, V_NT5 version, V_RFC3947, V_02N, V_FRAGMENTATION, V_DISCOVERY, V_INITIAL, \
	V_CGA, NULL }
static const char *const windows7_vendors[] = WINDOWS_VENDORS("00000007");
static const char *const windows7_other_vendors[] = WINDOWS_VENDORS("00000008"); /* some say so */
static const char *const windows_vendors[] = WINDOWS_VENDORS("00000009");
#define APPLE_VENDORS V_RFC3947, "4df37928e9fc4fd1b3262170d515c662", \
	"8f8d83826d246b6fc7a8a6a428c11de8", "439b59f8ba676c4c7737ae22eab8f582", "4d1e0e136deafa34c4f3ea9f02ec7285", \
	"80d0bb3def54565ee84645d4c85ce3ee", "9909b64eed937c6573de52ace952fa6b", V_03, V_02, V_02N
static const char *const apple_vendors[] = { APPLE_VENDORS, V_FRAGMENTATION "80000000", V_DPD, NULL };
static const char *const cisco_vendors[] = { APPLE_VENDORS, V_XAUTH, V_UNITY, V_FRAGMENTATION "80000000", V_DPD,
	NULL }; /* order */
#define ANDROID_VENDORS V_RFC3947, V_02, V_02N, V_00
static const char *const android_vendors[] = { ANDROID_VENDORS, V_FRAGMENTATION "80000000", V_DPD, NULL };
static const char *const android_xauth_vendors[] = { ANDROID_VENDORS, V_XAUTH, V_UNITY, V_FRAGMENTATION "80000000", V_DPD,
	NULL }; /* order */
static const char *const routeros_vendors[] = { V_RFC3947, V_02N, V_02, V_DPD, NULL }; /* order */
static const char *const strongswan_vendors[] = { V_XAUTH, V_DPD, V_RFC3947, V_02N, NULL };
static const char *const strongswan_fragments_vendors[] = { V_XAUTH, V_DPD, V_FRAGMENTATION, V_RFC3947, V_02N, NULL };

/* ---- quick mode ---- */
#define E_3DES "03"
#define E_DES "02"
#define E_NULL "0b"
#define E_AES "0c"
#define E_GCM16 "14"
#define A_MD5 "80050001"
#define A_SHA1 "80050002"
#define A_SHA256 "80050005"
#define K256 "80060100"
#define K192 "800600c0"
#define K128 "80060080"
#define WINDOWS_ESP "800400EE" A_SHA1 "800100010002000400000e108001000200020004" "0003d090"
static const struct stock_esp windows_esp[] = { { E_AES, K256 WINDOWS_ESP }, { E_AES, K128 WINDOWS_ESP },
	{ E_3DES, WINDOWS_ESP }, { E_DES, WINDOWS_ESP }, { E_NULL, WINDOWS_ESP }, { 0 } }; /* order */
#define RACOON_ESP(life, key, hash) "800100018002" life "800400EE" key hash
#define RACOON_EACH(id, life, key) { id, RACOON_ESP(life, key, A_SHA256) }, { id, RACOON_ESP(life, key, A_SHA1) }, \
	{ id, RACOON_ESP(life, key, A_MD5) }
static const struct stock_esp apple_esp[] = { RACOON_EACH(E_AES, "0e10", K256), RACOON_EACH(E_AES, "0e10", K128),
	RACOON_EACH(E_3DES, "0e10", ""), { 0 } };
#define APPLE_OLD(id, key) { id, RACOON_ESP("0e10", key, A_SHA1) }, { id, RACOON_ESP("0e10", key, A_MD5) }
static const struct stock_esp apple_old_esp[] = { APPLE_OLD(E_AES, K256), APPLE_OLD(E_AES, K128), APPLE_OLD(E_3DES, ""),
	{ 0 } };
static const struct stock_esp android_esp[] = { RACOON_EACH(E_AES, "7080", K256), RACOON_EACH(E_AES, "7080", K128),
	RACOON_EACH(E_3DES, "7080", ""), RACOON_EACH(E_DES, "7080", ""), { 0 } };
#define ROUTEROS_ESP(key) { E_AES, "8003000280010001800207088004" "00EE" key A_SHA1 }
static const struct stock_esp routeros_esp[] = { ROUTEROS_ESP(K256), ROUTEROS_ESP(K192), ROUTEROS_ESP(K128), { 0 } };
#define STRONGSWAN_ESP(key, hash) key hash "800400EE" "800100018002" "0e10"
static const struct stock_esp chromeos_esp[] = { { E_GCM16, STRONGSWAN_ESP(K128, "") },
	{ E_AES, STRONGSWAN_ESP(K128, A_SHA256) }, { E_AES, STRONGSWAN_ESP(K128, A_SHA1) },
	{ E_3DES, STRONGSWAN_ESP("", A_SHA1) }, { E_3DES, STRONGSWAN_ESP("", A_MD5) }, { 0 } };
static const struct stock_esp nm_esp[] = { { E_AES, STRONGSWAN_ESP(K256, A_SHA1) }, { E_AES, STRONGSWAN_ESP(K128, A_SHA1) },
	{ E_3DES, STRONGSWAN_ESP("", A_SHA1) }, { 0 } };

/* ---- L2TP: AVPs behind the Message Type ---- */
#define VERSION "8008000000020100"
#define FRAMING(n) "800a000000030000000" n
#define BEARER "800a0000000400000000"
#define FIRMWARE(n) "800800000006" n
#define TUNNEL "800800000009TTTT"
#define WINDOW(n) "80080000000a000" n
#define SESSION "80080000000eSSSS"
#define SERIAL(n) "800a0000000f" n
#define SPEED(n) "800a00000018" n
#define FRAMING_TYPE(n) "800a000000130000000" n
#define RESULT(n) "800800000001000" n
#define WINDOWS_SCCRQ(firmware) VERSION FRAMING("1") BEARER FIRMWARE(firmware) "8015000000074445534b544f502d31413242334344" \
	"000f000000084d6963726f736f6674" TUNNEL WINDOW("8")
/* A correlation id of Microsoft's, which must not be mistaken for a Result Code. */
#define WINDOWS_ICRQ SESSION SERIAL("00000000") "00160137" "0001b48d1bc5a63c4e5d9f0e112233445566"
#define WINDOWS_L2TP(firmware) .tid = 1, .sid = 1, .sccrq = WINDOWS_SCCRQ(firmware), .icrq = WINDOWS_ICRQ, \
	.iccn = SPEED("05f5e100") FRAMING_TYPE("1"), .cdn = RESULT("3") SESSION, .stopccn = TUNNEL RESULT("1"), .data_length = true
/* Host name with its terminator; Result Codes in the octet order of its processor, with six stale octets. */
#define APPLE_L2TP(source, host) .port = source, .tid = 2, .sid = 0x1d3a, .sccrq = VERSION FRAMING("3") host TUNNEL WINDOW("4"), \
	.icrq = SESSION SERIAL("00000001"), .iccn = SPEED("000f4240") FRAMING_TYPE("3"), \
	.cdn = "800e0000" "00010300" "000000000000" SESSION, .stopccn = TUNNEL "800e0000" "00010100" "000000000000", \
	.data_length = true
#define XL2TPD_SCCRQ(host) VERSION FRAMING("3") BEARER FIRMWARE("0690") host "001300000008" "78656c6572616e63652e636f6d" \
	TUNNEL WINDOW("8")
/* Its Rx Connect Speed has the mandatory bit. */
#define XL2TPD_L2TP(host) .tid = 0x3039, .sid = 0x8a11, .sccrq = XL2TPD_SCCRQ(host), \
	.icrq = SESSION SERIAL("00000001") "800a00000012" "00000000", \
	.iccn = SPEED("00989680") FRAMING_TYPE("3") "800a00000026" "00989680", .cdn = RESULT("3") SESSION, \
	.stopccn = TUNNEL RESULT("1")

/* ---- PPP ---- */
#define MRU(n) "0104" n
#define ACCM "020600000000"
#define MAGIC "050611223344"
#define PFC "0702"
#define ACFC "0802"
#define CBCP "0d0306"
#define A4(type) type "0600000000"
#define VJ "0206002d0f01"
#define MICROSOFT_IPCP A4("03") A4("81") A4("82") A4("83") A4("84")
#define IPV6CP "010a0102030405060708"
#define PPPD_CCP "1a047800" "18047800" "15032f"
static const char *const windows_methods[] = { "c22381", NULL };
static const char *const all_methods[] = { "c22381", "c22305", "c023", NULL };
#define WINDOWS_PPP .methods = windows_methods, .one_id = true, .closes_ccp = true, \
	.identify = { "112233444d5352415356352e3230", "112233444d535241532d302d4445534b544f502d31413242334344", \
		"1122334449a5c1f4e0f1432d8e5e55667788aabb" }, \
	.ncps = { { 0x8057, IPV6CP, NULL }, { 0x80fd, "120601000000", NULL }, { 0x8021, MICROSOFT_IPCP, NULL } }, \
	.terminate = "11223344003ccd7400000000"
#define WINDOWS_LCP MRU("0578") MAGIC PFC ACFC CBCP
#define WINDOWS_IPSEC .esp = windows_esp, .each = true, .natoa = true, .idci_port = 1701
#define APPLE_PPP .methods = all_methods, .lcp = ACCM MAGIC PFC ACFC, .terminate = "557365722072657175657374"
/* Routes and domains are asked for with ACSCP. */
#define APPLE_NCPS(ipcp) { { 0x8021, ipcp, NULL }, { 0x8057, IPV6CP, NULL }, { 0x8235, "010600000000", NULL } }
#define PPPD_PPP .methods = all_methods, .lcp = MRU("0578") ACCM MAGIC PFC ACFC, .terminate = "557365722072657175657374"

const struct stock stocks[] = {
	{ .name = "Windows 7", .profile = "windows", .ike_chosen = "aes256-sha1-ecp384", .esp_chosen = "aes256-sha1",
		.psk = GATEWAY_PSK_STAFF, .ike = windows_ike, .vendors = windows7_vendors, WINDOWS_IPSEC,
		WINDOWS_L2TP("0601"), WINDOWS_PPP, .lcp = WINDOWS_LCP },
	{ .name = "Windows 7 that says 2008 R2", .profile = "windows", .ike_chosen = "aes256-sha1-ecp384", .esp_chosen = "aes256-sha1",
		.psk = GATEWAY_PSK_STAFF, .ike = windows_ike,
		.vendors = windows7_other_vendors, WINDOWS_IPSEC, WINDOWS_L2TP("0601"), WINDOWS_PPP, .lcp = WINDOWS_LCP },
	{ .name = "Windows 10", .profile = "windows", .ike_chosen = "aes256-sha1-ecp384", .esp_chosen = "aes256-sha1",
		.psk = GATEWAY_PSK_STAFF, .ike = windows_ike, .vendors = windows_vendors, WINDOWS_IPSEC,
		WINDOWS_L2TP("0a00"), WINDOWS_PPP, .lcp = WINDOWS_LCP },
	{ .name = "Windows 11", .profile = "windows", .ike_chosen = "aes256-sha1-ecp384", .esp_chosen = "aes256-sha1",
		.psk = GATEWAY_PSK_STAFF, .ike = windows_new_ike, .vendors = windows_vendors, WINDOWS_IPSEC,
		WINDOWS_L2TP("0a00"), WINDOWS_PPP, .lcp = WINDOWS_LCP },
	/* MRRU, endpoint discriminator, link discriminator. */
	{ .name = "Windows with multilink", .profile = "windows", .ike_chosen = "aes256-sha1-ecp384", .esp_chosen = "aes256-sha1",
		.psk = GATEWAY_PSK_STAFF, .ike = windows_ike, .vendors = windows_vendors,
		WINDOWS_IPSEC, WINDOWS_L2TP("0a00"), WINDOWS_PPP,
		.lcp = WINDOWS_LCP "1104064e" "131701" "c0ffee00112233445566778899aabbccddeeff01" "17040001" },
	{ .name = "macOS", .profile = "apple", .ike_chosen = "aes256-sha256-modp2048", .esp_chosen = "aes256-sha256",
		.psk = GATEWAY_PSK_STAFF, .ike = apple_ike, .vendors = apple_vendors, .esp = apple_esp,
		.natoa = true, .idci_port = 56322,
		APPLE_L2TP(56322, "8014000000074d6163426f6f6b2e6c6f63616c00"), APPLE_PPP,
		.ncps = APPLE_NCPS(A4("03") A4("81") A4("83")) },
	{ .name = "macOS, older", .profile = "apple", .ike_chosen = "aes256-sha256-modp2048", .esp_chosen = "aes256-sha1",
		.psk = GATEWAY_PSK_STAFF, .ike = apple_ike, .vendors = apple_vendors, .esp = apple_old_esp,
		.natoa = true, .idci_port = 49153,
		APPLE_L2TP(49153, "8014000000074d6163426f6f6b2e6c6f63616c00"), APPLE_PPP,
		.ncps = APPLE_NCPS(A4("03") VJ A4("81") A4("83")) },
	{ .name = "iOS", .profile = "apple", .ike_chosen = "aes256-sha256-modp2048", .esp_chosen = "aes256-sha256",
		.psk = GATEWAY_PSK_STAFF, .ike = apple_ike, .vendors = apple_vendors, .esp = apple_esp,
		.natoa = true, .idci_port = 61228, APPLE_L2TP(61228, "800d000000076950686f6e6500"), APPLE_PPP,
		.ncps = APPLE_NCPS(A4("03") A4("81") A4("83")) },
	{ .name = "Android", .profile = "android", .ike_chosen = "aes256-sha256-modp1024", .esp_chosen = "aes256-sha1",
		.psk = GATEWAY_PSK_DEVICES, .ike = android_ike, .vendors = android_vendors, .esp = android_esp,
		.natoa = true, .idci_port = 0, .port = 41093, .tid = 0x6b2f, .sid = 0x91c4, .waits = true,
		.sccrq = VERSION "800f00000007616e6f6e796d6f7573" FRAMING("3") TUNNEL WINDOW("1"),
		.icrq = SESSION SERIAL("5a17c0de"), .iccn = SPEED("05f5e100") FRAMING_TYPE("3"),
		.cdn = RESULT("3") SESSION, .stopccn = TUNNEL RESULT("6"), PPPD_PPP,
		.ncps = { { 0x80fd, "120601000060" PPPD_CCP, NULL }, { 0x8021, A4("03") VJ A4("81") A4("83"), NULL } } },
	{ .name = "RouterOS", .profile = "routeros", .ike_chosen = "aes128-sha1-modp2048", .esp_chosen = "aes256-sha1",
		.psk = GATEWAY_PSK_DEVICES, .ike = routeros_ike, .vendors = routeros_vendors,
		.esp = routeros_esp, .natoa = true, .pfs = 2, .idci_port = 1701, .tid = 1, .sid = 1,
		.sccrq = VERSION FRAMING("1") BEARER FIRMWARE("0001") "800e000000074d696b726f54696b" "000e00000008" "4d696b726f54696b"
			TUNNEL WINDOW("4"),
		.icrq = SESSION SERIAL("00000001") BEARER,
		/* Proxy LCP: initial received, last sent and last received Configure-Requests. */
		.iccn = SPEED("00989680") FRAMING_TYPE("1") "00100000001a" "010405aa" "050611223344" "001a0000001b" "010405aa"
			"0305c22381" "050655667788" "c0ffee0010" "00100000001c" "010405aa" "050611223344",
		.cdn = RESULT("3") SESSION, .stopccn = TUNNEL RESULT("1"), .methods = all_methods, .lcp = MRU("05aa") MAGIC,
		.ncps = { { 0x80fd, "120601000040", NULL }, { 0x8021, A4("03") A4("81") A4("83"), NULL },
			{ 0x8281, "", NULL } },
		.terminate = "" },
	{ .name = "ChromeOS", .profile = "xl2tpd", .ike_chosen = "aes128-sha256-modp3072", .esp_chosen = "gcm",
		.psk = GATEWAY_PSK_STAFF, .ike = chromeos_ike, .vendors = strongswan_vendors,
		.esp = chromeos_esp, .each = true, .natoa = true, .idci_port = 1701,
		XL2TPD_L2TP("800f000000076368726f6d656f73" "31"), PPPD_PPP,
		.ncps = { { 0x80fd, PPPD_CCP, NULL }, { 0x8021, VJ A4("03") A4("81") A4("83"), NULL } } },
	{ .name = "NetworkManager-l2tp", .profile = "xl2tpd", .ike_chosen = "aes256-sha256-modp2048", .esp_chosen = "aes256-sha1",
		.psk = GATEWAY_PSK_STAFF, .ike = nm_ike, .vendors = strongswan_fragments_vendors,
		.esp = nm_esp, .each = true, .natoa = true, .idci_port = 1701, XL2TPD_L2TP("800c000000076c6170746f70"), PPPD_PPP,
		.ncps = { { 0x80fd, PPPD_CCP, NULL }, { 0x8021, VJ A4("03") A4("81") A4("83"), NULL },
			{ 0x8057, IPV6CP, NULL } } },
	{ .name = "NetworkManager-l2tp, ephemeral port", .profile = "xl2tpd", .ike_chosen = "aes256-sha256-modp2048", .esp_chosen = "aes256-sha1",
		.psk = GATEWAY_PSK_STAFF, .ike = nm_ike,
		.vendors = strongswan_vendors, .esp = nm_esp, .each = true, .natoa = true, .idci_port = 0, .port = 38500,
		XL2TPD_L2TP("800c000000076c6170746f70"), PPPD_PPP,
		.ncps = { { 0x8021, A4("03") VJ A4("81") A4("83"), NULL } } },
};
const unsigned n_stocks = VD_ARRAY_SIZE(stocks);

const struct stock xauth_stocks[] = {
	{ .name = "macOS and iOS, Cisco IPsec", .profile = "apple", .ike_chosen = "aes256-sha256-modp2048",
		.esp_chosen = "aes256-sha256", .psk = GATEWAY_PSK_STAFF, .ike = cisco_ike,
		.aggressive = 14, .vendors = cisco_vendors, .esp = apple_esp },
	/* Nothing but its L2TP tells it from another racoon. */
	{ .name = "Android, IPsec Xauth PSK", .profile = "racoon", .ike_chosen = "aes256-sha256-modp1024",
		.esp_chosen = "aes256-sha1", .psk = GATEWAY_PSK_DEVICES, .ike = android_xauth_ike,
		.aggressive = 2, .vendors = android_xauth_vendors, .esp = android_esp },
};
const unsigned n_xauth_stocks = VD_ARRAY_SIZE(xauth_stocks);
