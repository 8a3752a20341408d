/* What is counted, the line that says how it goes, and the table at the end. */
#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load.h"

struct load_stats load_stats;

/* ---- latencies: each in a class of 2 % width, from 10 microseconds on ---- */
#define CLASSES 1100u
#define WIDTH 1.02
#define LEAST 1e-5
struct latency {
	unsigned n, counts[CLASSES];
	double max;
};
static struct latency latencies[LOAD_PHASES + 1], round_trips;

static void note(struct latency *l, double seconds)
{
	double at = seconds > LEAST ? log(seconds / LEAST) / log(WIDTH) : 0;

	l->counts[at < CLASSES - 1 ? (unsigned)at : CLASSES - 1]++;
	l->n++;
	if (seconds > l->max)
		l->max = seconds;
}

void load_latency(enum load_phase phase, double seconds) { note(&latencies[phase], seconds); }

void load_round_trip(double seconds) { note(&round_trips, seconds); }

/* In milliseconds. */
static double percentile(const struct latency *l, double share)
{
	unsigned seen = 0;

	for (unsigned i = 0; i < CLASSES && l->n > 0; i++) {
		seen += l->counts[i];
		if (seen >= share * l->n && seen > 0) {
			double most = LEAST * pow(WIDTH, i + 1);

			return (most < l->max ? most : l->max) * 1e3;
		}
	}
	return 0;
}

/* ---- why ---- */
#define REASONS_MAX 64u
static struct reason {
	char text[160];
	bool dropped;
	unsigned n;
} reasons[REASONS_MAX + 1];
static unsigned n_reasons;

void load_reason(bool dropped, const char *text)
{
	char clean[sizeof(reasons[0].text)];
	unsigned i;

	/* What a gateway says must not steer the terminal. */
	snprintf(clean, sizeof(clean), "%s", text);
	for (char *p = clean; *p; p++)
		if (!isprint((unsigned char)*p))
			*p = '?';
	for (i = 0; i < n_reasons; i++)
		if (reasons[i].dropped == dropped && strcmp(reasons[i].text, clean) == 0)
			break;
	if (i == n_reasons && n_reasons < REASONS_MAX) {
		n_reasons++;
		reasons[i].dropped = dropped;
		strcpy(reasons[i].text, clean);
	} else if (i == n_reasons) {
		i = REASONS_MAX;
		strcpy(reasons[i].text, "another reason");
	}
	reasons[i].n++;
}

/* ---- the gateway's process ---- */
void load_gateway_read(double *ret_rss, double *ret_cpu)
{
	char path[64], line[1024];
	unsigned long utime = 0, stime = 0, rss = 0;
	FILE *f;

	*ret_rss = *ret_cpu = 0;
	if (load_opt.pid <= 0)
		return;
	snprintf(path, sizeof(path), "/proc/%d/stat", load_opt.pid);
	f = fopen(path, "re");
	if (f && fgets(line, sizeof(line), f) && strrchr(line, ')') &&
		sscanf(strrchr(line, ')') + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &utime,
			&stime) == 2)
		*ret_cpu = (double)(utime + stime) / (double)sysconf(_SC_CLK_TCK);
	if (f)
		fclose(f);
	snprintf(path, sizeof(path), "/proc/%d/statm", load_opt.pid);
	f = fopen(path, "re");
	if (f && fscanf(f, "%*u %lu", &rss) == 1)
		*ret_rss = (double)rss * (double)sysconf(_SC_PAGESIZE) / 1024;
	if (f)
		fclose(f);
}

/* ---- while it goes ---- */
#define PLAIN_S 5.0 /* between lines, when they are not written over each other */

void load_progress(bool last)
{
	static double told;
	bool terminal = isatty(2);
	double now = load_now(), age = now - load_stats.began;

	if (load_opt.quiet || (!terminal && !last && now - told < PLAIN_S))
		return;
	told = now;
	fprintf(stderr, "%s%4.0f s: %u up, %u dialling, %u failed, %u dropped, %u ended of %u%s",
		terminal ? "\r\033[K" : "", age, load_stats.now_up, load_stats.dialling, load_stats.failed,
		load_stats.dropped, load_stats.ended, load_opt.clients, terminal && !last ? "" : "\n");
	fflush(stderr);
}

/* ---- at the end ---- */
static const char *const names[] = { "phase 1", "quick mode", "L2TP", "LCP", "authentication", "IPCP", "all" };
struct result {
	double setup_s, rate, hold_s, mbit_out, mbit_in, kib, cpu_setup_ms, cpu_held;
};

static struct result result_of(void)
{
	const struct load_stats *s = &load_stats;
	struct result r = { .setup_s = s->all_up - s->began, .hold_s = s->traffic_over - s->all_up };
	double span = s->traffic_over - s->traffic_began;

	r.rate = r.setup_s > 0 ? s->up / r.setup_s : 0;
	if (load_opt.target.ip.family && span > 0) {
		r.mbit_out = (double)s->ip_out * load_opt.size * 8 / span / 1e6;
		r.mbit_in = (double)s->pongs * load_opt.size * 8 / span / 1e6;
	}
	if (s->rss_up > 0 && s->most_up > 0)
		r.kib = (s->rss_up - s->rss_before) / s->most_up;
	if (s->cpu_up > 0 && s->up > 0)
		r.cpu_setup_ms = (s->cpu_up - s->cpu_before) / s->up * 1e3;
	if (s->cpu_held > 0 && r.hold_s > 0)
		r.cpu_held = (s->cpu_held - s->cpu_up) / r.hold_s * 100;
	return r;
}

