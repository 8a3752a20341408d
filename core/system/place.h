/* Paths that root may be led astray by: behind vd_file_open. Any thread. */
#ifndef CORE_PLACE_H
#define CORE_PLACE_H

#include <limits.h>

#include <viaduct/file.h>

/* Where a path ends: an open folder (O_PATH) and a name in it, which is no link that would be followed. */
struct vd_place {
	int dir;
	bool safe;      /* the folder, and all above, is root's (without root: or ours) */
	unsigned other; /* who could change it, where it is not safe */
	char name[NAME_MAX + 1];
};

/* Goes there by the rules of viaduct/file.h; the last name need not exist. 0: the caller closes dir. Negative errno with err. */
int vd_place_find(const char *path, struct vd_place *ret, struct vd_error *err);
/* vd_file_open, which also says in *ret_safe whether the folder is root's. */
int vd_place_open(const char *path, int flags, unsigned mode, bool *ret_safe, struct vd_error *err);

#endif
