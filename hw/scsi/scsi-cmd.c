/*
 * SCSI commands: which there are, when they are refused, and how requests end (SAM-4, SPC-3).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "qemu/iov.h"
#include "scsi-internal.h"

/* Which devices have it, and when it works. */
#define DISK        (1u << 0)
#define CD          (1u << 1)
#define BOTH        (DISK | CD)
#define ALWAYS      (1u << 2)       /* with a unit attention, and for LUNs that are not there */
#define MEDIUM      (1u << 3)       /* only with a medium, and the tray closed */

typedef struct SCSICommand {
    uint8_t opcode, flags;
    SCSICommandFn *run;
} SCSICommand;

/* The ends --------------------------------------------------------------------- */

static void end(SCSIRequest *req)
{
    scsi_request_forget(req);
    req->complete(req);
}

void scsi_good(SCSIRequest *req, size_t transferred)
{
    req->status = SCSI_GOOD;
    req->transferred = transferred;
    end(req);
}

void scsi_check(SCSIRequest *req, SCSISense sense)
{
    req->status = SCSI_CHECK_CONDITION;
    req->sense = sense;
    req->transferred = 0;
    end(req);
}

static bool has_room(SCSIRequest *req, uint64_t bytes, size_t room)
{
    if (bytes > room) {
        req->overrun = true;
        req->transferred = 0;
        end(req);
        return false;
    }
    return true;
}

bool scsi_has_in(SCSIRequest *req, uint64_t bytes)
{
    return has_room(req, bytes, req->in_len);
}

bool scsi_has_out(SCSIRequest *req, uint64_t bytes)
{
    return has_room(req, bytes, req->out_len);
}

bool scsi_has_list(SCSIRequest *req, size_t len)
{
    if (!scsi_has_out(req, len)) {
        return false;
    }
    if (!len) {
        scsi_good(req, 0);
    }
    return len != 0;
}

void scsi_reply(SCSIRequest *req, const void *data, size_t len, size_t alloc)
{
    if (scsi_has_in(req, alloc)) {
        len = MIN(len, alloc);
        iov_from_buf(req->in, req->in_num, 0, data, len);
        scsi_good(req, len);
    }
}

void scsi_fill_sense(SCSISense sense, uint8_t *buf)
{
    memset(buf, 0, SCSI_SENSE_LEN);
    buf[0] = 0x70;                      /* current, fixed format */
    buf[2] = sense.key;
    buf[7] = SCSI_SENSE_LEN - 8;
    buf[12] = sense.asc;
    buf[13] = sense.ascq;
}

void scsi_request_forget(SCSIRequest *req)
{
    g_clear_pointer(&req->pattern, g_free);
}

/* Commands that do nothing ------------------------------------------------------- */

static void do_nothing(SCSIRequest *req)
{
    scsi_good(req, 0);
}

