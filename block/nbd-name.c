/*
 * Names of NBD exports: "nbd:HOST:PORT", "nbd:unix:PATH", each with ":exportname=NAME" or
 * without, and URIs ("NBD URI specification" of its publishers).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "blockdev.h"
#include "nbd-client.h"

static bool invalid(const char *name, Error **errp)
{
    error_setg(errp, "Invalid NBD name '%s': nbd:unix:PATH, nbd:HOST:PORT, "
               "nbd://HOST[:PORT]/EXPORT or nbd+unix:///EXPORT?socket=PATH", name);
    return false;
}

/* "HOST:PORT"; an IPv6 address stands in brackets. */
static bool parse_host(const char *text, QemuOpts *opts)
{
    const char *colon = strrchr(text, ':'), *end = colon ? colon : text + strlen(text);
    g_autofree char *host = NULL;

    if (*text == '[') {
        const char *close = strchr(text, ']');

        if (!close || (close[1] && close[1] != ':')) {
            return false;
        }
        colon = close[1] ? close + 1 : NULL;
        text++;
        end = close;
    }
    host = g_strndup(text, end - text);
    block_opt_default(opts, "server.type", "inet");
    block_opt_default(opts, "server.host", *host ? host : "localhost");
    block_opt_default(opts, "server.port", colon && colon[1] ? colon + 1 : NBD_PORT);
    return true;
}

static bool parse_old(const char *text, QemuOpts *opts)
{
    const char *name = strstr(text, ":exportname=");
    g_autofree char *address = g_strndup(text, name ? (size_t)(name - text) : strlen(text));

    block_opt_default(opts, "export", name ? name + strlen(":exportname=") : NULL);
    if (g_str_has_prefix(address, "unix:")) {
        block_opt_default(opts, "server.type", "unix");
        block_opt_default(opts, "server.path", address + strlen("unix:"));
        return address[strlen("unix:")];
    }
    return strchr(address, ':') && parse_host(address, opts);
}

static char *decode(const char *text, size_t len)
{
    return g_uri_unescape_segment(text, text + len, NULL);
}

/* What comes after "//". */
static bool parse_uri(const char *text, bool is_unix, QemuOpts *opts)
{
    size_t host_len = strcspn(text, "/?"), path_len;
    g_autofree char *host = g_strndup(text, host_len), *name = NULL, *socket = NULL;
    const char *path = text + host_len, *query;

    path += *path == '/';
    path_len = strcspn(path, "?");
    query = path + path_len;
    name = decode(path, path_len);
    if (!name) {
        return false;
    }
    block_opt_default(opts, "export", name);
    if (!is_unix) {
        return !*query && parse_host(host, opts);
    }
    if (*host || !g_str_has_prefix(query, "?socket=")) {
        return false;
    }
    query += strlen("?socket=");
    socket = decode(query, strlen(query));
    block_opt_default(opts, "server.type", "unix");
    block_opt_default(opts, "server.path", socket);
    return socket && *socket;
}

bool nbd_parse_filename(const char *name, QemuOpts *opts, Error **errp)
{
    bool ok;

    block_opt_default(opts, "driver", "nbd");
    if (g_str_has_prefix(name, "nbd+unix://")) {
        ok = parse_uri(name + strlen("nbd+unix://"), true, opts);
    } else if (g_str_has_prefix(name, "nbd+tcp://")) {
        ok = parse_uri(name + strlen("nbd+tcp://"), false, opts);
    } else if (g_str_has_prefix(name, "nbd://")) {
        ok = parse_uri(name + strlen("nbd://"), false, opts);
    } else {
        ok = g_str_has_prefix(name, "nbd:") && parse_old(name + strlen("nbd:"), opts);
    }
    return ok || invalid(name, errp);
}
