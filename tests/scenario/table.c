#include "tests/scenario/table.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

#include "tests/lib/fake.h"
#include "tests/scenario/gateway.h"

unsigned table_births;

void table_reborn(void)
{
	struct vd_error why = { 0 };
	int res = gateway_reborn(&why);

	/* A moment in which a layer cannot be exported: it is over when its next timer has fired, or its next datagram came. */
	if (res == -EAGAIN) {
		fake_advance(1);
		res = gateway_reborn(&why);
	}
	ck_assert_msg(res == 0 || res == -EAGAIN, "%s", why.text);
	table_births += res == 0;
}

struct row *table_new(unsigned n)
{
	void *p = mmap(NULL, n * sizeof(struct row), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

unsigned table_print(const struct row *rows, unsigned n)
{
	unsigned variants = 0;

	printf("%-38s %8s %9s %6s %8s %10s %13s\n", "conversation", "client's", "gateway's", "lost", "repeated", "made anew",
		"all gone, min");
	for (unsigned i = 0; i < n; i++) {
		const struct row *r = &rows[i];

		printf("%-38s %8u %9u %6u %8u %10u %13u\n", r->name, r->up, r->down, r->lost, r->doubled, r->births, r->minutes);
		variants += r->lost + r->doubled;
	}
	printf("%u variants with a message lost or repeated\n", variants);
	return variants;
}
