#include "tests/lib/mounts.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

bool mounts_of_our_own(const char *what)
{
	if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) {
		printf("SKIP %s: a mount namespace cannot be made: %s\n", what, strerror(errno));
		return false;
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		printf("SKIP %s: mounts cannot be made private%s: %s\n", what, errno == EINVAL ? ", / is no mount point" : "",
			strerror(errno));
		return false;
	}
	return true;
}

bool mounts_possible(const char *what)
{
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		bool ok = mounts_of_our_own(what);

		fflush(stdout);
		_exit(ok ? 0 : 1);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
