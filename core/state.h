/* Inside the core: the list of layers. */
#ifndef CORE_STATE_H
#define CORE_STATE_H

#include <viaduct/state.h>

/* Forgets all layers. After the last plugin's fini. */
void vd_state_fini(void);

/* What vd_state_dir() says; not copied. */
void vd_state_dir_set(const char *dir);

#endif
