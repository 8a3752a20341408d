/* viaduct-load: its options, and the run: set-ups at a rate, hold, end, result. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "load.h"

#define EXIT_USAGE 2
#define TICK_S 0.01
#define ENDS_PER_S 500.0
#define PROGRESS_S 0.5

/* Options of LCP and IPCP as the clients' first requests have them. */
const struct load_profile load_profiles[] = {
	{ "windows", "AES-256, SHA-1, ECP-384; ESP AES-256, SHA-1", 7, 256, 2, 20, 12, 256, 2, true, false,
		"\1\5\7\x08\x0d", "\3\x81\x82\x83\x84" },
	{ "apple", "AES-256, SHA-256, MODP-2048; ESP AES-256, SHA-256", 7, 256, 4, 14, 12, 256, 5, false, true,
		"\2\5\7\x08", "\3\x81\x83" },
	{ "android", "AES-256, SHA-256, MODP-1024; ESP AES-256, SHA-1", 7, 256, 4, 2, 12, 256, 2, false, true,
		"\1\2\5\7\x08", "\3\x81\x83" },
	{ "linux", "AES-256, SHA-256, MODP-2048; ESP AES-256, SHA-1", 7, 256, 4, 14, 12, 256, 2, false, true, "\1\5",
		"\3\x81\x83" },
	{ "modern", "AES-256, SHA-256, ECP-256; ESP AES-256-GCM", 7, 256, 4, 19, 20, 256, 0, false, true, "\1\5",
		"\3\x81\x83" },
	{ "old", "3DES, SHA-1, MODP-1024; ESP 3DES, SHA-1", 5, 0, 2, 2, 3, 0, 2, true, false, "\1\5\7\x08",
		"\3\x81\x82\x83\x84" },
};
const unsigned load_n_profiles = VD_ARRAY_SIZE(load_profiles);

struct load_options load_opt = { .profile = &load_profiles[3],
	.rate = 50,
	.hold = 10,
	.timeout = 30,
	.echo = 30,
	.pps = 1,
	.at_once = 200,
	.size = 84 };

static void __attribute__((noreturn, format(printf, 1, 2))) wrong(const char *fmt, ...)
{
	va_list ap;

	fputs("viaduct-load: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(EXIT_USAGE);
}

static void help(void)
{
	puts("viaduct-load --to ADDRESS --psk KEY --user NAME --password WORD --from ADDRESS[-ADDRESS] | --nat "
	     "ADDRESS=N ... [OPTION...]\n"
	     "Many L2TP/IPsec clients log in to a gateway, hold on, and end. It sends to ADDRESS only, from the "
	     "addresses named.\n"
	     "\n"
	     "  --to ADDRESS            the gateway\n"
	     "  --psk KEY               pre-shared key; @FILE: the first line of that file, here and in --password\n"
	     "  --user NAME             user name; \"%\" in it is the client's number, from 1; also in the password\n"
	     "  --password WORD         password\n"
	     "  --from FIRST[-LAST]     a client at each of these addresses of ours: UDP 500, ESP over IP (protocol "
	     "50)\n"
	     "  --nat ADDRESS=N         N clients at this address of ours, as behind a NAT: ports of their own, ESP in "
	     "UDP.\n"
	     "                          Both may be given several times\n"
	     "  --profile NAME          what they offer (linux); see below\n"
	     "  --rate N                set-ups begun per second (50); 0: as soon as --at-once allows\n"
	     "  --at-once N             set-ups under way at most (200)\n"
	     "  --timeout SECONDS       for a set-up (30)\n"
	     "  --hold SECONDS          how long all are held when the last set-up is over (10)\n"
	     "  --echo SECONDS          between a client's LCP echoes (30); 0: none\n"
	     "  --rekey SECONDS         between a client's new quick modes (0: none)\n"
	     "  --ping ADDRESS          what each client pings, through the tunnel\n"
	     "  --udp ADDRESS:PORT      or where it sends UDP datagrams\n"
	     "  --pps N                 packets per second of each client (1)\n"
	     "  --size N                octets of the IP packet (84)\n"
	     "  --pid PID               the gateway's process on this machine: its memory and CPU are in the result\n"
	     "  --fast-dh               one key pair of Diffie-Hellman for all clients, so that this end costs less\n"
	     "  --attack password       who has the key alone tries again and again, for --hold seconds: its password is --password\n"
	     "  --attack key            or it never logs in, and sends --pps packets inside its SA that make work\n"
	     "  --kill                  do not say goodbye: xl2tpd lets nobody in again from the same address before it "
	     "misses\n"
	     "                          the old tunnel, which takes it 130 s\n"
	     "  --json                  the result as JSON\n"
	     "  --quiet                 no progress on stderr\n"
	     "\n"
	     "Profiles:");
	for (unsigned i = 0; i < load_n_profiles; i++)
		printf("  %-8s %s\n", load_profiles[i].name, load_profiles[i].what);
	puts("\nSIGINT or SIGTERM ends in order, a second one at once. Exit status: 0 all came up and stayed, or the attack "
	     "is over; 1 not all; 2 usage.");
}

/* ---- options ---- */
static double number(const char *name, const char *text, double min, double max)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || !(v >= min && v <= max))
		wrong("--%s is a number from %g to %g, not '%s'", name, min, max, text);
	return v;
}

