/*
 * User networking: the guest's network as the options describe it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "packet.h"
#include "qemu/cutils.h"
#include "slirp-internal.h"

/* Numbers of the addresses in the guest's network. */
#define NUMBER_HOST 2
#define NUMBER_DNS 3
#define NUMBER_DHCP 15

#define SLIRP_MTU 9000

/* Longest name that fits into a DHCP option. */
#define MAX_HOSTNAME 33

/* "A.B.C.D[/PREFIX or /MASK]"; without a mask the class of the address counts. */
static bool parse_net(const char *str, struct in_addr *net, struct in_addr *mask, Error **errp)
{
    g_auto(GStrv) part = g_strsplit(str, "/", 2);
    uint64_t prefix;

    if (!part[0] || !inet_aton(part[0], net)) {
        error_setg(errp, "Failed to parse netmask");
        return false;
    }
    if (!part[1]) {
        uint32_t addr = ntohl(net->s_addr);

        prefix = !(addr >> 31) ? 8 : addr >> 30 == 2 ? 16 : addr >> 29 == 6 ? 24 : 28;
    } else if (qemu_strtou64(part[1], &prefix) < 0) {
        if (!inet_aton(part[1], mask)) {
            error_setg(errp, "Failed to parse netmask (trailing chars)");
            return false;
        }
        net->s_addr &= mask->s_addr;
        return true;
    } else if (prefix < 4 || prefix > 32) {
        error_setg(errp, "Invalid netmask provided (must be in range 4-32)");
        return false;
    }
    mask->s_addr = htonl(0xffffffffu << (32 - prefix));
    net->s_addr &= mask->s_addr;
    return true;
}

static bool parse_addr4(const char *str, struct in_addr *addr, unsigned number,
                        const SlirpConfig *cfg, Error **errp, const char *what)
{
    if (!str) {
        addr->s_addr = cfg->vnetwork.s_addr | (htonl(number) & ~cfg->vnetmask.s_addr);
        return true;
    }
    if (!inet_aton(str, addr)) {
        error_setg(errp, "Failed to parse %s", what);
        return false;
    }
    return true;
}

static bool in_net4(struct in_addr addr, const SlirpConfig *cfg)
{
    return (addr.s_addr & cfg->vnetmask.s_addr) == cfg->vnetwork.s_addr;
}

static bool fill_ipv4(SlirpStack *s, SlirpConfig *cfg, Error **errp)
{
    if (!parse_net(s->o.net ? s->o.net : "10.0.2.0/24", &cfg->vnetwork, &cfg->vnetmask, errp) ||
        !parse_addr4(s->o.host, &cfg->vhost, NUMBER_HOST, cfg, errp, "host") ||
        !parse_addr4(s->o.dhcpstart, &cfg->vdhcp_start, NUMBER_DHCP, cfg, errp,
                     "DHCP start address") ||
        !parse_addr4(s->o.dns, &cfg->vnameserver, NUMBER_DNS, cfg, errp, "DNS")) {
        return false;
    }
    if (!in_net4(cfg->vhost, cfg)) {
        error_setg(errp, "Host doesn't belong to network");
        return false;
    }
    if (!in_net4(cfg->vnameserver, cfg)) {
        error_setg(errp, "DNS doesn't belong to network");
        return false;
    }
    if (cfg->vnameserver.s_addr == cfg->vhost.s_addr) {
        error_setg(errp, "DNS must be different from host");
        return false;
    }
    if (!in_net4(cfg->vdhcp_start, cfg)) {
        error_setg(errp, "DHCP doesn't belong to network");
        return false;
    }
    if (cfg->vdhcp_start.s_addr == cfg->vhost.s_addr ||
        cfg->vdhcp_start.s_addr == cfg->vnameserver.s_addr) {
        error_setg(errp, "DHCP must be different from host and DNS");
        return false;
    }
    s->guest = cfg->vdhcp_start;
    s->vnetwork = cfg->vnetwork;
    s->vnetmask = cfg->vnetmask;
    return true;
}

static bool parse_addr6(const char *str, struct in6_addr *addr, unsigned number,
                        const SlirpConfig *cfg, Error **errp, const char *what)
{
    if (!str) {
        *addr = cfg->vprefix_addr6;
        addr->s6_addr[15] |= number;
        return true;
    }
    if (inet_pton(AF_INET6, str, addr) != 1) {
        error_setg(errp, "Failed to parse IPv6 %s", what);
        return false;
    }
    return true;
}

static bool in_net6(const struct in6_addr *addr, const SlirpConfig *cfg)
{
    unsigned bytes = cfg->vprefix_len / 8, bits = cfg->vprefix_len % 8;

    return !memcmp(addr, &cfg->vprefix_addr6, bytes) &&
           (!bits || (addr->s6_addr[bytes] ^ cfg->vprefix_addr6.s6_addr[bytes]) >>
                     (8 - bits) == 0);
}

