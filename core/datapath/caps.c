/* Viaduct: the capability table of the data path. Each row: what is asked of the kernel, and what happens without it. */
#include <errno.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/datapath/caps.h"
#include "core/datapath/datapath.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef TUN_F_USO4 /* Linux 6.2 */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

static const struct {
	const char *name, *without;
} rows[VD_CAP_MAX] = {
	[VD_CAP_RECVMMSG] = { "RECVMMSG", "one datagram per system call" },
	[VD_CAP_SENDMMSG] = { "SENDMMSG", "one batch or datagram per system call" },
	[VD_CAP_GRO] = { "GRO", "no coalesced datagrams are received" },
	[VD_CAP_GSO] = { "GSO", "datagrams are sent one by one" },
	[VD_CAP_CBPF] = { "CBPF", "the kernel hashes, workers hand over" },
	[VD_CAP_VNET_HDR] = { "VNET_HDR", "packets cross the TUN device one by one" },
	[VD_CAP_TSO] = { "TSO", "TCP crosses the TUN device packet by packet" },
	[VD_CAP_USO] = { "USO", "UDP crosses the TUN device packet by packet" },
	[VD_CAP_COALESCE] = { "COALESCE", "what was decrypted is written packet by packet" },
	[VD_CAP_MULTIQUEUE] = { "MULTIQUEUE", "one worker reads the TUN device" },
	[VD_CAP_MB] = { "MB", "OpenSSL does all of ESP's cryptography" },
};

bool dp_cap_switched_off(const char *name)
{
	char variable[48];
	vd_format(variable, sizeof(variable), "VIADUCT_NO_%s", name);
	const char *value = secure_getenv(variable);
	return value && *value && strcmp(value, "0") != 0;
}

void vd_datapath_plain(void)
{
	char variable[48];
	for (unsigned i = 0; i < VD_CAP_MAX; i++) {
		vd_format(variable, sizeof(variable), "VIADUCT_NO_%s", rows[i].name);
		setenv(variable, "1", 1);
	}
}

void dp_cap_set(struct dp_caps *caps, enum vd_cap cap, bool on, const char *why)
{
	struct vd_datapath_cap *c = &caps->v[cap];
	c->name = rows[cap].name;
	c->without = rows[cap].without;
	c->on = on && !dp_cap_switched_off(c->name);
	if (on && !c->on)
		vd_format(c->why, sizeof(c->why), "switched off by VIADUCT_NO_%s", c->name);
	else
		vd_strcpy(c->why, sizeof(c->why), c->on || !why ? "" : why);
}

/* Plugins say so before the data path starts. */
static void mb(struct dp_caps *caps)
{
	if (!caps->v[VD_CAP_MB].name)
		dp_cap_set(caps, VD_CAP_MB, false, "no plugin has offered it");
}

static void base(struct dp_caps *caps)
{
	dp_cap_set(caps, VD_CAP_RECVMMSG, true, NULL);
	dp_cap_set(caps, VD_CAP_SENDMMSG, true, NULL);
	mb(caps);
}

void dp_caps_inline(struct dp_caps *caps)
{
	for (unsigned i = 0; i < VD_CAP_MAX; i++)
		if (i != VD_CAP_MB)
			dp_cap_set(caps, i, true, NULL);
	mb(caps);
}

void dp_caps_probe(struct dp_caps *caps)
{
	static const enum vd_cap tun[] = { VD_CAP_VNET_HDR, VD_CAP_TSO, VD_CAP_USO, VD_CAP_COALESCE, VD_CAP_MULTIQUEUE };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1, value;
	socklen_t len = sizeof(value);
	base(caps);
	dp_cap_set(caps, VD_CAP_GSO, fd >= 0 && getsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &value, &len) == 0,
		"the kernel has no UDP_SEGMENT (Linux 4.18)");
	dp_cap_set(caps, VD_CAP_GRO, fd >= 0 && setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof(one)) == 0,
		"the kernel has no UDP_GRO (Linux 5.0)");
	dp_cap_set(caps, VD_CAP_CBPF, true, NULL); /* known when a group is steered */
	for (size_t i = 0; i < VD_ARRAY_SIZE(tun); i++)
		dp_cap_set(caps, tun[i], false, "there is no TUN device");
	if (fd >= 0)
		close(fd);
}

void dp_caps_tun(struct dp_caps *caps, int fd, unsigned queues)
{
	struct ifreq ifr = { 0 };
	/* Not a device that can be asked: it behaves as ours, without segmentation. */
	bool asked = ioctl(fd, TUNGETIFF, &ifr) == 0;
	bool vnet = !asked || (ifr.ifr_flags & IFF_VNET_HDR);
	unsigned csum = TUN_F_CSUM, tso = csum | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN, uso = tso | TUN_F_USO4 | TUN_F_USO6;
	dp_cap_set(caps, VD_CAP_MULTIQUEUE, queues > 1, "the device has one queue");
	/* The header is a part of what is read and written: what the device has counts, not what is wished. */
	dp_cap_set(caps, VD_CAP_VNET_HDR, vnet || dp_cap_switched_off("VNET_HDR"),
		"the device was opened without IFF_VNET_HDR");
	caps->v[VD_CAP_VNET_HDR].on = vnet;
	bool can_tso = asked && vnet && !dp_cap_switched_off("TSO") && ioctl(fd, TUNSETOFFLOAD, tso) == 0;
	/* Linux refuses one of the two USO bits without the other, and both before 6.2. */
	bool can_uso = can_tso && !dp_cap_switched_off("USO") && ioctl(fd, TUNSETOFFLOAD, uso) == 0;
	if (can_tso && !can_uso)
		can_tso = ioctl(fd, TUNSETOFFLOAD, tso) == 0;
	if (asked && vnet && !can_tso && ioctl(fd, TUNSETOFFLOAD, csum) < 0)
		(void)ioctl(fd, TUNSETOFFLOAD, 0);
	const char *why = vnet ? "the kernel does not take it" : "needs VNET_HDR";
	dp_cap_set(caps, VD_CAP_TSO, can_tso || (vnet && dp_cap_switched_off("TSO")), why);
	dp_cap_set(caps, VD_CAP_USO, can_uso || (can_tso && dp_cap_switched_off("USO")),
		!can_tso ? "needs TSO" : "the kernel does not take it (Linux 6.2)");
	dp_cap_set(caps, VD_CAP_COALESCE, can_tso, "needs TSO");
}

uint32_t dp_caps_bits(const struct dp_caps *caps)
{
	uint32_t bits = 0;
	for (unsigned i = 0; i < VD_CAP_MAX; i++)
		bits |= (uint32_t)caps->v[i].on << i;
	return bits;
}

void dp_caps_text(const struct dp_caps *caps, char *text, size_t size)
{
	size_t at = 0;
	for (unsigned off = 0; off < 2; off++) {
		bool first = true;
		for (unsigned i = 0; i < VD_CAP_MAX; i++) {
			const struct vd_datapath_cap *c = &caps->v[i];
			if (c->on == off)
				continue;
			at += vd_format(text + at, size - at, "%s%s", !first ? ", " : off ? "; off: " : "on: ", c->name);
			if (off)
				at += vd_format(text + at, size - at, " (%s)", c->why);
			first = false;
		}
	}
}
