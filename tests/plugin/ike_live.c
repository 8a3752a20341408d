/* The gateway's IKEv1 on real UDP sockets, with doubles of ESP: for a try with another implementation, in a namespace.
 * ike_live ADDRESS SECONDS; says what happened on standard output. */
#include <arpa/inet.h>
#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <viaduct/topics.h>

#include "ike_world.h"
#include "tests/lib/fake.h"

static int fds[2];

static uint64_t clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void wire(const struct vd_path *path, const void *p, size_t len)
{
	uint8_t room[4100] = { 0 };
	struct sockaddr_storage to;
	unsigned n = vd_sa_to_sockaddr(&path->remote, &to);
	size_t marker = path->natt && len > 1 ? 4 : 0;

	memcpy(room + marker, p, len);
	if (sendto(fds[path->natt], room, marker + len, 0, (struct sockaddr *)&to, n) < 0)
		perror("sendto");
}

static void input(const struct vd_ip *ip, int i)
{
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	uint8_t p[4096];
	struct client c = { .path = { .endpoint = 1, .natt = i == 1 } };
	struct msg m;
	ssize_t n = recvfrom(fds[i], p, sizeof(p), 0, (struct sockaddr *)&from, &from_len);

	if (n < 28 || !vd_sa_from_sockaddr((struct sockaddr *)&from, &c.path.remote))
		return;
	c.path.local = (struct vd_sa){ .ip = *ip, .port = i == 1 ? 4500 : 500 };
	size_t marker = i == 1 ? 4 : 0;
	m.len = (size_t)n - marker;
	memcpy(m.p, p + marker, m.len);
	printf("in %zu octets, exchange %u\n", m.len, m.p[18]);
	world_input(&c, &m);
}

static struct vd_ip ip;
static uint64_t run_ms;

/* The doubles assert, so that this is a test too, if an endless one. */
START_TEST(test_live)
{
	unsigned ups = 0, downs = 0, fails = 0, sas = 0;

	for (int i = 0; i < 2; i++) {
		struct vd_sa sa = { .ip = ip, .port = i ? 4500 : 500 };
		struct sockaddr_storage ss;
		unsigned n = vd_sa_to_sockaddr(&sa, &ss);

		fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (fds[i] < 0 || bind(fds[i], (struct sockaddr *)&ss, n) < 0) {
			ck_abort_msg("bind");
		}
	}
	world_start(WORLD_YAML);
	world.wire = wire;
	uint64_t start = clock_now(), last = start;
	while (clock_now() - start < run_ms) {
		struct pollfd p[2] = { { fds[0], POLLIN, 0 }, { fds[1], POLLIN, 0 } };

		poll(p, 2, 50);
		fake_advance(clock_now() - last);
		last = clock_now();
		for (int i = 0; i < 2; i++)
			if (p[i].revents & POLLIN)
				input(&ip, i);
		if (fake_events(&vd_topic_peer_up) != ups) {
			const struct vd_peer_up *up = fake_last(&vd_topic_peer_up);

			ups = fake_events(&vd_topic_peer_up);
			printf("peer_up %s %s %s %s\n", up->connection, up->identity, up->suite, up->profile);
		}
		if (fake_events(&vd_topic_setup_failed) != fails) {
			fails = fake_events(&vd_topic_setup_failed);
			printf("setup_failed %s\n",
				((const struct vd_setup_failed *)fake_last(&vd_topic_setup_failed))->text);
		}
		if (fake_events(&vd_topic_peer_down) != downs) {
			downs = fake_events(&vd_topic_peer_down);
			printf("peer_down %s\n", ((const struct vd_peer_down *)fake_last(&vd_topic_peer_down))->reason);
		}
		for (; sas < world.n_sas; sas++)
			printf("install_%s %08x encr %u\n", world.sas[sas].in ? "in" : "out", world.sas[sas].spi,
				world.sas[sas].encr);
	}
	world_stop();
}
END_TEST

int main(int argc, char **argv)
{
	if (argc < 3 || !vd_ip_parse(argv[1], &ip))
		return 2;
	run_ms = strtoul(argv[2], NULL, 10) * 1000;
	setvbuf(stdout, NULL, _IOLBF, 0);
	Suite *s = suite_create("ike_live");
	TCase *t = tcase_create("live");
	tcase_add_test(t, test_live);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_set_fork_status(r, CK_NOFORK);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