static bool fill_ipv6(SlirpStack *s, SlirpConfig *cfg, Error **errp)
{
    const char *prefix = s->o.ipv6_prefix ? s->o.ipv6_prefix : "fec0::";
    g_auto(GStrv) part = s->o.ipv6_net ? g_strsplit(s->o.ipv6_net, "/", 2) : NULL;
    uint64_t len = s->o.ipv6_prefixlen;

    if (part && part[0]) {
        prefix = part[0];
        if (part[1] && qemu_strtou64(part[1], &len)) {
            len = 0;
        }
    }
    if (inet_pton(AF_INET6, prefix, &cfg->vprefix_addr6) != 1) {
        error_setg(errp, "Failed to parse IPv6 prefix");
        return false;
    }
    if (!len || len > 126) {
        error_setg(errp, "Invalid IPv6 prefix provided (IPv6 prefix length must be between 0 "
                   "and 126)");
        return false;
    }
    cfg->vprefix_len = len;
    s->vprefix = cfg->vprefix_addr6;
    s->vprefix_len = len;
    if (!parse_addr6(s->o.ipv6_host, &cfg->vhost6, NUMBER_HOST, cfg, errp, "host") ||
        !parse_addr6(s->o.ipv6_dns, &cfg->vnameserver6, NUMBER_DNS, cfg, errp, "DNS")) {
        return false;
    }
    if (!in_net6(&cfg->vhost6, cfg) || !in_net6(&cfg->vnameserver6, cfg)) {
        error_setg(errp, "IPv6 host and DNS must belong to the IPv6 network");
        return false;
    }
    return true;
}

/* vdnssearch is the caller's to free; its strings are not. */
static bool fill_names(SlirpStack *s, SlirpConfig *cfg, Error **errp)
{
    if (s->o.hostname && strlen(s->o.hostname) > MAX_HOSTNAME) {
        error_setg(errp, "vhostname is too long");
        return false;
    }
    if (s->o.domainname && (!*s->o.domainname || strlen(s->o.domainname) > 255)) {
        error_setg(errp, "'domainname' parameter %s", *s->o.domainname ? "is too long"
                                                                     : "cannot be empty");
        return false;
    }
    if (s->o.tftp_server_name && strlen(s->o.tftp_server_name) > 255) {
        error_setg(errp, "'tftp-server-name' parameter cannot exceed 255 bytes");
        return false;
    }
    if (s->o.bootfile && strlen(s->o.bootfile) > 127) {
        error_setg(errp, "'bootfile' parameter cannot exceed 127 bytes");
        return false;
    }
    if (s->o.dnssearch) {
        cfg->vdnssearch = g_new0(const char *, s->o.dnssearch->len + 1);
        for (guint i = 0; i < s->o.dnssearch->len; i++) {
            cfg->vdnssearch[i] = g_ptr_array_index(s->o.dnssearch, i);
        }
    }
    cfg->vhostname = s->o.hostname;
    cfg->vdomainname = s->o.domainname;
    cfg->tftp_path = s->o.tftp ? SLIRP_TFTP_PATH : NULL;
    cfg->tftp_server_name = s->o.tftp_server_name;
    cfg->bootfile = s->o.bootfile;
    return true;
}

bool slirp_frame_is_inside(const SlirpStack *s, const uint8_t *frame, size_t len)
{
    const uint8_t *ip = frame + ETH_HLEN;
    struct in_addr addr;

    if (len >= ETH_HLEN + IP6_HLEN && load16(frame + ETH_TYPE) == ETH_TYPE_IPV6) {
        const uint8_t *to = ip + IP6_DESTINATION;

        return !memcmp(to, s->vprefix.s6_addr, s->vprefix_len / 8) ||
               to[0] == 0xfe || to[0] == 0xff;      /* local, or multicast */
    }
    if (len < ETH_HLEN + IP_HLEN || load16(frame + ETH_TYPE) != ETH_TYPE_IP) {
        return false;
    }
    memcpy(&addr, ip + IP_DESTINATION, sizeof(addr));
    return (addr.s_addr & s->vnetmask.s_addr) == s->vnetwork.s_addr ||
           addr.s_addr == INADDR_BROADCAST;
}

bool slirp_fill_config(SlirpStack *s, SlirpConfig *cfg, Error **errp)
{
    if (!s->o.ipv4 && !s->o.ipv6) {
        error_setg(errp, "IPv4 and IPv6 disabled");
        return false;
    }
    cfg->restricted = s->o.restricted;
    /* It refuses longer IPv6 datagrams than that, even when the guest's are put together. */
    cfg->if_mtu = cfg->if_mru = SLIRP_MTU;
    cfg->in_enabled = s->o.ipv4;
    cfg->in6_enabled = s->o.ipv6;
    /* Never libslirp's helpers for old protocols: they are where its holes were. */
    cfg->enable_emu = false;
    return fill_ipv4(s, cfg, errp) && fill_ipv6(s, cfg, errp) && fill_names(s, cfg, errp);
}
