/*
 * Who looks at a network back end's frames as they pass.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "filter.h"

void net_filter_attach(NetFilterState *f, NetClientState *nc)
{
    NetFilterState **p = &nc->filters;

    while (*p) {
        p = &(*p)->next;
    }
    *p = f;
    f->nc = nc;
    f->next = NULL;
}

void net_filter_detach(NetFilterState *f)
{
    NetFilterState **p = f->nc ? &f->nc->filters : NULL;

    while (p && *p != f) {
        p = &(*p)->next;
    }
    if (p) {
        *p = f->next;
        f->nc = NULL;
    }
}

void net_filter_detach_all(NetClientState *nc)
{
    while (nc->filters) {
        net_filter_detach(nc->filters);
    }
}

void net_filter_frame(NetClientState *nc, bool to_guest, const struct iovec *iov, unsigned cnt,
                      size_t len)
{
    size_t hdr = nc->vnet_hdr ? nc->hdr_len : 0;

    for (NetFilterState *f = nc->filters; f && len > hdr; f = f->next) {
        f->see(f, to_guest, iov, cnt, hdr, len - hdr);
    }
}
