/* Start, signals and end of viaductd. */
#include "core/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/bus.h"
#include "core/conf/conf.h"
#include "core/connect/connect.h"
#include "core/control/control.h"
#include "core/datapath/datapath.h"
#include "core/system/keys.h"
#include "core/record/record.h"
#include "core/report/report.h"
#include "core/session/lifelog.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/object/object.h"
#include "core/plugin.h"
#include "core/problem.h"
#include "core/reload.h"
#include "core/system/priv.h"
#include "core/session/session.h"
#include "core/state.h"
#include "core/system/work.h"

#define EXIT_FAILED 1
#define EXIT_USAGE 2
#define MAX_LISTEN 16
#define NO_LISTEN "gateway.listen is empty: write our addresses there, so that clients reach us"
#define GOODBYE_MS 3000 /* how long farewells may take at the end; */
#define HURRY_MS 300    /* after a second signal */
#define POOL_THREADS 2

static struct {
	const char *conf_dir, *state_dir, *run_dir, *plugin_dir, *record;
	bool check, strict, names, verbose;
	int lock, status;
	bool begun; /* there is something that stop_all must undo */
	uint64_t until; /* the end is waited for; 0: no end yet */
} d = { .conf_dir = VD_SYSCONFDIR, .state_dir = VD_STATEDIR, .run_dir = VD_RUNSTATEDIR, .plugin_dir = VD_PLUGINDIR,
	.lock = -1 };

static const char help[] =
	"viaductd: VPN gateway\n"
	"\n"
	"  --config DIR    configuration: DIR/viaduct.yaml and DIR/conf.d/*.yaml (" VD_SYSCONFDIR ")\n"
	"  --state DIR     what must survive a restart (" VD_STATEDIR ")\n"
	"  --run DIR       control socket (" VD_RUNSTATEDIR ")\n"
	"  --plugins DIR   where plugins are (" VD_PLUGINDIR ", or $VIADUCT_PLUGINDIR)\n"
	"  --record FILE   write what happens into FILE, to be looked at and replayed; everything is slower\n"
	"  --names         in the recording users keep their names\n"
	"  --check         check the configuration and end: 0 good, also with warnings; 2 with errors\n"
	"  --strict        with --check: warnings make the status 1\n"
	"  --foreground    stay in the foreground (always so)\n"
	"  --verbose       log everything\n"
	"  --version\n"
	"  --help\n";

/* One clear line, and status 2. */
static int usage(const char *fmt, ...)
{
	va_list ap;

	fputs("viaductd: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("; see viaductd --help\n", stderr);
	return EXIT_USAGE;
}

/* -1: go on; else the exit status. */
static int parse_arguments(int argc, char **argv)
{
	enum { O_CONFIG = 1, O_STATE, O_RUN, O_PLUGINS, O_RECORD, O_NAMES, O_CHECK, O_STRICT, O_FOREGROUND, O_VERBOSE, O_VERSION, O_HELP };
	static const struct option options[] = {
		{ "config", required_argument, NULL, O_CONFIG }, { "state", required_argument, NULL, O_STATE },
		{ "run", required_argument, NULL, O_RUN }, { "plugins", required_argument, NULL, O_PLUGINS },
		{ "record", required_argument, NULL, O_RECORD }, { "names", no_argument, NULL, O_NAMES },
		{ "check", no_argument, NULL, O_CHECK }, { "strict", no_argument, NULL, O_STRICT },
		{ "foreground", no_argument, NULL, O_FOREGROUND },
		{ "verbose", no_argument, NULL, O_VERBOSE }, { "version", no_argument, NULL, O_VERSION },
		{ "help", no_argument, NULL, O_HELP }, { NULL, 0, NULL, 0 },
	};
	int c;

	if (getenv("VIADUCT_PLUGINDIR"))
		d.plugin_dir = getenv("VIADUCT_PLUGINDIR");
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		switch (c) {
		case O_CONFIG: d.conf_dir = optarg; break;
		case O_STATE: d.state_dir = optarg; break;
		case O_RUN: d.run_dir = optarg; break;
		case O_PLUGINS: d.plugin_dir = optarg; break;
		case O_RECORD: d.record = optarg; break;
		case O_NAMES: d.names = true; break;
		case O_CHECK: d.check = true; break;
		case O_STRICT: d.strict = true; break;
		case O_FOREGROUND: break;
		case O_VERBOSE: d.verbose = true; break;
		case O_VERSION:
			puts("viaductd " VD_VERSION " (build " VD_BUILD_ID ")");
			return 0;
		case O_HELP:
			fputs(help, stdout);
			return 0;
		case ':':
			return usage("%s needs a value", argv[optind - 1]);
		default:
			return usage("unknown option %s", argv[optind - 1]);
		}
	}
	if (optind < argc)
		return usage("unexpected argument %s", argv[optind]);
	if (d.names && !d.record)
		return usage("--names belongs to --record");
	if (d.strict && !d.check)
		return usage("--strict belongs to --check");
	return -1;
}

