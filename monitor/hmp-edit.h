/*
 * Line editing by libedit, loaded when somebody first types at an HMP monitor.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MONITOR_HMP_EDIT_H
#define MONITOR_HMP_EDIT_H

#include "monitor-internal.h"

/* A longer line takes no further characters, bytes and characters alike. */
#define HMP_LINE_MAX 4095

typedef struct HmpEdit HmpEdit;

/*
 * An editor for a terminal that shows prompt and nothing behind it. Output goes
 * to mon; prompt must outlive the editor. NULL when the library cannot be
 * loaded or has no terminal to work with, which is reported once.
 */
HmpEdit *hmp_edit_new(Monitor *mon, const char *prompt, HmpCompleteFn *complete);
void hmp_edit_free(HmpEdit *ed);        /* NULL is fine */
/*
 * A byte was typed. When it completes a line: the line without its end, to be
 * freed by the caller, who shows the prompt again with hmp_edit_prompt().
 */
char *hmp_edit_input(HmpEdit *ed, uint8_t byte);
/* Begin an empty line. */
void hmp_edit_prompt(HmpEdit *ed);
/* Show the prompt and what is typed so far on a new row. */
void hmp_edit_show(HmpEdit *ed);
/* The terminal may have another size now. */
void hmp_edit_resize(HmpEdit *ed);
/* The i-th line of the history, oldest first, to be freed; or NULL. */
char *hmp_edit_history(HmpEdit *ed, unsigned i);

#endif
