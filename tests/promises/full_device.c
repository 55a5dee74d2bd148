/* Loaded before Mesa's software adapter, it makes the memory of that device full: while the file that FULL_WHILE_THERE_IS
   names exists, every allocation of 5 MiB and more fails, of which opening the device makes none, and a line is written where
   drivers write theirs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_full(size_t size) {
    static const char line[] = "the driver writes this\n";
    const char *file = getenv("FULL_WHILE_THERE_IS");
    if (size < 5 << 20 || file == NULL || access(file, F_OK) != 0)
        return 0;
    if (write(2, line, sizeof line - 1) < 0)
        return 1;
    return 1;
}

int posix_memalign(void **out, size_t alignment, size_t size) {
    static int (*next)(void **, size_t, size_t);
    if (next == NULL)
        next = (int (*)(void **, size_t, size_t))dlsym(RTLD_NEXT, "posix_memalign");
    return is_full(size) ? ENOMEM : next(out, alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    static void *(*next)(size_t, size_t);
    if (next == NULL)
        next = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "aligned_alloc");
    if (is_full(size)) {
        errno = ENOMEM;
        return NULL;
    }
    return next(alignment, size);
}
