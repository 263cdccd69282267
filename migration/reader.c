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
#include "postcopy.h"

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
    if (m->mapped ? !m->image || m->ram.next : !ram_load_complete(&m->ram)) {
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

/* Who saved it that way has gone on with the guest when nobody answered. */
static bool take_confirm(SavedMachine *m, const Channel *c, Error **errp)
{
    m->confirm = c->two_way;
    if (!m->confirm) {
        error_setg(errp, "the source waits for an answer, which this channel cannot carry");
    }
    return m->confirm;
}

/* Memory may come when the guest runs here already. */
static bool take_postcopy(SavedMachine *m, Error **errp)
{
    m->late = m->post && m->confirm && !m->mapped;
    if (!m->late) {
        error_setg(errp, "the source has capability postcopy-ram, which is off here");
    }
    return m->late;
}

/* Nothing is written into memory by the reader itself any more. */
static bool begin_late(SavedMachine *m, Error **errp)
{
    if (!m->late) {
        error_setg(errp, "post-copy that was not agreed on");
        return false;
    }
    ram_load_leave(&m->ram);
    return true;
}

/* Whether it has its place where it comes. */
static bool check_place(const SavedMachine *m, const SectionHeader *h, Error **errp)
{
    bool late = m->late && m->post->begun;

    if (!m->has_fingerprint && h->type != SECTION_FINGERPRINT) {
        error_setg(errp, "the fingerprint of the machine is missing");
    } else if (late && h->type != SECTION_STATE && h->type != SECTION_MISSING &&
               h->type != SECTION_SWITCH) {
        error_setg(errp, "a section of type %u in the switch to post-copy", h->type);
    } else {
        return true;
    }
    return false;
}

/* What layers.c has looked at before. */
static bool check_of_file(const SavedMachine *m, uint32_t type, Error **errp)
{
    bool ok = type == SECTION_IDENTITY ? m->mapped : m->difference;

    if (!ok) {
        error_setg(errp, "a section of type %u where none is expected", type);
    }
    return ok;
}

static bool take_section(SavedMachine *m, const SectionHeader *h, const Channel *c,
                         const uint8_t *data, Error **errp)
{
    switch (h->type) {
    case SECTION_FINGERPRINT:
        return take_fingerprint(m, data, h->length, errp);
    case SECTION_ZERO:
        return ram_load_zero(&m->ram, data, h->length, errp);
    case SECTION_STATE:
        return keep_state(m, data, h->length, errp);
    case SECTION_RAM_IMAGE:
        return take_image(m, data, h->length, errp);
    case SECTION_ROUND:
        return ram_load_round(&m->ram, errp);
    case SECTION_END:
        return take_end(m, data, h->length, errp);
    case SECTION_CONFIRM:
        return take_confirm(m, c, errp);
    case SECTION_POSTCOPY:
        return take_postcopy(m, errp);
    case SECTION_MISSING:
        return begin_late(m, errp) && postcopy_take_missing(m->post, data, h->length, errp);
    case SECTION_SWITCH:
        return begin_late(m, errp) && postcopy_take_switch(m->post, errp);
    case SECTION_IDENTITY:
    case SECTION_BASE:
    case SECTION_EXTENTS:
        return check_of_file(m, h->type, errp);
    case SECTION_LOADED:
    case SECTION_FAILED:
    case SECTION_YOURS:
    case SECTION_REQUEST:
    case SECTION_ARRIVED:
        error_setg(errp, "an answer where none is expected");
        return false;
    default:
        return true;    /* optional */
    }
}

/* The guest may run by now. */
static bool take_late_section(SavedMachine *m, const SectionHeader *h, const uint8_t *data,
                              Error **errp)
{
    switch (h->type) {
    case SECTION_ZERO:
        return postcopy_take_zeros(m->post, data, h->length, errp);
    case SECTION_YOURS:
        return postcopy_take_yours(m->post, errp);
    case SECTION_END:
        return take_end(m, data, h->length, errp) && postcopy_take_end(m->post, errp);
    default:
        if (!(h->flags & SECTION_OPTIONAL)) {
            error_setg(errp, "a section of type %u after the switch to post-copy", h->type);
        }
        return h->flags & SECTION_OPTIONAL;
    }
}

static bool is_switched(const SavedMachine *m)
{
    return m->late && m->post->switched;
}

static bool check_sum(const SectionHeader *h, uint32_t crc, Error **errp)
{
    if (crc != h->crc && !(h->flags & SECTION_UNSUMMED)) {
        error_setg(errp, "a section of type %u is damaged", h->type);
        return false;
    }
    return true;
}

/* Somebody may wait for them: they are put into their place when they are known to be right. */
static bool read_late_pages(SavedMachine *m, const SectionHeader *h, Channel *c, GByteArray *buf,
                            Error **errp)
{
    uint64_t offset;

    g_byte_array_set_size(buf, h->length);
    if (!read_all(c, buf->data, h->length, errp) ||
        !check_sum(h, format_crc(0, buf->data, h->length), errp)) {
        return false;
    }
    memcpy(&offset, buf->data, sizeof(offset));
    return postcopy_take_pages(m->post, offset, buf->data + sizeof(offset),
                               h->length - sizeof(offset), errp);
}

/* Into their place at once. What is wrong with them is found there: then the machine is not run. */
static bool read_pages(SavedMachine *m, const SectionHeader *h, Channel *c, GByteArray *buf,
                       Error **errp)
{
    uint64_t offset, len = h->length - sizeof(offset);
    uint32_t crc = 0;
    uint8_t *place;

    if (h->length <= sizeof(offset)) {
        error_setg(errp, "pages are missing");
        return false;
    }
    if (is_switched(m)) {
        return read_late_pages(m, h, c, buf, errp);
    }
    if (!check_place(m, h, errp)) {
        return false;
    }
    if (m->mapped) {
        error_setg(errp, "pages where none are expected");
        return false;
    }
    if (!read_all(c, &offset, sizeof(offset), errp)) {
        return false;
    }
    place = ram_load_place(&m->ram, offset, len, errp);
    if (!place || !read_all(c, place, len, errp)) {
        return false;
    }
    if (!(h->flags & SECTION_UNSUMMED)) {
        crc = format_crc(format_crc(0, &offset, sizeof(offset)), place, len);
    }
    return check_sum(h, crc, errp);
}

static bool read_other(SavedMachine *m, const SectionHeader *h, Channel *c, GByteArray *buf,
                       Error **errp)
{
    g_byte_array_set_size(buf, h->length);
    return read_all(c, buf->data, h->length, errp) &&
           check_sum(h, format_crc(0, buf->data, h->length), errp) &&
           (is_switched(m) ? take_late_section(m, h, buf->data, errp)
                           : check_place(m, h, errp) && take_section(m, h, c, buf->data, errp));
}

static bool read_section(SavedMachine *m, Channel *c, GByteArray *buf, Error **errp)
{
    SectionHeader h;

    if (!read_all(c, &h, sizeof(h), errp) || !format_check_section(&h, errp)) {
        return false;
    }
    if (!(h.type == SECTION_PAGES ? read_pages(m, &h, c, buf, errp)
                                  : read_other(m, &h, c, buf, errp))) {
        return false;
    }
    m->nr_sections++;
    return true;
}

static bool begin(SavedMachine *m, Channel *c, Error **errp)
{
    FormatHeader h;

    m->sections = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    if (!read_all(c, &h, sizeof(h), errp) || !format_check_header(&h, m->ram.size, errp)) {
        return false;
    }
    m->mapped = h.layout != FORMAT_STREAM;
    m->difference = h.layout == FORMAT_DIFFERENCE;
    return true;
}

bool saved_machine_peek(SavedMachine *m, Channel *c, Error **errp)
{
    g_autoptr(GByteArray) buf = g_byte_array_new();

    return begin(m, c, errp) && read_section(m, c, buf, errp);
}

bool saved_machine_read(SavedMachine *m, Channel *c, Error **errp)
{
    g_autoptr(GByteArray) buf = g_byte_array_new();

    if (!begin(m, c, errp)) {
        return false;
    }
    while (!m->complete) {
        if (!read_section(m, c, buf, errp)) {
            return false;
        }
    }
    if (m->difference) {
        return ram_load_layers(&m->ram, c->layers, errp);
    }
    return !m->mapped || ram_load_image(&m->ram, c, m->image, errp);
}

void saved_machine_clear(SavedMachine *m)
{
    g_clear_pointer(&m->sections, g_ptr_array_unref);
    g_clear_pointer(&m->fingerprint, g_free);
}