static json_t *latency_json(const struct latency *l)
{
	return json_pack("{s:i s:f s:f s:f s:f}", "count", (int)l->n, "p50_ms", percentile(l, 0.5), "p90_ms",
		percentile(l, 0.9), "p99_ms", percentile(l, 0.99), "max_ms", l->max * 1e3);
}

static void result_json(const struct result *r)
{
	const struct load_stats *s = &load_stats;
	json_t *all = json_pack("{s:s s:i s:i s:i s:i s:i s:i s:i s:f s:f s:f}", "profile", load_opt.profile->name,
		"clients", (int)load_opt.clients, "begun", (int)s->started, "up", (int)s->up, "failed", (int)s->failed, "dropped",
		(int)s->dropped, "ended", (int)s->ended, "unanswered_goodbyes", (int)s->unanswered, "setup_s",
		r->setup_s, "setups_per_s", r->rate, "hold_s", r->hold_s);
	json_t *latency = json_object(), *why = json_array();

	for (unsigned i = 0; i <= LOAD_PHASES; i++)
		json_object_set_new(latency, names[i], latency_json(&latencies[i]));
	json_object_set_new(all, "latency", latency);
	for (unsigned i = 0; i <= REASONS_MAX; i++)
		if (reasons[i].n)
			json_array_append_new(why, json_pack("{s:s s:b s:i}", "reason", reasons[i].text, "dropped",
							   reasons[i].dropped, "count", (int)reasons[i].n));
	json_object_set_new(all, "reasons", why);
	json_object_set_new(all, "traffic",
		json_pack("{s:I s:I s:I s:I s:f s:f s:o}", "sent", (json_int_t)s->ip_out, "received",
			(json_int_t)s->ip_in, "pongs", (json_int_t)s->pongs, "strayed", (json_int_t)s->strayed,
			"mbit_out", r->mbit_out, "mbit_in", r->mbit_in, "round_trip", latency_json(&round_trips)));
	json_object_set_new(all, "kept",
		json_pack("{s:I s:I s:I s:I s:I s:I s:I}", "echoes_sent", (json_int_t)s->echoes_out, "echoes_answered",
			(json_int_t)s->echoes_in, "echoes_asked", (json_int_t)s->echoes_asked, "dpd_answered",
			(json_int_t)s->dpd, "rekeys", (json_int_t)s->rekeys, "rekeys_of_gateway",
			(json_int_t)s->rekeys_theirs, "unauthentic", (json_int_t)s->unauthentic));
	if (load_opt.pid > 0)
		json_object_set_new(all, "gateway",
			json_pack("{s:f s:f s:f s:f s:f s:f}", "kib_per_session", r->kib, "rss_before_kib",
				s->rss_before, "rss_up_kib", s->rss_up, "rss_after_kib", s->rss_after,
				"cpu_ms_per_setup", r->cpu_setup_ms, "cpu_percent_held", r->cpu_held));
	json_dumpf(all, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(all);
}

static void line(const char *name, const struct latency *l)
{
	if (l->n)
		printf("  %-16s %8u %9.1f %9.1f %9.1f %9.1f\n", name, l->n, percentile(l, 0.5), percentile(l, 0.9),
			percentile(l, 0.99), l->max * 1e3);
}

void load_result(void)
{
	const struct load_stats *s = &load_stats;
	struct result r = result_of();

	if (load_opt.json) {
		result_json(&r);
		return;
	}
	printf("clients            %u of profile %s: %u up, %u failed, %u dropped\n", load_opt.clients,
		load_opt.profile->name, s->up, s->failed, s->dropped);
	printf("set-ups            %.1f/s over %.1f s\n", r.rate, r.setup_s);
	printf("held               %.1f s: %llu echoes sent, %llu answered, %llu asked; %llu DPD; %llu rekeys\n",
		r.hold_s, (unsigned long long)s->echoes_out, (unsigned long long)s->echoes_in,
		(unsigned long long)s->echoes_asked, (unsigned long long)s->dpd,
		(unsigned long long)(s->rekeys + s->rekeys_theirs));
	if (load_opt.target.ip.family)
		printf("traffic            %.2f Mbit/s out, %.2f Mbit/s in; %llu packets sent, %llu answered, %llu "
		       "strayed\n",
			r.mbit_out, r.mbit_in, (unsigned long long)s->ip_out, (unsigned long long)s->pongs,
			(unsigned long long)s->strayed);
	if (load_opt.pid > 0)
		printf("gateway            %.1f KiB per session, %.2f ms of CPU per set-up, %.1f %% CPU held; RSS %.0f "
		       "KiB, %.0f up, %.0f after\n",
			r.kib, r.cpu_setup_ms, r.cpu_held, s->rss_before, s->rss_up, s->rss_after);
	if (s->ended)
		printf("ended              %u in order, %u of them without an answer\n", s->ended, s->unanswered);
	printf("latency, ms           count       p50       p90       p99       max\n");
	for (unsigned i = 0; i <= LOAD_PHASES; i++)
		line(names[i], &latencies[i]);
	line("round trip", &round_trips);
	for (unsigned i = 0; i <= REASONS_MAX; i++)
		if (reasons[i].n)
			printf("%s %8u  %s\n", reasons[i].dropped ? "dropped" : "failed ", reasons[i].n,
				reasons[i].text);
}
