/* Viaduct: service accounts/1: what a provider of authenticate that knows its users itself can tell of them. Its variant is
 * the section of the configuration that the provider reads ("users"). Control thread. */
#ifndef VIADUCT_ACCOUNTS_H
#define VIADUCT_ACCOUNTS_H

#include <viaduct/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vd_accounts_1 {
	void *self;
	/* How many accounts SECTION.name has now. -ENOENT when there is no such object. */
	int (*count)(void *self, const char *name);
};

#ifdef __cplusplus
}
#endif
#endif
