/* How series are called in Prometheus: name and unit as OpenTelemetry's compatibility rules have them, one prefix, labels that collide with nothing.
 *
 *     muster.system.cpu.utilization, unit 1, gauge      muster_robot_system_cpu_utilization_ratio{robot="r-01"}
 *     muster.labels, unit {detection}, delta sum         muster_robot_labels_total{robot="r-01",release="sha256:…",label="pallet"}
 */
#ifndef MUSTER_FLEET_SERIES_PROM_H
#define MUSTER_FLEET_SERIES_PROM_H

#include "fleet/series/series.h"

enum { PROM_NAME_SIZE = 128, PROM_LABEL_SIZE = 48 };

void prom_name(const struct series *series, char out[PROM_NAME_SIZE]);
void prom_label(const char *attribute, char out[PROM_LABEL_SIZE]); /* "muster.signal" → "signal" */
double prom_value(const struct series *series,
                  double value);                 /* in the unit that the name says: ms become seconds */
double prom_newest(const struct series *series); /* gauges: the last; sums: the total */

#endif