static void on_refused(void *arg, const char *text)
{
	vd_conf_errors_add(arg, true, d.plugin_dir, 0, 0, "not loaded: %s", text);
}

/* What stands in the configuration for options is no name of a user, whatever users are called. */
static void keep_words(const struct vd_opt *opt)
{
	for (; opt->path; opt++) {
		char path[256], *word, *rest = path;

		vd_strcpy(path, sizeof(path), opt->path);
		while ((word = strsep(&rest, ".")))
			vd_record_keep(word);
		vd_strcpy(path, sizeof(path), opt->arg ? opt->arg : "");
		for (rest = path; (word = strsep(&rest, "|"));)
			vd_record_keep(word);
	}
}

/* Whom we dial as. */
static void record_dialled(const struct vd_conf *conf)
{
	const struct vd_conf_node *all = conf ? vd_conf_at(conf, NULL, "connections") : NULL;

	for (size_t i = 0; i < vd_conf_count(all); i++) {
		const char *user = vd_conf_str(vd_conf_at(conf, vd_conf_nth(all, i), "user"));

		if (user)
			vd_record_name(user);
	}
}

/* 0, or an exit status. Findings go to standard error, all at once. */
static int load_configuration(void)
{
	const struct vd_opt **schemas;
	const char **words;
	struct vd_conf_errors errs = { 0 }, *before;
	struct vd_conf *conf = NULL;
	size_t n, refused;
	int r;

	r = vd_plugins_open(d.plugin_dir, on_refused, &errs);
	if (r < 0) {
		fprintf(stderr, "viaductd: cannot read the plugins in %s: %s; give their folder with --plugins\n", d.plugin_dir,
			strerror(-r));
		return EXIT_USAGE;
	}
	schemas = vd_plugins_schemas(&n);
	words = vd_plugins_accept_words();
	if (!schemas || !words) {
		fputs("viaductd: out of memory\n", stderr);
		return EXIT_FAILED;
	}
	for (size_t i = 0; i < n; i++)
		keep_words(schemas[i]);
	refused = errs.n;
	errs.plugins_missing = refused > 0;
	r = vd_conf_load_dir(d.conf_dir, schemas, n, words, &conf, &errs);
	for (size_t i = 0; errs.n_unknown && i < refused; i++) { /* that is why */
		errs.v[i].warning = false;
		errs.n_errors++;
	}
	if (r < 0 && errs.n_errors == 0)
		fprintf(stderr, "viaductd: cannot load %s: %s\n", d.conf_dir, strerror(-r));
	vd_conf_install(conf);
	record_dialled(conf);
	if (r == 0) {
		before = vd_conf_judge(&errs);
		if (!vd_conf_count(vd_conf_at(conf, NULL, "gateway.listen")))
			vd_check_error(vd_conf_at(conf, NULL, "gateway"), NO_LISTEN);
		vd_conf_judge(before);
		if (geteuid() == 0)
			vd_conf_secret_files(conf, &errs);
		vd_reload_ask(NULL, &errs);
		r = errs.n_errors ? -EINVAL : 0;
		d.status = errs.n && d.strict ? EXIT_FAILED : 0;
	}
	vd_conf_errors_print(&errs, stderr);
	vd_conf_errors_free(&errs);
	free(schemas);
	free(words);
	return r < 0 ? EXIT_USAGE : 0;
}

/* Two daemons on one state directory would give the same addresses twice. The folder itself is locked: root makes no file in it. */
static int take_lock(struct vd_error *err)
{
	d.lock = open(d.state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d.lock < 0)
		return vd_error_set(err, -errno, "cannot open %s: %s", d.state_dir, strerror(errno));
	if (flock(d.lock, LOCK_EX | LOCK_NB) < 0)
		return vd_error_set(err, -EBUSY, "viaductd already runs on %s; end it first, or give another --state", d.state_dir);
	return 0;
}

