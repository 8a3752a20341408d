/* What is known of a kind of clients, for who shows it. Control thread. */
#ifndef CORE_QUIRK_H
#define CORE_QUIRK_H

#include <viaduct/quirk.h>

/* fn with each row of this kind that counts. */
void vd_quirks_each(const char *client, void (*fn)(void *arg, const struct vd_quirk *quirk), void *arg);

#endif
