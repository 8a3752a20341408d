/* From the threads that log to the one that writes: a bounded queue with a thread of its own, because files, sockets and
 * journals may block, and whoever logs may not. What does not fit, or cannot be written, is counted as lost. */
#ifndef LOG_QUEUE_H
#define LOG_QUEUE_H

#include <viaduct/loop.h>
#include <viaduct/plugin.h>

struct log_queue;
struct log_queue_setup {
	const char *plugin;  /* "log_file": the area of its own records; all of these are literals */
	const char *counter; /* "log_file.lost" */
	const char *thread;  /* at most 15 octets */
	size_t octets;       /* what may wait; 0: 1 MiB */
	/* On the queue's thread: one record, as it was put. 0 or -errno. */
	int (*write)(void *arg, const char *data, size_t len);
	void *arg;
};

struct log_queue *log_queue_new(const struct log_queue_setup *setup);
/* Begins to write. Not before start() of the plugin: the thread must have the privileges of the others. 0 or -errno. */
int log_queue_start(struct log_queue *q);
/* Any thread; never blocks. False: it is lost, and counted. */
bool log_queue_put(struct log_queue *q, const char *data, size_t len);
/* Waits until all is written or lost, at most so long. False when it took longer. Control thread. */
bool log_queue_settle(struct log_queue *q, uint64_t ms);
uint64_t log_queue_lost(struct log_queue *q);
/* Writes what waits, for at most 2 s, and ends the thread. False: it hangs in the kernel; then the queue and what write()
 * uses must stay where they are until the process ends. */
bool log_queue_free(struct log_queue *q);

#endif