/* The service manager's readiness protocol (sd_notify(3)). */
static void notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;
	int fd;

	if (len < 2 || len >= sizeof(sa.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(sa.sun_path, path, len);
	if (path[0] == '@')
		sa.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&sa,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		vd_log(VD_LOG_WARNING, "daemon", NULL, "cannot tell the service manager: %s", strerror(errno));
	close(fd);
}

static void on_end(int signo)
{
	vd_log(VD_LOG_NOTICE, "daemon", NULL, "%s: ending%s", strsignal(signo), d.until ? " without waiting for clients" : "");
	if (d.until > vd_now() + HURRY_MS)
		d.until = vd_now() + HURRY_MS;
	vd_record_close("the daemon ends");
	vd_loop_ev_stop();
}

static void on_hangup(int signo)
{
	(void)signo;
	vd_record_close("the configuration is loaded again");
	vd_reload_logged(d.conf_dir);
}

/* A plugin that cannot do its work: the daemon ends rather than serve half. */
static void on_failed(struct vd_host *host, const struct vd_error *err)
{
	vd_log(VD_LOG_ERROR, "daemon", NULL, "%s: %s", vd_host_name(host), err->text);
	d.status = EXIT_FAILED;
	vd_loop_ev_stop();
}

/* Queued behind everything that plugins asked for in start and that may fail, above all the TUN device: READY promises it. */
static void ready(void *arg)
{
	(void)arg;
	if (d.status)
		return;
	vd_log(VD_LOG_NOTICE, "daemon", NULL, "ready");
	notify("READY=1");
	if (vd_record_on())
		vd_log(VD_LOG_NOTICE, "record", NULL, "recording into %s: everything goes through one thread until the daemon ends", d.record);
	vd_record_begin();
	vd_record_start();
	if (vd_connect_start() < 0)
		vd_log(VD_LOG_ERROR, "daemon", NULL, "no memory for the connections that we dial");
}

static void on_datapath(void *arg, const struct vd_error *err)
{
	struct vd_error none;

	(void)arg;
	if (!err && vd_defer(ready, NULL) < 0) {
		vd_error_set(&none, -ENOMEM, "out of memory");
		err = &none;
	}
	if (err)
		on_failed(NULL, err);
}

static enum vd_df df_of(const struct vd_conf *conf)
{
	const char *word = vd_conf_str(vd_conf_at(conf, NULL, "gateway.df"));

	return !strcmp(word, "set") ? VD_DF_SET : !strcmp(word, "copy") ? VD_DF_COPY : VD_DF_CLEAR;
}

static int start_datapath(struct vd_error *err)
{
	const struct vd_conf *conf = vd_conf_current();
	const struct vd_conf_node *list = vd_conf_at(conf, NULL, "gateway.listen");
	struct vd_ip listen[MAX_LISTEN];
	size_t n = 0;
	int r;

	for (size_t i = 0; i < vd_conf_count(list) && n < MAX_LISTEN; i++)
		listen[n++] = *vd_conf_ip(vd_conf_nth(list, i));
	if (n == 0)
		return vd_error_set(err, -EINVAL, NO_LISTEN);
	vd_datapath_df(df_of(conf));
	if (!vd_record_on()) /* whoever plays the recording has another host */
		vd_datapath_way_mtu(vd_way_mtu);
	r = vd_datapath_start(vd_record_on() ? 1 : (unsigned)vd_conf_uint(vd_conf_at(conf, NULL, "gateway.workers")), listen, n,
		on_datapath, NULL);
	return r < 0 ? vd_error_set(err, r, "the data path cannot start: %s", strerror(-r)) : 0;
}

static const char *control_path(char *out, size_t size)
{
	const struct vd_conf_node *node = vd_conf_at(vd_conf_current(), NULL, "control.socket");

	if (node && vd_conf_written(node))
		return vd_conf_str(node);
	vd_format(out, size, "%s/control.sock", d.run_dir);
	return out;
}

/* What needs root, then no more root, then everything else. */
static int start_all(struct vd_error *err)
{
	const char *user = vd_conf_str(vd_conf_at(vd_conf_current(), NULL, "gateway.user"));
	struct rlimit files = { .rlim_cur = 65536, .rlim_max = 65536 };
	char path[512];
	int r;

	umask(077);
	signal(SIGPIPE, SIG_IGN);
	setrlimit(RLIMIT_NOFILE, &files);
	if ((r = vd_priv_own(d.state_dir, user, err)) < 0 || (r = vd_priv_run(d.run_dir, user, err)) < 0 || (r = take_lock(err)) < 0)
		return r;
	d.begun = true;
	vd_state_dir_set(d.state_dir);
	if ((r = vd_bus_init()) < 0 || (r = vd_lifelog_init()) < 0 || (r = vd_objects_init()) < 0 ||
		(r = vd_sessions_init()) < 0 || (r = vd_keys_init()) < 0 || (r = vd_priv_init(d.state_dir)) < 0 ||
		(r = vd_datapath_init()) < 0)
		return vd_error_set(err, r, "cannot start: %s", strerror(-r));
	vd_on_failed(on_failed);
	if (vd_loop_ev_signal(SIGTERM, on_end) < 0 || vd_loop_ev_signal(SIGINT, on_end) < 0 ||
		vd_loop_ev_signal(SIGHUP, on_hangup) < 0)
		return vd_error_set(err, -ENOMEM, "cannot watch signals");
	if ((r = vd_plugins_choose(vd_conf_current(), err)) < 0 || (r = vd_plugins_init(err)) < 0)
		return r;
	if ((r = vd_control_bind(control_path(path, sizeof(path)), err)) < 0 || (r = vd_priv_drop(user, err)) < 0)
		return r;
	vd_priv_clean(); /* what a run that was killed left; our three capabilities suffice */
	if ((r = vd_work_start(vd_record_on() ? 0 : POOL_THREADS)) < 0)
		return vd_error_set(err, r, "cannot start threads: %s", strerror(-r));
	if ((r = start_datapath(err)) < 0 || (r = vd_plugins_start(err)) < 0)
		return r;
	vd_control_config_dir(d.conf_dir);
	return vd_control_start(control_path(path, sizeof(path)), err);
}

static bool all_gone(void)
{
	return vd_session_count() == 0 && vd_peer_count() == 0 && vd_bus_open_requests(0) == 0;
}

/* All sessions and peers end, and subscribers have the events of that, before the first plugin stops: see plugin.h. */
static void close_all(void)
{
	d.until = vd_now() + GOODBYE_MS;
	vd_connect_stop();
	vd_plugins_backwards(vd_host_close);
	vd_sessions_end("the gateway stops");
	for (struct vd_peer *p = NULL; (p = vd_peer_after(p));)
		vd_peer_close(p->id, "the gateway stops");
	while (!all_gone() && vd_now() < d.until)
		vd_loop_ev_once(20);
	if (!all_gone())
		vd_log(VD_LOG_WARNING, "daemon", NULL, "%zu sessions and %zu peers did not end in time", vd_session_count(),
			vd_peer_count());
	vd_sessions_finish();
	vd_fifo_drain();
}

static void stop_all(void)
{
	notify("STOPPING=1");
	close_all();
	vd_plugins_backwards(vd_host_stop);
	while (vd_bus_open_requests(0) && vd_now() < d.until)
		vd_loop_ev_once(20);
	vd_control_stop();
	vd_datapath_stop();
	vd_fifo_drain();
	vd_work_stop();
	vd_priv_end();
	vd_bus_cancel_all(); /* who asked is going */
	vd_plugins_backwards(vd_host_fini);
	vd_connect_fini();
	vd_fifo_drain();
	vd_datapath_fini();
	vd_sessions_fini();
	vd_objects_fini();
	vd_reports_fini();
	vd_priv_fini();
	vd_keys_fini();
	vd_bus_fini();
	vd_services_fini();
	vd_loop_ev_fini();
}

int vd_daemon_main(int argc, char **argv)
{
	struct vd_error err;
	int r = parse_arguments(argc, argv);

	if (r >= 0)
		return r;
	vd_log_set_level(d.verbose ? VD_LOG_DEBUG : VD_LOG_NOTICE);
	/* First of all: the configuration wants randomness, and everybody the clock. */
	if (vd_loop_ev_init() < 0) {
		fputs("viaductd: cannot make an event loop\n", stderr);
		return EXIT_FAILED;
	}
	if (d.record && !d.check && (r = vd_record_open(d.record, d.names, &err)) < 0) {
		fprintf(stderr, "viaductd: %s\n", err.text);
		return EXIT_USAGE;
	}
	if (d.record && !d.check) {
		vd_loop_ev_alone();
		vd_datapath_plain();
		vd_record_conf(d.conf_dir);
	}
	r = load_configuration();
	if (r != 0 || d.check)
		return r ? r : d.status;
	vd_reload_log_levels(d.verbose);
	if (start_all(&err) < 0) {
		vd_log(VD_LOG_ERROR, "daemon", NULL, "%s", err.text);
		d.status = EXIT_FAILED;
	} else {
		vd_loop_ev_run();
	}
	vd_record_close("the daemon ends");
	if (d.begun)
		stop_all();
	vd_reload_fini();
	vd_conf_install(NULL);
	vd_plugins_forget();
	vd_counters_reset();
	vd_problems_reset();
	return d.status;
}
