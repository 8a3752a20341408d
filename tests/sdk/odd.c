/* A plugin that is wrong in one way, chosen by -DODD_...; without any it is good. Built by tests with one cc line. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <viaduct/plugin.h>

int vd_from_the_future(void);
int odd_helper(void);
extern int __asan_from_elsewhere;

#ifdef ODD_CRASH
__attribute__((constructor)) static void at_load(void)
{
	raise(SIGSEGV);
}
#elif defined(ODD_EXIT)
__attribute__((constructor)) static void at_load(void)
{
	_exit(0);
}
#elif defined(ODD_HANG)
__attribute__((constructor)) static void at_load(void)
{
	pause();
}
#endif

static int init(struct vd_host *host, void **ret_self, struct vd_error *err)
{
	(void)host;
	(void)ret_self;
	(void)err;
#ifdef ODD_SYMBOL
	return vd_from_the_future();
#elif defined(ODD_LIBRARY)
	return odd_helper();
#elif defined(ODD_SANITIZER)
	return __asan_from_elsewhere;
#else
	return 0;
#endif
}

/* What the sample's fini does: with no object it crashes. */
void odd_fini(void *self);
void odd_fini(void *self)
{
	*(volatile int *)self = 0;
}

#ifndef ODD_ROW
#define ODD_ROW { "odd.more", VD_T_BOOL, 0, "true", NULL, "More of it." }
#endif
static const struct vd_opt schema[] = {
	{ "odd", VD_T_MAP, 0, NULL, NULL, "An odd plugin." },
	{ "odd.size", VD_T_UINT, 0, "7", "1..9", "How odd." },
	ODD_ROW,
	{ NULL },
};

#ifndef ODD_NAME
#define ODD_NAME odd
#endif
#ifndef ODD_FIELD
#define ODD_FIELD .version = "1.0"
#endif
#define ODD_PLUGIN(name, ...) VD_PLUGIN(name, __VA_ARGS__)
ODD_PLUGIN(ODD_NAME, .license = "MIT", .summary = "is odd", .schema = schema, .init = init, ODD_FIELD);
