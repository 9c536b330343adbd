/* workspace.c -- aligned memory: the only allocations of this library. */
#include "internal.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 64 };

/* The shared place keeps no more than this between calls. */
enum { SHARED_KEEPS = 8 << 20 };

fnn_workspace fnn_shared_workspace;

#ifdef FNN_TESTING
/* The n-th allocation from now fails; 0: none. For tests, from one thread. */
long fnn_fail_allocation;
static bool fails(void) { return fnn_fail_allocation > 0 && --fnn_fail_allocation == 0; }
#else
static bool fails(void) { return false; }
#endif

/* Every block starts with a line that holds its size. */
typedef struct { size_t bytes; } header;

static void *allocate(size_t bytes)
{
    if (bytes > PTRDIFF_MAX - 2 * LINE || fails())
        return NULL;
    bytes = (bytes + LINE - 1) / LINE * LINE;
    header *h = aligned_alloc(LINE, bytes + LINE);
    if (!h)
        return NULL;
    h->bytes = bytes;
    return (char *)h + LINE;
}

static header *header_of(void *memory) { return (header *)(void *)((char *)memory - LINE); }

void fnn_free(void *memory)
{
    if (memory)
        free(header_of(memory));
}

void *fnn_alloc(size_t bytes)
{
    void *memory = allocate(bytes);
    return memory ? memset(memory, 0, bytes) : NULL;
}

void *fnn_workspace_take(fnn_workspace *ws, size_t bytes)
{
    void *kept = atomic_exchange(&ws->block, NULL);
    if (kept && header_of(kept)->bytes >= bytes)
        return kept;
    fnn_free(kept);
    return allocate(bytes);
}

void fnn_workspace_give(fnn_workspace *ws, void *memory)
{
    if (memory && ws == &fnn_shared_workspace && header_of(memory)->bytes > SHARED_KEEPS)
        fnn_free(memory);
    else
        fnn_free(atomic_exchange(&ws->block, memory));
}

void fnn_workspace_clear(fnn_workspace *ws) { fnn_workspace_give(ws, NULL); }

bool fnn_reserve(size_t *total, fnn_dtype dt, ptrdiff_t a, ptrdiff_t b)
{
    size_t bytes;
    if (__builtin_mul_overflow((size_t)a, (size_t)b, &bytes)
        || __builtin_mul_overflow(bytes, fnn_sizeof(dt), &bytes)
        || __builtin_add_overflow(bytes, (size_t)(LINE - 1), &bytes))
        return false;
    return !__builtin_add_overflow(*total, bytes / LINE * LINE, total) && *total <= PTRDIFF_MAX;
}

void *fnn_part(char **cursor, fnn_dtype dt, ptrdiff_t a, ptrdiff_t b)
{
    void *part = *cursor;
    *cursor += ((size_t)a * (size_t)b * fnn_sizeof(dt) + LINE - 1) / LINE * LINE;
    return part;
}
