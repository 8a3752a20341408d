/* What happened to an object, in words: see timeline.h. */
#include "core/object/timeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/loop.h>
#include <viaduct/text.h>

/* Most objects have few moments, and there are three timelines for each client: as long as there is room to grow, none is
 * overwritten, and first is 0. */
static bool grow(struct vd_timeline *t)
{
	uint8_t room = t->room ? (uint8_t)(t->room * 2) : VD_TIMELINE_FEW;
	struct vd_moment *v = realloc(t->v, room * sizeof(*v));

	if (!v)
		return false;
	t->v = v;
	t->room = room;
	return true;
}

void vd_timeline_add(struct vd_timeline *t, const char *fmt, va_list ap)
{
	char raw[240], text[240];
	struct vd_moment *m;
	char *copy;

	if (vsnprintf(raw, sizeof(raw), fmt, ap) < 0)
		return;
	vd_text_safe_string(text, sizeof(text), raw);
	copy = strdup(text);
	if (!copy || (t->n == t->room && t->room < VD_TIMELINE_MAX && !grow(t))) {
		free(copy);
		return;
	}
	if (t->n == VD_TIMELINE_MAX) {
		free(t->v[t->first].text);
		t->first = (t->first + 1) % VD_TIMELINE_MAX;
		t->n--;
		t->forgotten++;
	}
	m = &t->v[(t->first + t->n) % VD_TIMELINE_MAX];
	*m = (struct vd_moment){ .at = vd_now(), .wall = vd_wall(), .text = copy };
	t->n++;
}

void vd_timeline_clear(struct vd_timeline *t)
{
	for (unsigned i = 0; i < t->n; i++)
		free(t->v[(t->first + i) % VD_TIMELINE_MAX].text);
	free(t->v);
	*t = (struct vd_timeline){ 0 };
}
