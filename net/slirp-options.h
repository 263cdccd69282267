/*
 * User networking: its options, which both processes have.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_SLIRP_OPTIONS_H
#define NET_SLIRP_OPTIONS_H

#include <arpa/inet.h>

#include "net/net.h"

/* Begins the back end's state and the stack's. */
typedef struct SlirpOptions {
    NetClientState nc;
    char *hostname;
    bool restricted;
    bool ipv4, ipv6;
    char *net, *host;
    char *dhcpstart, *dns;
    char *ipv6_prefix, *ipv6_host, *ipv6_dns;
    uint8_t ipv6_prefixlen;
    char *ipv6_net;
    char *tftp, *bootfile, *tftp_server_name;
    char *domainname;
    GPtrArray *dnssearch;   /* of char * */
    GPtrArray *hostfwd;
    GPtrArray *guestfwd;
    uint32_t max_connections;
} SlirpOptions;

extern const Property slirp_properties[];

/* A rule of guestfwd=; target is the part of it that names a chardev or is a command. */
typedef struct GuestRule {
    struct in_addr server;
    int port;
    bool command;
    const char *target;
} GuestRule;

/* [tcp]:SERVER:PORT-DEV or …-cmd:COMMAND. False with errp set. */
bool slirp_parse_guestfwd(const char *rule, GuestRule *r, Error **errp);

/* The text up to the next sep, or NULL; *p moves behind it. Caller frees. */
char *slirp_next_part(const char **p, char sep);
bool slirp_parse_port(const char *str, bool zero_ok, int *port);
/* Sets errp; kind is "host" or "guest", why may be NULL. Returns false. */
bool slirp_bad_rule(Error **errp, const char *kind, const char *rule, const char *why);

#endif
