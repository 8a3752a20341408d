/* Words that values of options may contain and that no schema lists, of all plugins that were found. Control thread. */
#ifndef CORE_WORDS_H
#define CORE_WORDS_H

#include <viaduct/plugin.h>

/* Each once, though several plugins have it; of one subject, or of all (NULL). conf: see vd_plugin.words. */
void vd_words_each(const struct vd_conf *conf, const char *subject, vd_word_fn fn, void *arg);

#endif
