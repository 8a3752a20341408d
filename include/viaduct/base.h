/* Viaduct: what every public header needs: visibility, errors, small helpers.
 *
 * Conventions of the whole interface
 *  - functions return 0 or a count on success and a negative errno on failure;
 *  - outputs named ret_* are written on success only;
 *  - lengths are octets, times are milliseconds unless a name says otherwise;
 *  - "control thread" is the one thread that runs the event loop; every function
 *    here belongs to it unless its comment says "worker" or "any thread";
 *  - _free() functions accept NULL.
 */
#ifndef VIADUCT_BASE_H
#define VIADUCT_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Marks a function that libviaduct exports; the version script is made from these lines. */
#define VD_API __attribute__((visibility("default")))
#define VD_PRINTF(a, b) __attribute__((format(printf, a, b)))
#define VD_MUST_USE __attribute__((warn_unused_result))
#define VD_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define VD_CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Runs fn(&variable) when the variable leaves its scope. */
#define VD_CLEANUP(fn) __attribute__((cleanup(fn)))

/* The reason of a failure, for a person. Value type, owned by the caller; text is always terminated. */
struct vd_error {
	int code;       /* negative errno, 0 when there is no error */
	char text[320]; /* one sentence without a full stop: what is wrong, and what to do */
	char origin[128]; /* "30-staff.yaml:4": the value of the configuration that is meant; "" when there is none */
};

/* Fills err (may be NULL), without an origin, and returns code, so that "return vd_error_set(...)" reads well. Any thread. */
VD_API int vd_error_set(struct vd_error *err, int code, const char *fmt, ...) VD_PRINTF(3, 4);
/* Puts a prefix before the text of err: "users file: " + text. Returns err->code. Any thread. */
VD_API int vd_error_prefix(struct vd_error *err, const char *fmt, ...) VD_PRINTF(2, 3);

/* snprintf that always terminates, returns the length written (never more than size - 1). Any thread. */
VD_API size_t vd_format(char *buf, size_t size, const char *fmt, ...) VD_PRINTF(3, 4);

/* Bounded copy of a string; truncates, always terminates. Returns false when it truncated. Any thread. */
VD_API bool vd_strcpy(char *dst, size_t size, const char *src);

#ifdef __cplusplus
}
#endif
#endif
