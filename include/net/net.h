/*
 * Network backends: Ethernet frames to and from the host.
 *
 * A NetClientState is the host's side (-netdev); at most one NIC (a NICState,
 * embedded in the device) is its peer. Both sides pull and nobody queues
 * without bound: who cannot take a frame says so and is called when it can.
 *
 * Frames are given as iovecs. When a backend carries virtio-net headers
 * (vnet_hdr), each frame begins with one, of the length last given to
 * net_set_offload(); otherwise frames begin with the destination address.
 *
 * Main loop and machine lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_NET_H
#define NET_NET_H

#include <sys/types.h>
#include <sys/uio.h>

#include "qemu/object.h"

/* No frame is longer: 64 KiB of IP, Ethernet, VLAN and virtio-net headers fit in. */
#define NET_FRAME_MAX (68u << 10)
/* Addresses and type: what a frame has at least. */
#define NET_ETH_HLEN 14
#define NET_MAX_QUEUES 16

/* Offloads that need virtio-net headers; bits. */
enum {
    NET_OFFLOAD_CSUM = 1 << 0,      /* partial checksums */
    NET_OFFLOAD_TSO4 = 1 << 1,
    NET_OFFLOAD_TSO6 = 1 << 2,
    NET_OFFLOAD_ECN = 1 << 3,       /* TSO with ECN bits */
};

typedef struct NetClientState NetClientState;
typedef struct NetClientClass NetClientClass;
typedef struct NICState NICState;

struct NetClientClass {
    ObjectClass oc;         /* "tap", "user", … and its property rows */
    /* Open what the properties name. On failure close() is called as well. */
    bool (*open)(NetClientState *nc, Error **errp);
    /* Also after a failed or partial open. */
    void (*close)(NetClientState *nc);
    void (*reset)(NetClientState *nc);      /* end what the guest began; may be NULL */
    /*
     * A frame from the guest, through queue q; the list has at least the
     * header (if any) and NET_ETH_HLEN bytes. 0: sent or dropped. -EAGAIN: not
     * taken; nic->ops->writable will be called.
     */
    int (*send)(NetClientState *nc, unsigned q, const struct iovec *iov, unsigned cnt);
    /*
     * Put the next frame from the host into the list; bytes of the frame, which
     * is cut when the list is too short. -EAGAIN: there is none;
     * nic->ops->readable will be called if set_receive is on.
     */
    ssize_t (*recv)(NetClientState *nc, unsigned q, const struct iovec *iov, unsigned cnt);
    /* The NIC waits for frames on queue q, or does not: poll or stop polling. */
    void (*set_receive)(NetClientState *nc, unsigned q, bool on);
    /* Header length and the offloads of frames to the guest. NULL: no headers. */
    void (*set_offload)(NetClientState *nc, unsigned hdr_len, unsigned offloads);
    /* Use the first n queues only. NULL: there is one. 0 or negative errno. */
    int (*set_queues)(NetClientState *nc, unsigned n);
    /* What it connects, in a person's form (caller frees). May be NULL. */
    char *(*connections)(NetClientState *nc);
    /*
     * Lead a port of the host into the guest, or end that: rule as of hostfwd=, up
     * to the host's port to end it. NULL: the backend has no such thing.
     */
    bool (*change_hostfwd)(NetClientState *nc, const char *rule, bool add, Error **errp);
};

typedef struct CharBackend CharBackend;

/* A worker in the host's kernel that can move a queue pair's frames: vhost. */
typedef struct NetVhost {
    int fd;                 /* of /dev/vhost-net */
    int backend;            /* what it is to be connected with */
} NetVhost;

struct NetClientState {
    Object obj;
    NICState *nic;          /* the peer, or NULL */
    unsigned queues;        /* pairs, >= 1; set by open */
    bool vnet_hdr;          /* frames carry virtio-net headers; set by open */
    unsigned hdr_len;       /* of these; 0: none */
    unsigned offloads;      /* that the backend can do both ways; set by open */
    bool carrier_off;       /* the backend has lost its host side */
    bool link_off;          /* set_link NAME off */
    const NICState *own_nic; /* another back end's: it is not for a card; or NULL; by open */
    struct NetFilterState *filters;  /* who looks at its frames; NULL: nobody */
    const NetVhost *vhost;  /* of each queue pair, or NULL; set by open */
    CharBackend *vhost_user; /* to a back end that serves the card's queues, or NULL; by open */
    char *info;             /* "type=tap,ifname=tap0": info network; owned */
};

