/*
 * A saved machine as it comes in: checked, taken apart, RAM put into its place.
 *
 * The source is hostile: what is kept is bounded, and what is wrong ends it with a message.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

/* All of len bytes, or errp is set. */
static bool read_all(Channel *c, void *data, size_t len, Error **errp)
{
    ssize_t n = channel_read(c, data, len);

    if (n < 0) {
        error_setg_errno(errp, -n, "cannot read the saved machine");
    } else if ((size_t)n < len) {
        error_setg(errp, "the saved machine is cut off");
    }
    return n >= 0 && (size_t)n == len;
}

static bool keep_state(SavedMachine *m, const uint8_t *data, size_t len, Error **errp)
{
    m->state_bytes += len;
    if (m->sections->len == FORMAT_MAX_SECTIONS || m->state_bytes > FORMAT_MAX_ALL_STATE) {
        error_setg(errp, "there is more state than any machine has");
        return false;
    }
    g_ptr_array_add(m->sections, g_bytes_new(data, len));
    return true;
}

static bool take_fingerprint(SavedMachine *m, const uint8_t *data, size_t len, Error **errp)
{
    if (m->has_fingerprint) {
        error_setg(errp, "a second fingerprint");
        return false;
    }
    m->has_fingerprint = true;
    return fingerprint_check(m->fingerprint, (const char *)data, len, errp);
}

static bool take_end(SavedMachine *m, const uint8_t *data, size_t len, Error **errp)
{
    uint32_t n;

    if (len != sizeof(n) || (memcpy(&n, data, sizeof(n)), n != m->nr_sections)) {
        error_setg(errp, "sections are missing");
        return false;
    }
    if (m->mapped ? !m->image || m->ram.next : m->ram.next != m->ram.size) {
        error_setg(errp, "RAM is not complete");
        return false;
    }
    m->complete = true;
    return true;
}

static bool take_image(SavedMachine *m, const uint8_t *data, size_t len, Error **errp)
{
    if (!m->mapped || m->image || len != sizeof(m->image)) {
        error_setg(errp, "an image of RAM where none is expected");
        return false;
    }
    memcpy(&m->image, data, len);
    return true;
}

static bool take_section(SavedMachine *m, const SectionHeader *h, const uint8_t *data,
                         Error **errp)
{
    if (!m->has_fingerprint && h->type != SECTION_FINGERPRINT) {
        error_setg(errp, "the fingerprint of the machine is missing");
        return false;
    }
    switch (h->type) {
    case SECTION_FINGERPRINT:
        return take_fingerprint(m, data, h->length, errp);
    case SECTION_PAGES:
        return ram_load_pages(&m->ram, data, h->length, errp);
    case SECTION_ZERO:
        return ram_load_zero(&m->ram, data, h->length, errp);
    case SECTION_STATE:
        return keep_state(m, data, h->length, errp);
    case SECTION_RAM_IMAGE:
        return take_image(m, data, h->length, errp);
    case SECTION_END:
        return take_end(m, data, h->length, errp);
    default:
        return true;    /* optional */
    }
}

static bool read_section(SavedMachine *m, Channel *c, GByteArray *buf, Error **errp)
{
    SectionHeader h;

    if (!read_all(c, &h, sizeof(h), errp) || !format_check_section(&h, errp)) {
        return false;
    }
    g_byte_array_set_size(buf, h.length);
    if (!read_all(c, buf->data, h.length, errp)) {
        return false;
    }
    if (format_crc(0, buf->data, h.length) != h.crc) {
        error_setg(errp, "a section of type %u is damaged", h.type);
        return false;
    }
    if (!take_section(m, &h, buf->data, errp)) {
        return false;
    }
    m->nr_sections++;
    return true;
}

bool saved_machine_read(SavedMachine *m, Channel *c, Error **errp)
{
    g_autoptr(GByteArray) buf = g_byte_array_new();
    FormatHeader h;

    m->sections = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    if (!read_all(c, &h, sizeof(h), errp) || !format_check_header(&h, m->ram.size, errp)) {
        return false;
    }
    m->mapped = h.layout == FORMAT_MAPPED;
    while (!m->complete) {
        if (!read_section(m, c, buf, errp)) {
            return false;
        }
    }
    return !m->mapped || ram_load_image(&m->ram, c, m->image, errp);
}

void saved_machine_clear(SavedMachine *m)
{
    g_clear_pointer(&m->sections, g_ptr_array_unref);
    g_clear_pointer(&m->fingerprint, g_free);
}
