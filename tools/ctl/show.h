/* What each command prints for people, from the daemon's result. Each returns the exit status. */
#ifndef TOOLS_CTL_SHOW_H
#define TOOLS_CTL_SHOW_H

#include <jansson.h>

/* The exit status of `status`, as service scripts have them. */
int status_of(const json_t *r);
int show_status(const json_t *r);
int show_sessions(const json_t *r);
int show_chain(const json_t *r);
int show_why(const json_t *r);
int show_closed(const json_t *r);
int show_peers(const json_t *r);
int show_connections(const json_t *r);
int show_dialled(const json_t *r);
int show_plugins(const json_t *r);
int show_plugin(const json_t *r);
int show_check(const json_t *r);
int show_reload(const json_t *r);
int show_realm(const json_t *r);
int show_text(const json_t *r);
int show_counters(const json_t *r);
int show_datapath(const json_t *r);
int show_areas(const json_t *r);
int show_words(const json_t *r);
int show_debug(const json_t *r);

#endif
