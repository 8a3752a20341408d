/* Viaduct: starting and stopping the data path, and driving it without threads in tests. Control thread. */
#ifndef CORE_DATAPATH_DATAPATH_H
#define CORE_DATAPATH_DATAPATH_H

#include <viaduct/datapath.h>

/* Registers service datapath/1. Before the plugins' init. -ENOMEM, -EBUSY when it is there already. */
int vd_datapath_init(void);
/* UDP ports other than 500 and 4500, for tests in namespaces; before start. */
void vd_datapath_ports(uint16_t ike, uint16_t natt);
/* The DF bit of the outer IPv4 header (RFC 4301 section 8.1) of what workers send: clear; that of the packet inside, where IPv6
 * counts as set; or set. IKE messages never have it, and outer IPv6 has none. Before start. */
enum vd_df { VD_DF_CLEAR, VD_DF_COPY, VD_DF_SET };
void vd_datapath_df(enum vd_df df);
/* Who says how large packets from our address (any, or family 0: not known) to another one may be by the host's configuration;
 * or -errno. Asked only where DF is set. NULL, and that is the default: nobody. */
void vd_datapath_way_mtu(int (*fn)(const struct vd_ip *from, const struct vd_ip *to));
/* Makes the workers at once (so that commands may be queued), opens the endpoints through priv/1 and starts the threads;
 * then done(arg, NULL), or err with everything closed again (vd_datapath_stop is still needed). workers: 0 = one per
 * processor. After the plugins' init. Failures before the first socket are returned, and done is not called. */
int vd_datapath_start(unsigned workers, const struct vd_ip *listen, size_t n,
	void (*done)(void *arg, const struct vd_error *err), void *arg);
/* Joins the threads and closes the endpoints. Commands on their way are finished first, in order; their done functions
 * are called from here. Later commands run at once, on the caller, so that plugins can take back what they added.
 * vd_datapath_fini follows when the plugins' fini are done. */
void vd_datapath_stop(void);
void vd_datapath_fini(void);
/* Parks all workers with empty inboxes (true) and lets them go on (false). While they are parked commands run at once,
 * on the caller: state may be exported. Blocks for about one turn of the slowest worker. */
void vd_datapath_pause(bool on);
/* What the worker has counted for a session up to now; for an export. -EBUSY unless no worker runs (paused, or without
 * threads), -ENOENT when it is on no worker. */
int vd_datapath_counted(uint64_t session, struct vd_session_counters *ret_counters);

/* ---- without threads and sockets ---- */
/* Commands run at once; done functions and punts come through the FIFO. Two listening addresses exist: endpoint 1 is
 * 192.0.2.1, or another one, endpoint 2 is 2001:db8::1. */
int vd_datapath_start_inline(unsigned workers);
int vd_datapath_start_inline_at(unsigned workers, const struct vd_ip *v4);
/* The same, on these addresses. */
int vd_datapath_start_inline_on(unsigned workers, const struct vd_ip *listen, size_t n);

/* One packet at a time, as straight as can be: every capability of the kernel's stays unused. Before anything else. */
void vd_datapath_plain(void);

enum vd_datapath_way { VD_SENT_UDP, VD_SENT_RAW, VD_SENT_IKE, VD_SENT_TUN };
struct vd_datapath_sent {
	enum vd_datapath_way way;
	unsigned worker;
	struct vd_path path; /* not for TUN */
	const uint8_t *p;    /* UDP payload as on the wire (markers included), ESP, or the inner IP packet */
	size_t len;
	const uint8_t *vnet; /* TUN: the virtio header of a super-packet, else NULL */
	unsigned run;        /* UDP: its place in a batch of datagrams */
	bool df;             /* UDP, RAW: the outer IPv4 header has DF */
};
/* Everything that would leave is shown to fn, during the call that made it leave. */
void vd_datapath_capture(void (*fn)(void *arg, const struct vd_datapath_sent *sent), void *arg);
/* What users say to each other is concealed from recordings. */
void vd_datapath_conceal(void);
/* As if every socket of the workers would block, while capturing. */
void vd_datapath_full(bool on);
/* As if they refused every UDP_SEGMENT batch with this error (EIO); 0: they take them. */
void vd_datapath_refuse(int error);
/* What is injected waits, up to a vector (true), and goes on together (false). */
void vd_datapath_gather(bool on);
/* Received on a socket: worker -1 is the control thread's (path.natt tells 500 from 4500), else that worker's. path.remote
 * port 0: protocol 50, p is the ESP packet. seg 0: one datagram; else a GRO batch of that segment size. */
void vd_datapath_inject(int worker, const struct vd_path *path, const void *p, size_t len, size_t seg);
/* Read from a worker's TUN queue: an IP packet; vnet may be NULL for a zero virtio header. */
void vd_datapath_inject_tun(unsigned worker, const uint8_t *vnet, const void *p, size_t len);
/* One turn of every worker and of the control thread's side. */
void vd_datapath_turn(void);
/* The drop counter of all workers. */
uint64_t vd_datapath_drops(enum vd_drop why);
/* Buffers in use on all workers: 0 when nothing leaks. */
unsigned vd_datapath_buffers(void);

#endif
