/* Sockets of the clients. Who has an address of its own has UDP 500 there, and ESP over IP; who shares one (as behind a
 * NAT) has a port of its own there for everything, and ESP in UDP. All is bound to the addresses that were named. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

#define BURST 64u

static int raw = -1; /* ESP over IP, of all clients */
static ev_io raw_io;
static struct load_client **by_address; /* who have one of their own */
static unsigned n_by_address;

static int compare(const void *a, const void *b)
{
	const struct load_client *const *x = a, *const *y = b;

	return vd_ip_cmp(&(*x)->from, &(*y)->from);
}

static void read_raw(struct ev_loop *loop, ev_io *io, int events)
{
	uint8_t p[4096];
	struct load_client key, *pkey = &key, **c;

	(void)loop, (void)io, (void)events;
	for (unsigned i = 0; i < BURST; i++) {
		ssize_t n = recv(raw, p, sizeof(p), MSG_DONTWAIT);

		if (n < 0)
			return;
		size_t head = (size_t)(p[0] & 0xf) * 4;
		if (n < 20 || (size_t)n <= head || memcmp(p + 12, load_opt.to.a, 4) != 0)
			continue;
		key.from = (struct vd_ip){ .family = AF_INET };
		memcpy(key.from.a, p + 16, 4);
		c = bsearch(&pkey, by_address, n_by_address, sizeof(struct load_client *), compare);
		if (c && (*c)->fd >= 0)
			load_esp_input(*c, p + head, (size_t)n - head);
	}
}

bool load_net_init(void)
{
	int size = 8 << 20;

	by_address = calloc(load_opt.clients, sizeof(struct load_client *));
	if (!by_address)
		return false;
	for (unsigned i = 0; i < load_opt.clients; i++)
		if (!load_clients[i].nat)
			by_address[n_by_address++] = &load_clients[i];
	qsort(by_address, n_by_address, sizeof(struct load_client *), compare);
	if (n_by_address == 0)
		return true;
	raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ESP);
	if (raw < 0)
		return false;
	if (setsockopt(raw, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(raw, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	ev_io_init(&raw_io, read_raw, raw, EV_READ);
	ev_io_start(EV_DEFAULT_UC_ & raw_io);
	return true;
}

static void read_udp(struct ev_loop *loop, ev_io *io, int events)
{
	struct load_client *c = io->data;
	uint8_t p[4096];

	(void)loop, (void)events;
	for (unsigned i = 0; i < 8 && c->fd >= 0; i++) {
		struct sockaddr_in from;
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(c->fd, p, sizeof(p), MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);

		if (n < 0)
			return;
		if (memcmp(&from.sin_addr, load_opt.to.a, 4) != 0)
			continue;
		if (ntohs(from.sin_port) == 500) {
			load_ike_input(c, p, (size_t)n);
		} else if (ntohs(from.sin_port) == 4500 && n > 8) {
			if (memcmp(p, "\0\0\0\0", 4) == 0)
				load_ike_input(c, p + 4, (size_t)n - 4);
			else
				load_esp_input(c, p, (size_t)n);
		}
	}
}

static bool bind_to(struct load_client *c, uint16_t port)
{
	struct sockaddr_storage ss;
	struct vd_sa sa = { .ip = c->from, .port = port };
	unsigned len = vd_sa_to_sockaddr(&sa, &ss);
	char text[VD_SA_TEXT];

	c->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0 || bind(c->fd, (struct sockaddr *)&ss, len) < 0) {
		load_client_failed(c, "%s: %s", vd_sa_format(&sa, text), strerror(errno));
		return false;
	}
	ev_io_init(&c->io, read_udp, c->fd, EV_READ);
	c->io.data = c;
	ev_io_start(EV_DEFAULT_UC_ & c->io);
	return true;
}

bool load_net_open(struct load_client *c) { return bind_to(c, c->nat ? 0 : 500); }

void load_net_close(struct load_client *c)
{
	if (c->fd < 0)
		return;
	ev_io_stop(EV_DEFAULT_UC_ & c->io);
	close(c->fd);
	c->fd = -1;
}

bool load_net_float(struct load_client *c)
{
	c->floated = true;
	if (c->nat)
		return true; /* its port is as good as any */
	load_net_close(c);
	return bind_to(c, 4500);
}

static void send_to(const struct load_client *c, uint16_t port, const void *p, size_t len)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };

	memcpy(&to.sin_addr, load_opt.to.a, 4);
	/* What the kernel has no room for is lost, as on a wire. */
	(void)!sendto(c->fd, p, len, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to));
}

void load_net_ike(struct load_client *c, const void *p, size_t len)
{
	uint8_t out[4 + sizeof(((struct msg *)0)->p)] = { 0 };

	if (!c->floated) {
		send_to(c, 500, p, len);
		return;
	}
	memcpy(out + 4, p, len);
	send_to(c, 4500, out, len + 4);
}

void load_net_esp(struct load_client *c, const void *p, size_t len)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)p, .iov_len = len };
	union {
		struct cmsghdr h;
		uint8_t room[CMSG_SPACE(sizeof(struct in_pktinfo))];
	} control = { 0 };
	struct msghdr m = { .msg_name = &to,
		.msg_namelen = sizeof(to),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	struct in_pktinfo info = { 0 };

	if (c->floated) {
		send_to(c, 4500, p, len);
		return;
	}
	memcpy(&to.sin_addr, load_opt.to.a, 4);
	memcpy(&info.ipi_spec_dst, c->from.a, 4);
	control.h.cmsg_level = IPPROTO_IP;
	control.h.cmsg_type = IP_PKTINFO;
	control.h.cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(&control.h), &info, sizeof(info));
	(void)!sendmsg(raw, &m, MSG_DONTWAIT);
}
