/* The life of a client, from its first message to its last. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "load.h"

#define GOODBYE_S 4.0 /* so long an answer to it is waited for */

struct load_client *load_clients;

double load_now(void) { return ev_time(); }

/* ---- one timer for everything that is due ---- */
static void arm(struct load_client *c)
{
	double first = INFINITY, now = load_now();

	for (unsigned i = 0; i < DUE_N; i++)
		if (c->due[i] > 0 && c->due[i] < first)
			first = c->due[i];
	ev_timer_stop(EV_DEFAULT_UC_ & c->timer);
	if (!isfinite(first))
		return;
	c->wake = first;
	ev_timer_set(&c->timer, first > now ? first - now : 0, 0);
	ev_timer_start(EV_DEFAULT_UC_ & c->timer);
}

void load_due(struct load_client *c, enum load_due which, double seconds)
{
	double at = seconds > 0 ? load_now() + seconds : 0;

	c->due[which] = at;
	if (at > 0 && (!ev_is_active(&c->timer) || at < c->wake)) /* what became later is found out when it fires */
		arm(c);
}

static void no_answer(struct load_client *c)
{
	static const char *const waits[LOAD_PHASES] = {
		[LOAD_L2TP] = "L2TP", [LOAD_LCP] = "LCP", [LOAD_AUTH] = "authentication", [LOAD_IPCP] = "IPCP"
	};

	if (c->phase == LOAD_PHASE1 || c->phase == LOAD_QUICK)
		load_client_failed(c, "no answer to message %u of %s", c->message,
			c->phase == LOAD_PHASE1 ? "phase 1" : "quick mode");
	else if (c->phase == LOAD_L2TP)
		load_client_failed(c, "no answer to %s", c->peer_tid ? "ICRQ" : "SCCRQ");
	else
		load_client_failed(c, "%s was not finished in time", waits[c->phase]);
}

static void over(struct load_client *c)
{
	if (c->state == LOAD_UP)
		load_stats.now_up--;
	else if (c->state == LOAD_DIALLING)
		load_stats.dialling--;
	c->state = LOAD_OVER;
	ev_timer_stop(EV_DEFAULT_UC_ & c->timer);
	load_net_close(c);
	load_ike_free(c);
	load_l2tp_free(c);
}

/* TermReq; when that is answered, or after a second, CDN and StopCCN; when those are, the Deletes. */
static void end_step(struct load_client *c)
{
	if (c->state == LOAD_ENDING && c->phase < LOAD_PHASES + 1) {
		c->phase = LOAD_PHASES + 1;
		load_l2tp_goodbye(c);
		load_due(c, DUE_END, 0.05);
	} else if (c->state == LOAD_ENDING) {
		bool quiet = load_l2tp_quiet(c);

		if (!quiet && load_now() - c->phase_began < GOODBYE_S) {
			load_due(c, DUE_END, 0.1);
			return;
		}
		load_stats.ended++;
		load_stats.unanswered += !quiet;
		load_ike_goodbye(c);
		over(c);
	}
}

static void fired(struct load_client *c, enum load_due which)
{
	switch (which) {
	case DUE_SETUP: no_answer(c); break;
	case DUE_IKE: load_ike_due(c); break;
	case DUE_L2TP: load_l2tp_due(c); break;
	case DUE_PPP: load_ppp_due(c); break;
	case DUE_ECHO: load_ppp_echo(c); break;
	case DUE_TRAFFIC: load_opt.attack == LOAD_ATTACK_KEY ? load_attack_due(c) : load_traffic_due(c); break;
	case DUE_REKEY: load_ike_rekey(c); break;
	case DUE_END: end_step(c); break;
	case DUE_OLD: load_ike_old(c); break;
	default: break;
	}
}

static void timer_fired(struct ev_loop *loop, ev_timer *t, int events)
{
	struct load_client *c = t->data;
	double now = load_now();

	(void)loop, (void)events;
	for (unsigned i = 0; i < DUE_N; i++) {
		if (c->state == LOAD_OVER)
			return;
		if (c->due[i] > 0 && c->due[i] <= now) {
			c->due[i] = 0;
			fired(c, i);
		}
	}
	if (c->state != LOAD_OVER)
		arm(c);
}

/* ---- from phase to phase ---- */
void load_client_start(struct load_client *c)
{
	c->state = LOAD_DIALLING;
	c->phase = LOAD_PHASE1;
	c->began = c->phase_began = load_now();
	load_stats.started++;
	load_stats.dialling++;
	ev_init(&c->timer, timer_fired);
	c->timer.data = c;
	if (!load_net_open(c))
		return;
	load_due(c, DUE_SETUP, load_opt.timeout);
	load_ike_start(c);
}

void load_client_phase(struct load_client *c, enum load_phase next)
{
	double now = load_now();

	load_latency(c->phase, now - c->phase_began);
	c->phase = next;
	c->phase_began = now;
}

/* Somewhere in the interval: the clients shall not all do it at once. */
static double spread(const struct load_client *c, double interval)
{
	return interval * (1 + (c->number * 7919u) % 1000) / 1000;
}

void load_client_up(struct load_client *c)
{
	load_client_phase(c, LOAD_PHASES);
	load_latency(LOAD_PHASES, load_now() - c->began);
	c->state = LOAD_UP;
	load_stats.dialling--;
	load_stats.up++;
	load_stats.now_up++;
	if (load_stats.now_up > load_stats.most_up)
		load_stats.most_up = load_stats.now_up;
	load_due(c, DUE_SETUP, 0);
	if (load_opt.attack != LOAD_HONEST)
		return;
	if (load_opt.echo > 0)
		load_due(c, DUE_ECHO, spread(c, load_opt.echo));
	if (load_opt.rekey > 0)
		load_due(c, DUE_REKEY, spread(c, load_opt.rekey));
	if (load_opt.target.ip.family)
		load_due(c, DUE_TRAFFIC, spread(c, 1 / load_opt.pps));
}

void load_client_failed(struct load_client *c, const char *fmt, ...)
{
	char text[160];
	va_list ap;

	if (c->state != LOAD_DIALLING && c->state != LOAD_UP) {
		over(c);
		return;
	}
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	load_reason(c->state == LOAD_UP, text);
	if (c->state == LOAD_UP) {
		load_stats.dropped++;
		load_stats.now_up--;
	} else {
		load_stats.failed++;
		load_stats.dialling--;
	}
	c->state = LOAD_ENDING;
	if (!load_opt.kill) { /* once: it waits for no answer */
		load_l2tp_goodbye(c);
		load_ike_goodbye(c);
	}
	over(c);
}

void load_client_end(struct load_client *c)
{
	if (c->state == LOAD_IDLE) {
		c->state = LOAD_OVER;
		return;
	}
	if (c->state != LOAD_UP && c->state != LOAD_DIALLING)
		return;
	bool was_up = c->state == LOAD_UP;
	if (was_up)
		load_stats.now_up--;
	else
		load_stats.dialling--;
	c->state = LOAD_ENDING;
	memset(c->due, 0, sizeof(c->due));
	c->phase_began = load_now();
	load_due(c, DUE_END, 1);
	if (was_up)
		load_ppp_terminate(c);
}

void load_client_vanish(struct load_client *c)
{
	if (c->state != LOAD_IDLE && c->state != LOAD_OVER)
		over(c);
	c->state = LOAD_OVER;
}