static unsigned whole(const char *name, const char *text, double min, double max)
{
	double v = number(name, text, min, max);

	if (floor(v) < v)
		wrong("--%s is a whole number, not '%s'", name, text);
	return (unsigned)v;
}

static struct vd_ip address(const char *name, const char *text)
{
	struct vd_ip ip;

	if (!vd_ip_parse(text, &ip) || ip.family != AF_INET)
		wrong("--%s: '%s' is no IPv4 address", name, text);
	return ip;
}

static const char *secret(const char *name, const char *text)
{
	static char rooms[2][256];
	static unsigned n;
	char *room;
	FILE *f;

	if (text[0] != '@')
		return text;
	room = rooms[n++ % 2];
	f = fopen(text + 1, "re");
	if (!f || !fgets(room, sizeof(rooms[0]), f))
		wrong("--%s: %s: %s", name, text + 1, f ? "is empty" : strerror(errno));
	fclose(f);
	room[strcspn(room, "\n")] = 0;
	return room;
}

static void from(const char *name, const char *text, bool nat)
{
	struct load_from *f = &load_opt.from[load_opt.n_from];
	struct vd_ip last;
	char room[64], *at;

	if (load_opt.n_from == VD_ARRAY_SIZE(load_opt.from))
		wrong("--%s: more than %zu sources", name, VD_ARRAY_SIZE(load_opt.from));
	snprintf(room, sizeof(room), "%s", text);
	at = strchr(room, nat ? '=' : '-');
	if (nat && !at)
		wrong("--nat is ADDRESS=N, not '%s'", text);
	if (at)
		*at++ = 0;
	f->nat = nat;
	f->first = address(name, room);
	f->n = 1;
	if (nat) {
		f->n = whole(name, at, 1, 28000);
	} else if (at) {
		last = address(name, at);
		if (vd_ip_u32(&last) < vd_ip_u32(&f->first) ||
			vd_ip_u32(&last) - vd_ip_u32(&f->first) >= LOAD_CLIENTS_MAX)
			wrong("--from %s is no range of at most %u addresses", text, LOAD_CLIENTS_MAX);
		f->n = vd_ip_u32(&last) - vd_ip_u32(&f->first) + 1;
	}
	load_opt.n_from++;
	load_opt.clients += f->n;
	if (load_opt.clients > LOAD_CLIENTS_MAX)
		wrong("more than %u clients", LOAD_CLIENTS_MAX);
}

static void target(const char *name, const char *text, bool udp)
{
	char room[64], *colon;

	snprintf(room, sizeof(room), "%s", text);
	colon = strchr(room, ':');
	if (udp && !colon)
		wrong("--udp is ADDRESS:PORT, not '%s'", text);
	if (udp)
		*colon++ = 0;
	load_opt.target = (struct vd_sa){ .ip = address(name, room) };
	if (udp)
		load_opt.target.port = (uint16_t)whole(name, colon, 1, 65535);
}

static void profile(const char *name)
{
	for (unsigned i = 0; i < load_n_profiles; i++)
		if (strcmp(load_profiles[i].name, name) == 0) {
			load_opt.profile = &load_profiles[i];
			return;
		}
	wrong("no profile '%s': see --help", name);
}

static enum load_attack attack(const char *name)
{
	if (strcmp(name, "password") == 0)
		return LOAD_ATTACK_PASSWORD;
	if (strcmp(name, "key") != 0)
		wrong("--attack is password or key, not '%s'", name);
	return LOAD_ATTACK_KEY;
}

enum {
	O_TO = 256,
	O_PSK,
	O_USER,
	O_PASSWORD,
	O_FROM,
	O_NAT,
	O_PROFILE,
	O_RATE,
	O_AT_ONCE,
	O_TIMEOUT,
	O_HOLD,
	O_ECHO,
	O_REKEY,
	O_PING,
	O_UDP,
	O_PPS,
	O_SIZE,
	O_PID,
	O_FAST,
	O_KILL,
	O_ATTACK,
	O_JSON,
	O_QUIET
};

