/* Viaduct: opening files that root may be led to. The daemon starts as root in a file system where other users, and the user that
 * it becomes itself, own folders and may have put links there. A plugin's init runs as root, everything from start on as the
 * daemon's user (plugin.h). What a plugin opens by a path from the configuration it opens by this, whichever it is. Any thread.
 *
 * A folder is root's when it, and every folder above it, belongs to root (without root: or to us) and nobody else may write there;
 * in a sticky one, as /tmp, that holds for what belongs to root.
 */
#ifndef VIADUCT_FILE_H
#define VIADUCT_FILE_H

#include <viaduct/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As open(2), close-on-exec, never blocking, regular files only. Symbolic links are followed where the folder is root's and the link
 * is root's; elsewhere they are -ELOOP. As root, moreover: a file with more than one name that is not in a folder of root's is
 * -EMLINK, and writing where the folder is not root's is -EPERM: open it in start then. Never changes an owner or a mode of what
 * was there. The descriptor, or a negative errno with err, which says what to do. */
VD_API int vd_file_open(const char *path, int flags, unsigned mode, struct vd_error *err);
/* Is the folder of this path root's? Then nobody can change what the path means while we look. False also when it is not there. */
VD_API bool vd_file_safe(const char *path);

#ifdef __cplusplus
}
#endif
#endif
