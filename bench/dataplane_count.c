/* Allocations, counted where they are made: this file stands before malloc in every process that this program forks.
 * And memory touched, as the kernel saw it. */
#include "base/mem.h"
#include "base/str.h"
#include "bench/dataplane.h"

#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS 0
#else
#define COUNTS 1
#endif

/* Made before the processes part. */
struct shared {
    _Atomic bool armed;
    struct {
        _Atomic uint64_t ours, engine;
    } roles[COUNT_ROLES];
};

static struct shared *the_shared;
static enum count_role the_role;

/* Where the code of ONNX Runtime and its C++ library lies. It comes by dlopen: looked up when the counting begins. */
enum { MAX_PARTS = 4 };
static struct {
    uintptr_t begin, end;
} engine_parts[MAX_PARTS];
static int engine_part_count;
static bool engine_known;

static int find_engine(struct dl_phdr_info *info, size_t size, void *unused)
{
    bool engine = strstr(info->dlpi_name, "libonnxruntime") || strstr(info->dlpi_name, "libstdc++");
    for (size_t i = 0; engine && i < info->dlpi_phnum && engine_part_count < MAX_PARTS; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X))
            continue;
        engine_parts[engine_part_count].begin = info->dlpi_addr + part->p_vaddr;
        engine_parts[engine_part_count++].end = info->dlpi_addr + part->p_vaddr + part->p_memsz;
    }
    return 0;
}

int count_init(struct err *err)
{
    void *memory = mmap(NULL, sizeof *the_shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return err_errno(err, "counters");
    the_shared = memory;
    return 0;
}

void count_as(enum count_role role)
{
    the_role = role;
}

void count_arm(bool armed)
{
    the_shared->armed = armed;
}

struct count count_of(enum count_role role)
{
    return (struct count){the_shared->roles[role].ours, the_shared->roles[role].engine};
}

bool count_possible(void)
{
    return COUNTS;
}

#if COUNTS
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

/* Whatever is not called by the engine's own code counts as ours, that of libc on anybody's behalf included. */
static void count_one(const void *caller)
{
    if (!the_shared || !the_shared->armed)
        return;
    if (!engine_known) {
        engine_known = true;
        dl_iterate_phdr(find_engine, NULL);
    }
    bool engine = false;
    for (int i = 0; i < engine_part_count; i++)
        engine |= (uintptr_t)caller >= engine_parts[i].begin && (uintptr_t)caller < engine_parts[i].end;
    if (engine)
        the_shared->roles[the_role].engine++;
    else
        the_shared->roles[the_role].ours++;
}

#define COUNT() count_one(__builtin_return_address(0))

void *malloc(size_t size)
{
    COUNT();
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    COUNT();
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    COUNT();
    return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size)
{
    COUNT();
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    COUNT();
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    COUNT();
    void *memory = __libc_memalign(alignment, size);
    if (!memory)
        return ENOMEM;
    *out = memory;
    return 0;
}
#endif

int touched_reset(pid_t pid, struct err *err)
{
    char path[48];
    snprintf(path, sizeof path, "/proc/%d/clear_refs", (int)pid);
    cleanup_file FILE *file = fopen(path, "we");
    if (!file || fputs("1", file) < 0 || fflush(file) != 0)
        return err_errno(err, "%s", path);
    return 0;
}

enum mapping { OTHER_FILE, FRAMES, OUR_MEMORY };

/* A mapping's head line: "55d0-55e0 rw-p 0000 00:00 0   /memfd:muster-frames (deleted)". */
static enum mapping mapping_of(const char *line)
{
    char rights[8] = "", path[128] = "";
    if (sscanf(line, "%*s %7s %*s %*s %*s %127[^\n]", rights, path) < 1)
        return OTHER_FILE;
    if (strstr(path, "frames"))
        return FRAMES;
    bool writable = rights[1] == 'w', memfd = str_starts(path, "/memfd:");
    return writable || memfd ? OUR_MEMORY : OTHER_FILE;
}

int touched_read(pid_t pid, uint64_t *out_bytes, uint64_t *out_frames_bytes, struct err *err)
{
    char path[48], line[512];
    snprintf(path, sizeof path, "/proc/%d/smaps", (int)pid);
    cleanup_file FILE *file = fopen(path, "re");
    if (!file)
        return err_errno(err, "%s", path);
    enum mapping now = OTHER_FILE;
    *out_bytes = *out_frames_bytes = 0;
    while (fgets(line, sizeof line, file)) {
        unsigned long kib;
        if (sscanf(line, "Referenced: %lu kB", &kib) == 1) {
            *out_bytes += now == OUR_MEMORY ? kib << 10 : 0;
            *out_frames_bytes += now == FRAMES ? kib << 10 : 0;
        } else if (strchr(line, '-') && (line[0] < 'A' || line[0] > 'Z')) {
            now = mapping_of(line);
        }
    }
    return 0;
}
