/* viaductctl plugin check: a plugin's file is opened in a process of its own, so that whatever its code does when it is
 * loaded hits nobody else. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "core/daemon.h"
#include "core/loop.h"
#include "core/plugin.h"

#define ANSWER_MAX 65536

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

static json_t *names(const char *const *list)
{
	json_t *out = json_array();

	for (; list && *list; list++)
		json_array_append_new(out, json_string(*list));
	return out;
}

/* In the child: the result as JSON into fd. */
static void probe(const char *path, const char *name, int fd)
{
	static const int deadly[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };
	const struct rlimit none = { 0 };
	const struct vd_plugin *p = NULL;
	struct vd_error err = { 0 };
	json_t *out;
	size_t options = 0;

	/* A sanitizer's handlers would turn a crash into an ordinary end. */
	for (size_t i = 0; i < VD_ARRAY_SIZE(deadly); i++)
		signal(deadly[i], SIG_DFL);
	setrlimit(RLIMIT_CORE, &none);
	alarm(VD_PLUGIN_LOAD_S);
	if (vd_loop_ev_init() < 0 || vd_plugin_file_open(path, name, &p, &err) < 0) {
		out = json_pack("{s:b,s:s}", "good", 0, "text", err.text);
	} else {
		while (p->schema && p->schema[options].path)
			options++;
		out = json_pack("{s:b,s:s,s:s,s:s,s:s,s:s,s:i,s:i,s:s,s:o,s:o,s:i}", "good", 1, "text", "", "name", p->name, "version",
			or_empty(p->version), "license", or_empty(p->license), "summary", or_empty(p->summary), "abi_major",
			(int)p->abi_major, "abi_minor", (int)p->abi_minor, "build", or_empty(p->build_id), "provides",
			names(p->provides), "needs", names(p->needs), "options", (int)options);
	}
	if (!out || json_dumpfd(out, fd, JSON_COMPACT) < 0)
		_exit(2);
	_exit(0);
}

static json_t *answer_of(int fd)
{
	static char text[ANSWER_MAX];
	size_t n = 0;
	ssize_t got;

	while (n < sizeof(text) && ((got = read(fd, text + n, sizeof(text) - n)) > 0 || (got < 0 && errno == EINTR)))
		n += got > 0 ? (size_t)got : 0;
	return json_loadb(text, n, 0, NULL);
}

/* What became of a child that gave no answer. */
static json_t *obituary(const char *path, int status)
{
	char text[512];

	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		vd_format(text, sizeof(text), "%s was not loaded in %d seconds; a plugin runs no code before its init", path, VD_PLUGIN_LOAD_S);
	else if (WIFSIGNALED(status))
		vd_format(text, sizeof(text), "%s crashed while it was loaded (%s); a plugin runs no code before its init", path,
			strsignal(WTERMSIG(status)));
	else
		vd_format(text, sizeof(text), "%s ended the process that loaded it (status %d); a plugin runs no code before its init",
			path, WEXITSTATUS(status));
	return json_pack("{s:b,s:s}", "good", 0, "text", text);
}

static json_t *checked(const char *path, const char *name)
{
	int ends[2], status = 0, null;
	json_t *answer;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return NULL;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		if (null >= 0)
			dup2(null, STDOUT_FILENO);
		probe(path, name, ends[1]);
	}
	close(ends[1]);
	answer = pid > 0 ? answer_of(ends[0]) : NULL;
	close(ends[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		json_decref(answer);
		return NULL;
	}
	if (!answer || status) {
		json_decref(answer);
		return obituary(path, status);
	}
	return answer;
}

int vd_plugin_probe(const char *file, bool json)
{
	const char *base = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
	size_t len = strlen(base);
	char name[128], *path;
	json_t *answer;
	bool good;

	if (len <= 3 || len > sizeof(name) || strcmp(base + len - 3, ".so") != 0) {
		fprintf(stderr, "viaductctl: %s is not called NAME.so, so viaductd would not look at it\n", file);
		return 2;
	}
	vd_format(name, sizeof(name), "%.*s", (int)(len - 3), base);
	path = realpath(file, NULL); /* the linker looks elsewhere for a name without a slash */
	if (!path) {
		fprintf(stderr, "viaductctl: %s: %s\n", file, strerror(errno));
		return 2;
	}
	answer = checked(path, name);
	free(path);
	if (!answer) {
		fprintf(stderr, "viaductctl: %s cannot be checked: %s\n", file, strerror(errno));
		return 2;
	}
	good = json_is_true(json_object_get(answer, "good"));
	if (json) {
		json_object_set_new(answer, "file", json_string(file));
		json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
		putchar('\n');
	} else if (good) {
		printf("%s is good: %s %s, %s\n", file, name, json_string_value(json_object_get(answer, "version")),
			json_string_value(json_object_get(answer, "summary")));
	} else {
		printf("refused: %s\n", or_empty(json_string_value(json_object_get(answer, "text"))));
	}
	json_decref(answer);
	return good ? 0 : 1;
}
