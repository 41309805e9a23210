#include "base/str.h"
#include "forge/trt/placement.h"
#include "infer/tensorrt_args.h"

#include <string.h>

enum { USUAL_MAJOR = 10 };

/* Quoted where a shell would see more in it than a word. */
static int put_word(const char *word, struct buf *out, struct err *err)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=:,./+@%";
    if (word[0] && word[strspn(word, plain)] == '\0')
        return buf_puts(out, word, err);
    if (buf_puts(out, "'", err) < 0)
        return -1;
    for (; *word; word++)
        if ((*word == '\'' ? buf_puts(out, "'\\''", err) : buf_put(out, word, 1, err)) < 0)
            return -1;
    return buf_puts(out, "'", err);
}

int trt_command(const struct trt_build *build, struct buf *out, struct err *err)
{
    cleanup_tensorrt_words struct tensorrt_words words = {0};
    const struct tensorrt_args args = {.program = "trtexec",
                                       .model = build->model,
                                       .plan = build->engine,
                                       .timing_cache = build->timing_cache,
                                       .major = build->version ? build->version : USUAL_MAJOR,
                                       .level = build->level,
                                       .workspace_mib = build->workspace_mib,
                                       .dla_core = -1};
    if (tensorrt_args_words(&args, &words, err) < 0)
        return -1;
    for (size_t i = 0; i < words.count; i++)
        if ((i > 0 && buf_puts(out, " ", err) < 0) || put_word(words.words[i], out, err) < 0)
            return -1;
    return 0;
}