static void options(int argc, char **argv)
{
	static const struct option all[] = { { "to", 1, NULL, O_TO }, { "psk", 1, NULL, O_PSK },
		{ "user", 1, NULL, O_USER }, { "password", 1, NULL, O_PASSWORD }, { "from", 1, NULL, O_FROM },
		{ "nat", 1, NULL, O_NAT }, { "profile", 1, NULL, O_PROFILE }, { "rate", 1, NULL, O_RATE },
		{ "at-once", 1, NULL, O_AT_ONCE }, { "timeout", 1, NULL, O_TIMEOUT }, { "hold", 1, NULL, O_HOLD },
		{ "echo", 1, NULL, O_ECHO }, { "rekey", 1, NULL, O_REKEY }, { "ping", 1, NULL, O_PING },
		{ "udp", 1, NULL, O_UDP }, { "pps", 1, NULL, O_PPS }, { "size", 1, NULL, O_SIZE },
		{ "pid", 1, NULL, O_PID }, { "fast-dh", 0, NULL, O_FAST }, { "kill", 0, NULL, O_KILL }, { "attack", 1, NULL, O_ATTACK },
		{ "json", 0, NULL, O_JSON }, { "quiet", 0, NULL, O_QUIET }, { "help", 0, NULL, 'h' }, { 0 } };
	struct load_options *o = &load_opt;
	int c, at;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", all, &at)) != -1) {
		const char *name = c >= O_TO ? all[c - O_TO].name : "";

		switch (c) {
		case O_TO: o->to = address(name, optarg); break;
		case O_PSK: o->psk = secret(name, optarg); break;
		case O_USER: o->user = optarg; break;
		case O_PASSWORD: o->password = secret(name, optarg); break;
		case O_FROM: from(name, optarg, false); break;
		case O_NAT: from(name, optarg, true); break;
		case O_PROFILE: profile(optarg); break;
		case O_RATE: o->rate = number(name, optarg, 0, 100000); break;
		case O_AT_ONCE: o->at_once = whole(name, optarg, 1, LOAD_CLIENTS_MAX); break;
		case O_TIMEOUT: o->timeout = number(name, optarg, 1, 600); break;
		case O_HOLD: o->hold = number(name, optarg, 0, 86400); break;
		case O_ECHO: o->echo = number(name, optarg, 0, 3600); break;
		case O_REKEY: o->rekey = number(name, optarg, 0, 86400); break;
		case O_PING: target(name, optarg, false); break;
		case O_UDP: target(name, optarg, true); break;
		case O_PPS: o->pps = number(name, optarg, 0.001, 100000); break;
		case O_SIZE: o->size = whole(name, optarg, 40, 1400); break;
		case O_PID: o->pid = (int)whole(name, optarg, 1, 4194304); break;
		case O_FAST: o->fast_dh = true; break;
		case O_KILL: o->kill = true; break;
		case O_ATTACK: o->attack = attack(optarg), o->kill = true; break;
		case O_JSON: o->json = true; break;
		case O_QUIET: o->quiet = true; break;
		case 'h': help(); exit(0);
		case ':': wrong("%s needs a value: see --help", argv[optind - 1]);
		default: wrong("no option '%s': see --help", argv[optind - 1]);
		}
	}
	if (optind < argc)
		wrong("'%s' belongs to no option: see --help", argv[optind]);
	if (!o->to.family)
		wrong("--to says which gateway");
	if (!o->psk || !*o->psk)
		wrong("--psk is missing");
	if (!o->user || !o->password)
		wrong("--user and --password are missing");
	if (strlen(o->user) > 48 || strlen(o->password) > 48)
		wrong("user names and passwords have 48 characters at most");
	if (!o->clients)
		wrong("--from or --nat says where clients come from");
}

/* ---- the run ---- */
static enum { SETTING_UP, HOLDING, ENDING } stage;
static unsigned next_start, next_end;
static double allowance, hold_until, last_tick;
static ev_timer tick;
static ev_signal interrupts[2];

static void clients_make(void)
{
	unsigned n = 0;

	load_clients = calloc(load_opt.clients, sizeof(*load_clients));
	if (!load_clients)
		wrong("no memory for %u clients", load_opt.clients);
	for (unsigned i = 0; i < load_opt.n_from; i++)
		for (unsigned k = 0; k < load_opt.from[i].n; k++, n++) {
			struct load_client *c = &load_clients[n];

			c->number = n + 1;
			c->nat = load_opt.from[i].nat;
			c->from = c->nat ? load_opt.from[i].first : vd_ip4(vd_ip_u32(&load_opt.from[i].first) + k);
			c->fd = -1;
		}
}

