/* One plugin's file: whose it is, whether the linker takes it, whether its descriptor and options are right. */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ltdl.h>

#include "core/plugin.h"
#include "core/report/report.h"

static lt_dladvise advice;
static bool ltdl_ready;

int vd_plugin_owner_check(const char *path, const struct stat *st, uid_t us, uid_t program, struct vd_error *err)
{
	bool dir = S_ISDIR(st->st_mode);
	/* A group of one, as Debian makes for each user, has the owner's number. */
	bool group = (st->st_mode & S_IWGRP) && st->st_gid != 0 && st->st_gid != st->st_uid;
	/* In a sticky folder others may add files, which are looked at one by one, but not replace ours. */
	bool others = (st->st_mode & S_IWOTH) && !(dir && (st->st_mode & S_ISVTX));

	if (!dir && !S_ISREG(st->st_mode))
		return vd_error_set(err, -ENOEXEC, "%s is not a file", path);
	if (st->st_uid != 0 && st->st_uid != us && st->st_uid != program)
		return vd_error_set(err, -EPERM, "%s%s belongs to user %u, who could make viaductd run anything; do: chown root %s",
			dir ? "the folder " : "", path, (unsigned)st->st_uid, path);
	if (group || others)
		return vd_error_set(err, -EPERM, "%s%s may be written by others (mode %04o), who could make viaductd run anything; do: "
			"chmod go-w %s", dir ? "the folder " : "", path, (unsigned)(st->st_mode & 07777), path);
	return 0;
}

/* Whoever owns the program itself can do as he likes anyway: a tree that its builder runs as root works. */
static int owner_check(const char *path, struct vd_error *err)
{
	struct stat st, program;

	if (stat(path, &st) < 0)
		return vd_error_set(err, -errno, "cannot read %s: %s", path, strerror(errno));
	if (stat("/proc/self/exe", &program) < 0)
		program.st_uid = 0;
	return vd_plugin_owner_check(path, &st, geteuid(), program.st_uid, err);
}

/* What the linker says, in words that tell what to do. */
static int refused_by_linker(const char *path, const char *said, struct vd_error *err)
{
	static const char undefined[] = "undefined symbol: ";
	const char *at = strstr(said, undefined);
	char symbol[128];

	if (!at && (strstr(said, "ELF") || strstr(said, "file too short")))
		return vd_error_set(err, -ENOEXEC, "%s is no shared object for this machine (%.100s); build it with cc -shared", path,
			strrchr(said, ':') ? strrchr(said, ':') + 2 : said);
	if (!at)
		return vd_error_set(err, -ENOEXEC, "%s cannot be loaded: %s", path, said);
	at += sizeof(undefined) - 1;
	vd_format(symbol, sizeof(symbol), "%.*s", (int)strcspn(at, ", "), at);
	if (strncmp(symbol, "__asan", 6) == 0 || strncmp(symbol, "__ubsan", 7) == 0 || strncmp(symbol, "__tsan", 6) == 0)
		return vd_error_set(err, -ENOEXEC, "%s was built with a sanitizer (it needs %s) that this viaductd is not built with; "
			"rebuild it without -fsanitize", path, symbol);
	if (strncmp(symbol, "vd_", 3) == 0)
		return vd_error_set(err, -ENOEXEC, "%s needs %s, which this version of Viaduct does not have; rebuild it against the "
			"installed headers, or update Viaduct", path, symbol);
	return vd_error_set(err, -ENOEXEC, "%s needs %s, which no library gives it; link it with the library that does", path, symbol);
}

#define STUCK " was not loaded in 10 seconds; a plugin runs no code before its init; take it out of the folder\n"
static char loading[512];

/* The linker runs constructors and cannot be interrupted: all that is left is to say which plugin it is. */
static void on_stuck(int signo)
{
	ssize_t n = write(STDERR_FILENO, loading, strlen(loading));

	(void)signo;
	(void)n;
	_exit(2);
}

void vd_plugin_load_limit(const char *path)
{
	if (path)
		vd_format(loading, sizeof(loading), "viaductd: %.400s" STUCK, path);
	signal(SIGALRM, path ? on_stuck : SIG_DFL);
	alarm(path ? VD_PLUGIN_LOAD_S : 0);
}

int vd_plugin_file_open(const char *path, const char *name, const struct vd_plugin **ret, struct vd_error *err)
{
	const struct vd_plugin *p;
	lt_dlhandle handle;
	int r = owner_check(path, err);

	if (r < 0)
		return r;
	if (!ltdl_ready) {
		if (lt_dlinit() != 0 || lt_dladvise_init(&advice) != 0 || lt_dladvise_local(&advice) != 0)
			return vd_error_set(err, -ENOMEM, "out of memory");
		ltdl_ready = true;
	}
	/* libltdl opens lazily and says "file not found" for almost anything, so ask the linker first. The probe stays open. */
	if (!dlopen(path, RTLD_NOW | RTLD_LOCAL))
		return refused_by_linker(path, dlerror(), err);
	handle = lt_dlopenadvise(path, advice);
	p = handle ? lt_dlsym(handle, "vd_plugin") : NULL;
	if (!p)
		return vd_error_set(err, -ENOEXEC, "%s exports no %s_LTX_vd_plugin; is it a Viaduct plugin?", path, name);
	/* A build id is what plugins of this tree have; third parties leave it empty. */
	r = vd_plugin_check(p, name, p->magic == VD_PLUGIN_MAGIC && p->build_id && p->build_id[0], err);
	if (r == 0)
		r = vd_plugin_schema_check(p->schema, name, err);
	if (r == 0)
		r = vd_failures_check(p, err);
	if (r == 0)
		*ret = p;
	return r;
}

int vd_plugin_folder_check(const char *dir, struct vd_error *err)
{
	return owner_check(dir, err);
}
