/* The inside of samples: what samples.c reads was found by samples_scan.c. */
#ifndef MUSTER_FORGE_CALIB_SAMPLES_INSIDE_H
#define MUSTER_FORGE_CALIB_SAMPLES_INSIDE_H

#include "forge/calib/samples.h"
#include "infer/preprocess.h"
#include "sys/file.h"

enum { SAMPLES_MAX_BYTES = 1 << 30, SAMPLES_MAX = 1 << 20 };

enum sample_kind { SAMPLE_PICTURE, SAMPLE_TENSOR, SAMPLE_FOLDER };

struct sample_entry {
    enum sample_kind kind;
    char *name;   /* of the file or folder, owned */
    size_t frame; /* of a file that holds several */
};

struct samples {
    char *dir;
    struct release release; /* inputs and preprocessing */
    struct lab_tensor inputs[RELEASE_MAX_TENSORS];
    bool can_preprocess; /* `preprocess` is there: since the first picture was found */
    struct preprocess preprocess;
    size_t count;
    struct sample_entry *entries;
};

/* Fills entries, sorted by name, several per file where it holds several frames. Errors: NOT_FOUND; INVALID naming the file. */
int samples_scan(struct samples *samples, struct err *err) must_check;

/* The frames of one file for one input: borrowed, maybe unaligned. Error lines begin with the path. */
int samples_find(const char *path, const struct file_map *map, const struct tensor_spec *spec,
                 const uint8_t **out, size_t *out_frames, struct err *err) must_check;

/* "FOLDER/INPUT.npy", with "_" for what does not belong into a file's name. NULL: out of memory. */
char *samples_input_path(const char *folder, const char *input);

#endif
