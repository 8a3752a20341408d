/* espblast: a client that logs in over real sockets (the scripted one of tests/scenario) and then sends ESP as fast as it is
 * told: consecutive TCP segments, as a client's upload is, UDP-encapsulated, AES-256-GCM. For benchmarks of what a gateway
 * does with them.
 *
 *   espblast --gateway 192.0.2.1 --psk KEY --user NAME --password WORD [--seconds 5] [--mbit 1000] [--size 1352]
 *            [--to 198.51.100.9] [--zero-checksum]
 *
 * --zero-checksum: UDP datagrams without a checksum, each sent by itself, as the kernels of stock clients do (RFC 3948 section
 * 2.1); no receiver can join them. Without it: with checksum and UDP_SEGMENT. Prints one JSON object: packets, octets (inner),
 * seconds. The gateway must be 192.0.2.1 for the scripted client. Exit status 1 when the login failed, 2 for usage. */
#include <check.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/scenario/robot.h"

#define BATCH 32u
#define ROOM 1600u

static int fd;
static struct sockaddr_in gateway;
static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* ---- the wire of the scripted client ---- */
void wire_up(const struct vd_path *path, const void *p, size_t len)
{
	struct sockaddr_in to = gateway;

	to.sin_port = htons(path->natt ? 4500 : 500);
	if (sendto(fd, p, len, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		perror("espblast: sendto");
}

/* One datagram to the client; false when there is none. */
static bool hear(struct robot *r)
{
	uint8_t p[4096];
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	ssize_t n = recvfrom(fd, p, sizeof(p), MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);
	struct vd_path path = { .endpoint = 1, .remote = r->at4500 };

	if (n < 0)
		return false;
	path.natt = from.sin_port == htons(4500);
	robot_receive(r, !path.natt || n < 4 || memcmp(p, "\0\0\0\0", 4) == 0, &path, p, (size_t)n);
	return true;
}

static bool login(struct robot *r, const char *psk)
{
	uint64_t end = now_us() + 15000000, tick = now_us();

	robot_dial(r, psk);
	while (!robot_up(r) && !r->refused && now_us() < end) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };

		poll(&pfd, 1, 50);
		while (hear(r))
			continue;
		for (; now_us() >= tick + 100000; tick += 100000)
			robot_time(r, 100);
	}
	return robot_up(r);
}

/* ---- the load ---- */
static uint32_t sum(uint32_t s, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		s += (uint32_t)p[i] << 8 | p[i + 1];
	return n & 1 ? s + ((uint32_t)p[n - 1] << 8) : s;
}

