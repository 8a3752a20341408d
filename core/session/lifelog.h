/* One line in the log for each peer and session that comes, goes or fails. Control thread. */
#ifndef CORE_LIFELOG_H
#define CORE_LIFELOG_H

/* Subscribes to the core's events; after vd_bus_init. -ENOMEM. */
int vd_lifelog_init(void);

#endif
