/* Shared by reports.c and reports_old.c. */
#ifndef MUSTER_ROBOT_STORE_REPORTS_INSIDE_H
#define MUSTER_ROBOT_STORE_REPORTS_INSIDE_H

#include "robot/forward/forward.h"
#include "wire/api.h"

int report_put(struct forward *forward, const struct api_report *report, struct err *err) must_check;
/* Appends what an old reports.log holds, under its stream and numbers, and removes it. No such file is fine. */
int reports_import(struct forward *forward, const char *path, struct err *err) must_check;

#endif
