/* Making a recording. Control thread; while one is made there is no other (vd_record_on). */
#ifndef CORE_RECORD_H
#define CORE_RECORD_H

#include <viaduct/record.h>

#include <viaduct/addr.h>

struct vd_datapath_sent;
struct vd_path;

/* A recording is text: one word per line and what belongs to it, octets in hexadecimal.
 *
 *   viaduct-recording 1 VERSION   the first line
 *   conf DIR                      where viaduct.yaml is
 *   file PATH                     a file of the configuration; its lines follow, each behind "| "
 *   state KIND WORDS              what was kept from an earlier run, as "lease POOL ADDRESS USER"
 *   begin NOW WALL NEXT-ID        the data path is ready; milliseconds
 *   start                         what is dialled at the start is dialled
 *   in WORKER ENDPOINT NATT LOCAL REMOTE LENGTH OCTETS   a datagram; what is sealed of it may be left out. "tos TOS" stands
 *                                 before the octets when its outer header has one that is not 0
 *   tun WORKER LENGTH OCTETS      an inner packet from the device; of its payload there are zeros only
 *   timer                         what was due fired
 *   control {JSON}                a command on the control socket
 *   other NOW                     something that is not recorded, as a plugin's own descriptor; what came of it is not replayed
 *   end WHY
 *
 * Each of these but the first five begins a turn; "now NOW" stands before it when time passed. Behind it stands, indented by
 * one blank, what the turn made happen: "saw WHAT OCTETS" (vd_observe), "sealed OCTETS", "out ...", and what went
 * over the bus: "event TOPIC {JSON}", "request TOPIC {JSON}", "answer TOPIC VERDICT {JSON}". */
#define VD_RECORD_VERSION 1
#define VD_RECORD_MAX ((size_t)256 << 20) /* octets of a file; then it ends */

/* Begins one into a new file, mode 0600. names: those of users stay as they are; otherwise each is another one of the same
 * length. -errno with a text. */
int vd_record_open(const char *path, bool names, struct vd_error *err);
/* Begins one whose lines, without newline, go to fn; with all names. */
int vd_record_to(void (*fn)(void *arg, const char *line), void *arg);
bool vd_record_on(void);
/* Words that mean something in the configuration, and are left alone when a user is named so. Copied. */
void vd_record_keep(const char *word);

void vd_record_conf(const char *dir);
void vd_record_file(const char *path, const char *text, size_t len);
void vd_record_begin(void);
void vd_record_start(void);
/* worker -1: the control thread's socket. */
void vd_record_in(int worker, const struct vd_path *path, const uint8_t *p, size_t len);
void vd_record_tun(unsigned worker, const uint8_t *p, size_t len);
void vd_record_timer(void);
void vd_record_control(const char *line, size_t len);
void vd_record_out(void *arg, const struct vd_datapath_sent *sent);
/* The turn is over: what was recorded of it is written. */
void vd_record_turn(void);
void vd_record_close(const char *why);

#endif
