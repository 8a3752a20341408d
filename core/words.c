/* Words of options: see words.h. */
#include "core/words.h"

#include <string.h>

#include "core/plugin.h"

struct search {
	const struct vd_word *word;
	bool found;
};

struct walk {
	const struct vd_conf *conf;
	const struct vd_host *host;
	const char *subject;
	vd_word_fn fn;
	void *arg;
};

static void compare(void *arg, const struct vd_word *word)
{
	struct search *s = arg;

	s->found = s->found || (!strcmp(word->subject, s->word->subject) && !strcmp(word->kind, s->word->kind) &&
		!strcmp(word->word, s->word->word));
}

/* A plugin before host has it too. */
static bool had_before(const struct walk *w, const struct vd_word *word)
{
	struct search s = { .word = word };

	for (const struct vd_host *h = vd_plugins_first(); h != w->host && !s.found; h = h->next)
		if (h->plugin->words)
			h->plugin->words(w->conf, compare, &s);
	return s.found;
}

static void each(void *arg, const struct vd_word *word)
{
	const struct walk *w = arg;

	if ((!w->subject || !strcmp(w->subject, word->subject)) && !had_before(w, word))
		w->fn(w->arg, word);
}

void vd_words_each(const struct vd_conf *conf, const char *subject, vd_word_fn fn, void *arg)
{
	struct walk w = { conf, NULL, subject, fn, arg };

	for (const struct vd_host *h = vd_plugins_first(); h; h = h->next) {
		w.host = h;
		if (h->plugin->words)
			h->plugin->words(conf, each, &w);
	}
}