static uint16_t fold(uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

static void put16(uint8_t *p, unsigned v) { p[0] = (uint8_t)(v >> 8), p[1] = (uint8_t)v; }
static void put32(uint8_t *p, uint32_t v) { put16(p, v >> 16), put16(p + 2, v & 0xffff); }

struct load {
	struct robot *r;
	EVP_CIPHER_CTX *ctx;
	size_t inner; /* octets of an inner packet */
	size_t len;   /* octets of an ESP packet */
	uint32_t tcp;
	uint8_t packet[BATCH * ROOM];
};

/* SPI, number, IV; UDP, L2TP, PPP, IPv4, TCP, zeros; trailer. Only numbers and sums differ from packet to packet. */
static void prepare(struct load *l, uint8_t *p, const uint8_t to[4])
{
	uint8_t *udp = p + 16, *ip = udp + 8 + 6 + 4, *tcp = ip + 20;
	size_t text = 8 + 6 + 4 + l->inner;
	uint8_t pad;

	memset(p, 0, ROOM);
	put32(p, l->r->out.spi);
	memcpy(udp, "\x06\xa5\x06\xa5", 4);
	put16(udp + 4, (unsigned)text);
	put16(udp + 8, 0x0002);
	put16(udp + 10, l->r->peer_tid);
	put16(udp + 12, l->r->peer_sid);
	memcpy(udp + 14, "\xff\x03\0\x21", 4);
	memcpy(ip, "\x45\0\0\0\0\0\x40\0\x40\x06", 10);
	put16(ip + 2, (unsigned)l->inner);
	memcpy(ip + 12, l->r->address, 4);
	memcpy(ip + 16, to, 4);
	put16(tcp, 40000);
	put16(tcp + 2, 9);
	tcp[12] = 5 << 4;
	tcp[13] = 0x10;
	put16(tcp + 14, 65535);
	for (pad = 1; (text + 2) % 4 != 0; pad++)
		udp[text++] = pad;
	udp[text++] = (uint8_t)(pad - 1);
	udp[text++] = 17;
	l->len = 16 + text + 16;
}

static void seal(struct load *l, uint8_t *p)
{
	uint8_t *ip = p + 16 + 18, *tcp = ip + 20, nonce[12];
	size_t text = l->len - 32;
	int n;

	put32(p + 4, ++l->r->out.seq);
	put32(p + 8, 1); /* the IV of the login's packets was random: no nonce is used twice by chance of 2^-32 */
	put32(p + 12, l->r->out.seq);
	put16(ip + 4, l->r->out.seq & 0xffff);
	put32(tcp + 4, l->tcp);
	l->tcp += (uint32_t)l->inner - 40;
	memset(ip + 40, 0, l->inner - 40); /* it was encrypted in place the last time */
	put16(ip + 10, 0);
	put16(ip + 10, fold(sum(0, ip, 20)));
	put16(tcp + 16, 0);
	put16(tcp + 16, fold(sum(sum(6 + (uint32_t)l->inner - 20, ip + 12, 8), tcp, 20)));
	memcpy(nonce, l->r->out.integ, 4);
	memcpy(nonce + 4, p + 8, 8);
	EVP_EncryptInit_ex(l->ctx, NULL, NULL, NULL, nonce);
	EVP_EncryptUpdate(l->ctx, NULL, &n, p, 8);
	EVP_EncryptUpdate(l->ctx, p + 16, &n, p + 16, (int)text);
	EVP_EncryptFinal_ex(l->ctx, p + 16 + text, &n);
	EVP_CIPHER_CTX_ctrl(l->ctx, EVP_CTRL_AEAD_GET_TAG, 16, p + 16 + text);
}

/* A batch; how many of it were sent. */
static unsigned transmit(struct load *l, bool zero)
{
	struct iovec iov[BATCH];
	struct mmsghdr msg[BATCH] = { 0 };
	struct sockaddr_in to = gateway;

	to.sin_port = htons(4500);
	for (unsigned i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ l->packet + i * ROOM, l->len };
		msg[i].msg_hdr = (struct msghdr){ .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	if (!zero) {
		union {
			struct cmsghdr align;
			uint8_t room[CMSG_SPACE(sizeof(uint16_t))];
		} control = { 0 };
		struct msghdr *m = &msg[0].msg_hdr;
		uint16_t size = (uint16_t)l->len;

		m->msg_iovlen = BATCH;
		m->msg_control = control.room;
		m->msg_controllen = sizeof(control.room);
		struct cmsghdr *c = CMSG_FIRSTHDR(m);
		c->cmsg_level = IPPROTO_UDP;
		c->cmsg_type = UDP_SEGMENT;
		c->cmsg_len = CMSG_LEN(sizeof(size));
		memcpy(CMSG_DATA(c), &size, sizeof(size));
		return sendmsg(fd, m, 0) < 0 ? 0 : BATCH;
	}
	int n = sendmmsg(fd, msg, BATCH, 0);
	return n < 0 ? 0 : (unsigned)n;
}

static void blast(struct robot *r, const uint8_t to[4], size_t size, unsigned seconds, unsigned mbit, bool zero)
{
	static struct load l;
	uint64_t packets = 0, start = now_us(), end = start + (uint64_t)seconds * 1000000, tick = start, now;
	int on = 1;

	l.r = r;
	l.inner = size;
	l.ctx = EVP_CIPHER_CTX_new();
	EVP_EncryptInit_ex(l.ctx, EVP_aes_256_gcm(), NULL, r->out.encr, NULL);
	if (zero && setsockopt(fd, SOL_SOCKET, SO_NO_CHECK, &on, sizeof(on)) < 0)
		perror("espblast: SO_NO_CHECK");
	while ((now = now_us()) < end) {
		uint64_t due = start + (mbit ? packets * size * 8 / mbit : 0);

		if (due > now) {
			usleep((useconds_t)(due - now));
			continue;
		}
		for (unsigned i = 0; i < BATCH; i++) {
			uint8_t *p = l.packet + i * ROOM;

			prepare(&l, p, to);
			seal(&l, p);
		}
		packets += transmit(&l, zero);
		while (hear(r))
			continue;
		for (; now_us() >= tick + 100000; tick += 100000)
			robot_time(r, 100);
	}
	printf("{\"packets\": %llu, \"octets\": %llu, \"seconds\": %.3f, \"zero_checksum\": %s}\n", (unsigned long long)packets,
		(unsigned long long)packets * size, (double)(now - start) / 1e6, zero ? "true" : "false");
	EVP_CIPHER_CTX_free(l.ctx);
}

/* What the scripted client asserts needs a runner to be told. */
static struct {
	const char *psk, *user, *password;
	unsigned seconds, mbit, size;
	bool zero;
	struct vd_ip to;
} arg;

START_TEST(client)
{
	struct robot r;

	robot_init(&r, 0, arg.user, arg.password, true);
	r.gcm = true;
	ck_assert_msg(login(&r, arg.psk), "the login failed: %s", r.refused ? r.message : "no answer, or not understood");
	blast(&r, arg.to.a, arg.size, arg.seconds, arg.mbit, arg.zero);
	robot_term(&r);
	for (uint64_t end = now_us() + 200000; now_us() < end;)
		if (!hear(&r))
			usleep(1000);
	robot_free(&r);
}
END_TEST

static int run(void)
{
	Suite *s = suite_create("espblast");
	TCase *t = tcase_create("client");
	SRunner *runner = srunner_create(s);

	suite_add_tcase(s, t);
	tcase_add_test(t, client);
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_SILENT);
	int failed = srunner_ntests_failed(runner);
	TestResult **results = srunner_failures(runner);
	for (int i = 0; i < failed; i++)
		fprintf(stderr, "espblast: %s:%d: %s\n", tr_lfile(results[i]), tr_lno(results[i]), tr_msg(results[i]));
	free(results);
	srunner_free(runner);
	return failed != 0;
}

static int usage(const char *what)
{
	fprintf(stderr, "espblast: %s; see the beginning of espblast.c\n", what);
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "gateway", 1, NULL, 'g' }, { "psk", 1, NULL, 'k' }, { "user", 1, NULL, 'u' },
		{ "password", 1, NULL, 'p' }, { "seconds", 1, NULL, 's' }, { "mbit", 1, NULL, 'm' }, { "size", 1, NULL, 'z' },
		{ "to", 1, NULL, 't' }, { "zero-checksum", 0, NULL, '0' }, { NULL, 0, NULL, 0 } };
	const char *to = "198.51.100.9";

	arg.seconds = 5, arg.mbit = 1000, arg.size = 1352;
	gateway = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = { htonl(0xc0000201) } };
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
		switch (c) {
		case 'g': /* said for the reader of scripts */
			if (strcmp(optarg, "192.0.2.1") != 0)
				return usage("the gateway must be 192.0.2.1");
			break;
		case 'k': arg.psk = optarg; break;
		case 'u': arg.user = optarg; break;
		case 'p': arg.password = optarg; break;
		case 's': arg.seconds = (unsigned)atoi(optarg); break;
		case 'm': arg.mbit = (unsigned)atoi(optarg); break;
		case 'z': arg.size = (unsigned)atoi(optarg); break;
		case 't': to = optarg; break;
		case '0': arg.zero = true; break;
		default: return usage("unknown option");
		}
	if (!arg.psk || !arg.user || !arg.password || arg.size < 60 || arg.size > 1400 || arg.seconds > 600 ||
		!vd_ip_parse(to, &arg.to) || arg.to.family != AF_INET)
		return usage("--psk, --user and --password are needed; size 60 to 1400, at most 600 seconds, an IPv4 target");
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in any = { .sin_family = AF_INET };
	int room = 1 << 22;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0) {
		perror("espblast: socket");
		return 1;
	}
	setpgid(0, 0); /* check ends its whole process group with itself */
	int status = run();
	close(fd);
	return status;
}
