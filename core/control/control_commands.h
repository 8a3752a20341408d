/* Commands of the control socket that have files of their own, for the table in control_commands.c. */
#ifndef CORE_CONTROL_COMMANDS_H
#define CORE_CONTROL_COMMANDS_H

#include "core/control/control.h"

void vd_command_status(struct vd_call *call, json_t *args);
void vd_command_log_areas(struct vd_call *call, json_t *args);
void vd_command_log_debug(struct vd_call *call, json_t *args);
/* What is wrong until somebody acts (problem.h): key, text, since_s of each. */
json_t *vd_control_problems(void);
void vd_command_words(struct vd_call *call, json_t *args);
void vd_command_connections(struct vd_call *call, json_t *args);
void vd_command_connection_up(struct vd_call *call, json_t *args);
void vd_command_connection_down(struct vd_call *call, json_t *args);
/* How a connection that we dial stands; NULL for one that we do not. */
json_t *vd_control_dialled(const char *connection);
void vd_command_plugins(struct vd_call *call, json_t *args);
void vd_command_plugin(struct vd_call *call, json_t *args);
void vd_command_check(struct vd_call *call, json_t *args);
void vd_command_reload(struct vd_call *call, json_t *args);
void vd_command_show(struct vd_call *call, json_t *args);
void vd_command_why(struct vd_call *call, json_t *args);
void vd_command_realm(struct vd_call *call, json_t *args);
/* The remembered reports about this, the newest first; about NULL: all. */
json_t *vd_control_reports(const char *about);

#endif
