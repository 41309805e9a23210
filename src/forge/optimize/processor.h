/* The processor that models are measured on: its name, and whether it multiplies 8-bit integers as a profile wants it. */
#ifndef MUSTER_FORGE_OPTIMIZE_PROCESSOR_H
#define MUSTER_FORGE_OPTIMIZE_PROCESSOR_H

#include "forge/quant/plan.h"

struct processor {
    char machine[64]; /* uname -m */
    char name[128];   /* "Intel(R) Xeon(R) …"; the machine's where the kernel says none */
    bool vnni;        /* x86: sums of four products at once, without saturation in between */
    bool dot;         /* arm64: the same */
};
void processor_look(struct processor *out);
/* From the text of /proc/cpuinfo; pure. */
void processor_parse(const char *machine, const char *cpuinfo, struct processor *out);
bool processor_fits(const struct processor *processor, enum quant_profile profile);
/* Weights of 7 bits where products are added in 16 bits that overflow. */
int processor_weight_bits(const struct processor *processor, enum quant_profile profile);

#endif