static const SCSICommand commands[] = {
    { 0x00, BOTH | MEDIUM, do_nothing },                /* TEST UNIT READY */
    { 0x03, BOTH | ALWAYS, scsi_request_sense },
    { 0x08, BOTH | MEDIUM, scsi_read },                 /* READ (6) */
    { 0x0a, DISK | MEDIUM, scsi_write },                /* WRITE (6) */
    { 0x12, BOTH | ALWAYS, scsi_inquiry },
    { 0x15, BOTH, scsi_mode_select },                   /* MODE SELECT (6) */
    { 0x16, DISK, do_nothing },                         /* RESERVE (6): one initiator */
    { 0x17, DISK, do_nothing },                         /* RELEASE (6) */
    { 0x1a, BOTH, scsi_mode_sense },                    /* MODE SENSE (6) */
    { 0x1b, BOTH, scsi_start_stop },
    { 0x1e, BOTH, scsi_prevent },                       /* PREVENT ALLOW MEDIUM REMOVAL */
    { 0x25, BOTH | MEDIUM, scsi_read_capacity10 },
    { 0x28, BOTH | MEDIUM, scsi_read },                 /* READ (10) */
    { 0x2a, DISK | MEDIUM, scsi_write },                /* WRITE (10) */
    { 0x2b, BOTH | MEDIUM, do_nothing },                /* SEEK (10) */
    { 0x2e, DISK | MEDIUM, scsi_write },                /* WRITE AND VERIFY (10) */
    { 0x2f, BOTH | MEDIUM, scsi_verify },               /* VERIFY (10) */
    { 0x35, BOTH | MEDIUM, scsi_sync },                 /* SYNCHRONIZE CACHE (10) */
    { 0x41, DISK | MEDIUM, scsi_write_same },           /* WRITE SAME (10) */
    { 0x42, DISK | MEDIUM, scsi_unmap },
    { 0x43, CD | MEDIUM, scsi_read_toc },
    { 0x46, CD, scsi_get_configuration },
    { 0x4a, CD, scsi_event_status },
    { 0x51, CD | MEDIUM, scsi_disc_information },
    { 0x55, BOTH, scsi_mode_select },                   /* MODE SELECT (10) */
    { 0x56, DISK, do_nothing },                         /* RESERVE (10) */
    { 0x57, DISK, do_nothing },                         /* RELEASE (10) */
    { 0x5a, BOTH, scsi_mode_sense },                    /* MODE SENSE (10) */
    { 0x88, DISK | MEDIUM, scsi_read },                 /* READ (16) */
    { 0x8a, DISK | MEDIUM, scsi_write },                /* WRITE (16) */
    { 0x8e, DISK | MEDIUM, scsi_write },                /* WRITE AND VERIFY (16) */
    { 0x8f, DISK | MEDIUM, scsi_verify },               /* VERIFY (16) */
    { 0x91, DISK | MEDIUM, scsi_sync },                 /* SYNCHRONIZE CACHE (16) */
    { 0x93, DISK | MEDIUM, scsi_write_same },           /* WRITE SAME (16) */
    { 0x9e, BOTH | MEDIUM, scsi_service_action_in },
    { 0xa0, BOTH | ALWAYS, scsi_report_luns },
    { 0xa8, BOTH | MEDIUM, scsi_read },                 /* READ (12) */
    { 0xaa, DISK | MEDIUM, scsi_write },                /* WRITE (12) */
    { 0xae, DISK | MEDIUM, scsi_write },                /* WRITE AND VERIFY (12) */
    { 0xaf, DISK | MEDIUM, scsi_verify },               /* VERIFY (12) */
    { 0xbb, CD, do_nothing },                           /* SET CD SPEED */
    { 0xbd, CD, scsi_mechanism_status },
};

static const SCSICommand *find_command(const SCSIDevice *dev, uint8_t opcode)
{
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (commands[i].opcode == opcode &&
            (commands[i].flags & (scsi_is_cd(dev) ? CD : DISK))) {
            return &commands[i];
        }
    }
    return NULL;
}

/* Why the command cannot run now: key 0: it can. */
static SCSISense refusal(const SCSIRequest *req, const SCSICommand *cmd)
{
    SCSIDevice *dev = req->dev;
    SCSISense sense = dev->attention;

    if (cmd && (cmd->flags & ALWAYS)) {
        return SENSE_NONE;
    }
    if (req->lun != dev->lun) {
        return SENSE_INVALID_LUN;
    }
    if (sense.key) {
        dev->attention = SENSE_NONE;
        return sense;
    }
    if (!cmd) {
        return SENSE_INVALID_OPCODE;
    }
    if (!(cmd->flags & MEDIUM)) {
        return SENSE_NONE;
    }
    return dev->tray_open ? SENSE_TRAY_OPEN : !scsi_blocks(dev) ? SENSE_NO_MEDIUM : SENSE_NONE;
}

void scsi_request_start(SCSIRequest *req)
{
    const SCSICommand *cmd = find_command(req->dev, req->cdb[0]);
    SCSISense sense = refusal(req, cmd);

    req->overrun = req->failed = false;
    req->sense = SENSE_NONE;
    req->pattern = NULL;
    req->step_end = NULL;
    if (sense.key) {
        scsi_check(req, sense);
    } else {
        cmd->run(req);
    }
}