static void hold(void)
{
	stage = HOLDING;
	load_stats.all_up = load_now();
	hold_until = load_now() + load_opt.hold;
	load_gateway_read(&load_stats.rss_up, &load_stats.cpu_up);
}

static void end(void)
{
	double rss;

	if (stage == SETTING_UP)
		hold(); /* was interrupted */
	stage = ENDING;
	allowance = 0;
	load_stats.traffic_over = load_now();
	load_gateway_read(&rss, &load_stats.cpu_held);
	if (load_opt.kill) {
		for (unsigned i = 0; i < load_opt.clients; i++)
			load_client_vanish(&load_clients[i]);
		next_end = load_opt.clients;
	}
}

static bool all_over(void)
{
	if (next_end < load_opt.clients)
		return false;
	for (unsigned i = 0; i < load_opt.clients; i++)
		if (load_clients[i].state != LOAD_OVER)
			return false;
	return true;
}

static void ticked(struct ev_loop *loop, ev_timer *t, int events)
{
	static double told;
	double now = load_now(), passed = now - last_tick;

	(void)t, (void)events;
	last_tick = now;
	if (stage == SETTING_UP) {
		allowance =
			load_opt.rate > 0 ? fmin(allowance + passed * load_opt.rate, load_opt.rate) : load_opt.at_once;
		while (load_opt.attack != LOAD_HONEST && allowance >= 1 && load_stats.dialling < load_opt.at_once && load_attack_start())
			allowance--;
		while (load_opt.attack == LOAD_HONEST && next_start < load_opt.clients && allowance >= 1 && load_stats.dialling < load_opt.at_once) {
			load_client_start(&load_clients[next_start++]);
			allowance--;
		}
		if (load_stats.traffic_began <= 0 && load_stats.up > 0)
			load_stats.traffic_began = now;
		if (load_opt.attack != LOAD_HONEST && load_attack_over())
			end();
		else if (next_start == load_opt.clients && load_stats.dialling == 0)
			hold();
	} else if (stage == HOLDING) {
		if (now >= hold_until || load_stats.now_up == 0)
			end();
	} else {
		allowance = fmin(allowance + passed * ENDS_PER_S, ENDS_PER_S);
		for (; next_end < load_opt.clients && allowance >= 1; next_end++, allowance--)
			load_client_end(&load_clients[next_end]);
		if (all_over())
			ev_break(loop, EVBREAK_ALL);
	}
	if (now - told >= PROGRESS_S) {
		told = now;
		load_progress(false);
	}
}

static void interrupted(struct ev_loop *loop, ev_signal *s, int events)
{
	(void)s, (void)events;
	if (stage == ENDING)
		ev_break(loop, EVBREAK_ALL);
	else
		end();
}

static void room_for_sockets(void)
{
	struct rlimit l;
	rlim_t need = load_opt.clients + 64;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < need) {
		l.rlim_cur = need;
		if (l.rlim_max < need)
			l.rlim_max = need;
		if (setrlimit(RLIMIT_NOFILE, &l) < 0)
			wrong("%u clients need %llu open files: raise ulimit -n", load_opt.clients,
				(unsigned long long)need);
	}
}

int main(int argc, char **argv)
{
	struct ev_loop *loop;

	options(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	loop = ev_default_loop(EVFLAG_AUTO);
	if (!loop)
		wrong("no event loop");
	room_for_sockets();
	clients_make();
	if (!load_net_init())
		wrong("a raw socket for ESP: %s: it needs root, or use --nat only", strerror(errno));
	load_gateway_read(&load_stats.rss_before, &load_stats.cpu_before);
	if (load_opt.pid > 0 && load_stats.rss_before <= 0)
		wrong("--pid %d: there is no such process", load_opt.pid);
	load_stats.began = last_tick = load_now();
	ev_timer_init(&tick, ticked, 0, TICK_S);
	ev_timer_start(loop, &tick);
	ev_signal_init(&interrupts[0], interrupted, SIGINT);
	ev_signal_start(loop, &interrupts[0]);
	ev_signal_init(&interrupts[1], interrupted, SIGTERM);
	ev_signal_start(loop, &interrupts[1]);
	ev_run(loop, 0);
	load_gateway_read(&load_stats.rss_after, &load_stats.cpu_after);
	load_stats.over = load_now();
	load_progress(true);
	load_result();
	for (unsigned i = 0; i < load_opt.clients; i++)
		load_client_vanish(&load_clients[i]);
	free(load_clients);
	if (load_opt.attack != LOAD_HONEST)
		return 0;
	return load_stats.up == load_opt.clients && load_stats.dropped == 0 ? 0 : 1;
}
