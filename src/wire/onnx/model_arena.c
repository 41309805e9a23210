#include "wire/onnx/model_inside.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CHUNK = 16 << 10, MAX_CHUNK = 1 << 20, FIRST_SLOTS = 256 };

struct onnx_chunk {
    struct onnx_chunk *next;
    size_t used, size; /* from the chunk's own address on */
};

/* ---- memory ---- */

static struct onnx_chunk *add_chunk(struct onnx_model *model, size_t bytes)
{
    size_t size = model->chunks ? MIN(model->chunks->size * 2, (size_t)MAX_CHUNK) : FIRST_CHUNK;
    if (bytes > SIZE_MAX - sizeof(struct onnx_chunk) - 64)
        return NULL;
    size = MAX(size, bytes + sizeof(struct onnx_chunk) + 64);
    struct onnx_chunk *chunk = mem_zalloc(1, size);
    if (!chunk)
        return NULL;
    *chunk = (struct onnx_chunk){.used = sizeof *chunk, .size = size};
    if (model->chunks && size > MAX_CHUNK) { /* the current one has room for more small ones */
        chunk->next = model->chunks->next;
        model->chunks->next = chunk;
    } else {
        chunk->next = model->chunks;
        model->chunks = chunk;
    }
    return chunk;
}

static void *take(struct onnx_chunk *chunk, size_t bytes, size_t align)
{
    uintptr_t base = (uintptr_t)chunk;
    size_t from = (base + chunk->used + align - 1) / align * align - base;
    if (from > chunk->size || bytes > chunk->size - from)
        return NULL;
    chunk->used = from + bytes;
    return (uint8_t *)chunk + from;
}

static void *allocate(struct onnx_model *model, size_t bytes, size_t align)
{
    void *there = model->chunks ? take(model->chunks, bytes, align) : NULL;
    if (there)
        return there;
    struct onnx_chunk *chunk = add_chunk(model, bytes);
    return chunk ? take(chunk, bytes, align) : NULL;
}

void *onnx_arena(struct onnx_model *model, size_t bytes)
{
    return allocate(model, bytes, 16);
}

void *onnx_model_alloc(struct onnx_model *model, size_t bytes)
{
    return allocate(model, bytes, 64);
}

const char *onnx_arena_text(struct onnx_model *model, const void *data, size_t len)
{
    char *text = onnx_arena(model, len + 1);
    if (text && len)
        memcpy(text, data, len);
    return text;
}

/* ---- names ---- */

struct name { /* in front of the text */
    uint64_t hash;
    uint32_t id, len;
    char text[];
};

static const struct name *name_of(const char *text)
{
    return (const struct name *)(const void *)(text - offsetof(struct name, text));
}

/* FNV-1a with a last mixing (splitmix64's), since the low bits choose the slot. */
static uint64_t hash_of(const uint8_t *data, size_t len)
{
    uint64_t hash = 0xCBF29CE484222325U;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ data[i]) * 0x100000001B3U;
    hash = (hash ^ (hash >> 30)) * 0xBF58476D1CE4E5B9U;
    return hash ^ (hash >> 31);
}

/* The slot that holds the name or should. */
static size_t slot_of(const struct onnx_model *model, uint64_t hash, const void *data, size_t len)
{
    for (size_t at = hash & (model->name_slots - 1);; at = (at + 1) & (model->name_slots - 1)) {
        if (!model->names[at])
            return at;
        const struct name *name = name_of(model->names[at]);
        if (name->hash == hash && name->len == len && (!len || memcmp(name->text, data, len) == 0))
            return at;
    }
}

static bool grow_names(struct onnx_model *model)
{
    if (model->name_count * 2 < model->name_slots)
        return true;
    size_t slots = MAX(model->name_slots * 2, (size_t)FIRST_SLOTS);
    const char **names = mem_zalloc(slots, sizeof *names);
    if (!names)
        return false;
    for (size_t i = 0; i < model->name_slots; i++) {
        if (!model->names[i])
            continue;
        size_t at = name_of(model->names[i])->hash & (slots - 1);
        while (names[at])
            at = (at + 1) & (slots - 1);
        names[at] = model->names[i];
    }
    free(model->names);
    model->names = names;
    model->name_slots = slots;
    return true;
}

const char *onnx_intern(struct onnx_model *model, const void *data, size_t len)
{
    uint64_t hash = hash_of(data, len);
    if (!grow_names(model))
        return NULL;
    size_t slot = slot_of(model, hash, data, len);
    if (model->names[slot])
        return model->names[slot];
    struct name *name = allocate(model, sizeof *name + len + 1, 8);
    if (!name)
        return NULL;
    name->hash = hash;
    name->id = (uint32_t)model->name_count++;
    name->len = (uint32_t)len;
    if (len)
        memcpy(name->text, data, len);
    return model->names[slot] = name->text;
}

const char *onnx_model_name(struct onnx_model *model, const char *text)
{
    return onnx_intern(model, text, strlen(text));
}

const char *onnx_model_find(const struct onnx_model *model, const char *text)
{
    size_t len = strlen(text);
    return model->names[slot_of(model, hash_of((const uint8_t *)text, len), text, len)];
}

size_t onnx_name_id(const char *interned)
{
    return name_of(interned)->id;
}

size_t onnx_model_name_count(const struct onnx_model *model)
{
    return model->name_count;
}

/* ---- the model itself ---- */

bool onnx_grow(struct onnx_model *model, int which)
{
    struct onnx_graph *graph = &model->graph;
    const struct {
        void *array;
        size_t count;
    } all[ONNX_ARRAYS] = {
        [ONNX_ARRAY_NODES] = {&graph->nodes, graph->node_count},
        [ONNX_ARRAY_WEIGHTS] = {&graph->weights, graph->weight_count},
        [ONNX_ARRAY_INPUTS] = {&graph->inputs, graph->input_count},
        [ONNX_ARRAY_OUTPUTS] = {&graph->outputs, graph->output_count},
        [ONNX_ARRAY_VALUES] = {&graph->values, graph->value_count},
    };
    if (all[which].count < model->caps[which])
        return true;
    void *old;
    memcpy(&old, all[which].array, sizeof old);
    size_t cap = MAX(model->caps[which] * 2, (size_t)16);
    void *grown = mem_grow(old, cap, sizeof(void *));
    if (!grown)
        return false;
    memcpy(all[which].array, &grown, sizeof grown);
    model->caps[which] = cap;
    return true;
}

struct onnx_model *onnx_model_new(int64_t ir_version, int64_t opset)
{
    struct err err = {0};
    struct onnx_model *model = mem_zalloc(1, sizeof *model);
    if (!model)
        return NULL;
    model->graph.ir_version = ir_version;
    model->graph.name = onnx_intern(model, "", 0);
    if (model->graph.name && (!opset || onnx_model_set_opset(model, "", opset, &err) == 0))
        return model;
    onnx_model_free(model);
    return NULL;
}

void onnx_model_free(struct onnx_model *model)
{
    if (!model)
        return;
    for (struct onnx_chunk *chunk = model->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(model->graph.nodes);
    free(model->graph.weights);
    free(model->graph.inputs);
    free(model->graph.outputs);
    free(model->graph.values);
    free(model->graph.opsets);
    free(model->graph.sparse);
    free(model->properties);
    free(model->names);
    free(model);
}

struct onnx_graph *onnx_model_graph(struct onnx_model *model)
{
    return &model->graph;
}
