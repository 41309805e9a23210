/* What release.yaml says to the packer alone. Private to recipe*.c. */
#ifndef MUSTER_FORGE_RECIPE_INSIDE_H
#define MUSTER_FORGE_RECIPE_INSIDE_H

#include "forge/recipe.h"
#include "wire/json.h"

enum { RECIPE_PATH_SIZE = 1024, RECIPE_YAML_DOCUMENTS = 2 };

struct recipe_extras {
    char inputs[RECIPE_PATH_SIZE];
    char signature[RECIPE_PATH_SIZE], key[RECIPE_PATH_SIZE];
    char documents[RECIPE_YAML_DOCUMENTS][RECIPE_PATH_SIZE];
    char variants[RELEASE_MAX_VARIANTS][RECIPE_PATH_SIZE]; /* in the order of variant_names */
    char optimized[RECIPE_PATH_SIZE], timing_cache[RECIPE_PATH_SIZE];
    char created[40];
    char tap[64];
    char profile[RECIPE_PATH_SIZE], calib[RECIPE_PATH_SIZE], profile_save[RECIPE_PATH_SIZE];
};

/* "dir/of/yaml" + "/" + relative; an absolute path stays. free() it; NULL: out of memory. */
char *recipe_beside(const char *yaml_path, const char *path);

void recipe_read_variants(struct json_at root, struct recipe_extras *out);
int recipe_take_variants(const char *yaml_path, const struct recipe_extras *extras, struct recipe *out,
                         struct err *err) must_check;

#endif
