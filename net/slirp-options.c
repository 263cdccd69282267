/*
 * User networking: its options, and what rules of forwards are made of.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "slirp-options.h"

#include <string.h>
#include <sys/socket.h>

#include "qemu/cutils.h"

char *slirp_next_part(const char **p, char sep)
{
    const char *end = strchr(*p, sep);
    char *part;

    if (!end) {
        return NULL;
    }
    part = g_strndup(*p, end - *p);
    *p = end + 1;
    return part;
}

bool slirp_parse_port(const char *str, bool zero_ok, int *port)
{
    uint64_t n;

    if (!str || qemu_strtou64(str, &n) || n > 65535 || (!n && !zero_ok)) {
        return false;
    }
    *port = n;
    return true;
}

bool slirp_bad_rule(Error **errp, const char *kind, const char *rule, const char *why)
{
    error_setg(errp, "Invalid %s forwarding rule '%s'%s%s%s", kind, rule, why ? " (" : "",
               why ? why : "", why ? ")" : "");
    return false;
}

bool slirp_parse_guestfwd(const char *rule, GuestRule *r, Error **errp)
{
    const char *p = rule;
    g_autofree char *proto = slirp_next_part(&p, ':');
    g_autofree char *server = proto ? slirp_next_part(&p, ':') : NULL;
    g_autofree char *port = server ? slirp_next_part(&p, '-') : NULL;

    if (!port || (*proto && strcmp(proto, "tcp")) || !inet_aton(server, &r->server) ||
        !slirp_parse_port(port, false, &r->port) || !*p) {
        return slirp_bad_rule(errp, "guest", rule, NULL);
    }
    r->command = g_str_has_prefix(p, "cmd:");
    r->target = r->command ? p + strlen("cmd:") : p;
    return true;
}

const Property slirp_properties[] = {
    DEFINE_PROP_STRING("hostname", SlirpOptions, hostname, NULL, "name that DHCP gives the guest"),
    DEFINE_PROP_BOOL("restrict", SlirpOptions, restricted, "off",
                     "cut the guest off from the host and the outside"),
    DEFINE_PROP_BOOL("ipv4", SlirpOptions, ipv4, "on", "IPv4 for the guest"),
    DEFINE_PROP_BOOL("ipv6", SlirpOptions, ipv6, "on", "IPv6 for the guest"),
    DEFINE_PROP_STRING("net", SlirpOptions, net, NULL, "guest network: ADDRESS[/PREFIX or MASK]"
                       " (unset: 10.0.2.0/24)"),
    DEFINE_PROP_STRING("host", SlirpOptions, host, NULL, "address of the host (unset: number 2)"),
    DEFINE_PROP_STRING("dhcpstart", SlirpOptions, dhcpstart, NULL,
                       "first address that DHCP gives out (unset: number 15)"),
    DEFINE_PROP_STRING("dns", SlirpOptions, dns, NULL, "address of the DNS (unset: number 3)"),
    DEFINE_PROP_STRING("ipv6-net", SlirpOptions, ipv6_net, NULL, "guest network: PREFIX/LENGTH"),
    DEFINE_PROP_STRING("ipv6-prefix", SlirpOptions, ipv6_prefix, NULL,
                       "guest network (unset: fec0::)"),
    DEFINE_PROP_UINT8("ipv6-prefixlen", SlirpOptions, ipv6_prefixlen, "64", "its length"),
    DEFINE_PROP_STRING("ipv6-host", SlirpOptions, ipv6_host, NULL, "address of the host"),
    DEFINE_PROP_STRING("ipv6-dns", SlirpOptions, ipv6_dns, NULL, "address of the DNS"),
    DEFINE_PROP_STRLIST("dnssearch", SlirpOptions, dnssearch, "domains to search, by DHCP"),
    DEFINE_PROP_STRING("domainname", SlirpOptions, domainname, NULL, "domain, by DHCP"),
    DEFINE_PROP_STRING("tftp", SlirpOptions, tftp, NULL, "folder to serve by TFTP"),
    DEFINE_PROP_STRING("tftp-server-name", SlirpOptions, tftp_server_name, NULL,
                       "name of the TFTP server, by DHCP"),
    DEFINE_PROP_STRING("bootfile", SlirpOptions, bootfile, NULL, "file to boot, by DHCP"),
    DEFINE_PROP_STRLIST("hostfwd", SlirpOptions, hostfwd,
                        "[tcp|udp]:[HOSTADDR]:PORT-[GUESTADDR]:PORT"),
    DEFINE_PROP_STRLIST("guestfwd", SlirpOptions, guestfwd,
                        "[tcp]:ADDR:PORT-CHARDEV or [tcp]:ADDR:PORT-cmd:COMMAND"),
    DEFINE_PROP_UINT32("max-connections", SlirpOptions, max_connections, "512",
                       "sockets that the guest, or peers through hostfwd=, may make it open"),
    DEFINE_PROP_NO_STRING("smb", "smb= is not supported"),
    DEFINE_PROP_NO_STRING("smbserver", "smb= is not supported"),
    DEFINE_PROP_END
};