/* What a NIC lets in, for query-rx-filter; pointers are into the NIC. */
typedef enum NetRxState { NET_RX_NORMAL, NET_RX_NONE, NET_RX_ALL } NetRxState;
typedef struct NetRxFilter {
    bool promiscuous, broadcast_allowed, unicast_overflow, multicast_overflow;
    NetRxState unicast, multicast, vlan;
    const uint8_t *main_mac, *unicast_table, *multicast_table;  /* 6 bytes each entry */
    unsigned nr_unicast, nr_multicast;
    const uint32_t *vlans;      /* a bit for each of 4096 */
    bool *told;                 /* of a change; clear it to be told of the next one */
} NetRxFilter;

typedef struct NICOps {
    /* Frames may wait on queue q: call net_recv() until -EAGAIN. */
    void (*readable)(void *opaque, unsigned q);
    /* net_send() on queue q may work again. */
    void (*writable)(void *opaque, unsigned q);
    /* net_link_up() has changed. */
    void (*link_changed)(void *opaque);
    /* Fill *f; changes are told by NIC_RX_FILTER_CHANGED. May be NULL. */
    void (*rx_filter)(void *opaque, NetRxFilter *f);
    void (*announce)(void *opaque);     /* ask the driver to; may be NULL */
} NICOps;

/* Embedded in the NIC; zeroed means no peer. nc is claimed by the property. */
struct NICState {
    NetClientState *nc;
    const NICOps *ops;      /* set by realize, with opaque */
    void *opaque;
    const char *name;       /* the device's id, or NULL; set by realize */
    const NetClientState *port; /* it is this hub port; NULL: a card; set by the port's open */
    bool link_off;          /* set_link NIC off */
};

/* The rows common to all backends; parent of every netdev class. */
extern const ObjectClass netdev_base_class;

static inline const NetClientClass *net_client_class(const NetClientState *nc)
{
    return downcast(nc->obj.oc, const NetClientClass, oc);
}

/*
 * -netdev: opts has "type", "id" and the properties. The backend joins the list
 * that net_find() searches. NULL with errp set on failure.
 */
NetClientState *net_client_new(QemuOpts *opts, Error **errp);
/* The same for a name that nobody chose: "#netNNN". opts has "type" and the properties. */
NetClientState *net_client_new_anonymous(QemuOpts *opts, Error **errp);
NetClientState *net_find(const char *id);
/* Close, forget and free. A NIC is left without a peer. */
void net_client_del(NetClientState *nc);
typedef void NetClientFn(NetClientState *nc, void *opaque);
void net_foreach(NetClientFn *fn, void *opaque);
/* Whether the machine was complete: from now on nothing waits for a peer to answer. */
bool net_is_running(void);
/* It is. Warn about backends without a NIC: "netdev n0 has no peer". */
void net_check_clients(void);
/* Close them all at exit: scripts run, sockets are unlinked. */
void net_cleanup(void);

/* Link of the backend or NIC called name up or down. False with errp: there is none. */
bool net_set_link(const char *name, bool up, Error **errp);

/* For backends ------------------------------------------------------------- */

void net_notify_readable(NetClientState *nc, unsigned q);
void net_notify_writable(NetClientState *nc, unsigned q);
/* The backend's host side came or went. */
void net_set_carrier(NetClientState *nc, bool on);
/* For NICs; all are harmless without a peer -------------------------------- */

/* See the class. Without a peer or link frames are dropped (0). */
int net_send(NICState *nic, unsigned q, const struct iovec *iov, unsigned cnt);
/* -EAGAIN also without a peer or link. */
ssize_t net_recv(NICState *nic, unsigned q, const struct iovec *iov, unsigned cnt);
void net_set_receive(NICState *nic, unsigned q, bool on);
void net_nic_reset(NICState *nic);
void net_set_offload(NICState *nic, unsigned hdr_len, unsigned offloads);
int net_set_queues(NICState *nic, unsigned n);
bool net_link_up(const NICState *nic);
/* Give the peer up (unrealize). */
void net_nic_detach(NICState *nic);

/* A MAC address as a property; all zero: net_default_mac() fills it in. */
typedef struct MACAddr {
    uint8_t a[6];
} MACAddr;
extern const PropertyInfo prop_macaddr;
#define DEFINE_PROP_MACADDR(n, s, f) \
    DEFINE_PROP(n, s, f, prop_macaddr, MACAddr, NULL, "Ethernet address of the guest")
/* Give an all-zero mac the next address of 52:54:00:12:34:56 and up. */
void net_default_mac(MACAddr *mac);

/* A device property that names a netdev; the field is a NICState. */
extern const PropertyInfo prop_netdev;
#define DEFINE_PROP_NETDEV(n, s, f) \
    DEFINE_PROP(n, s, f, prop_netdev, NICState, NULL, "ID of a netdev to use")

#endif
