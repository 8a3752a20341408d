/* Names of users, and others of the same length in their place. */
#ifndef CORE_RECORD_NAMES_H
#define CORE_RECORD_NAMES_H

#include <viaduct/base.h>

#define VD_RECORD_NAMES_MAX 4096u

/* Names shorter than two letters are left as they are, and those beyond the limit. */
void vd_record_names_add(const char *name);
/* A word that stays, also when a user is named so. */
void vd_record_names_keep(const char *word);
/* In place, where a name stands as a whole word. */
void vd_record_names_replace(char *p, size_t len);
void vd_record_names_free(void);

#endif
