/* Loaded before libc (LD_PRELOAD): calls that change the file system are counted, and the process dies, or the call fails,
   at the one that `arm` names. Whoever makes the call, Python or a library of another language, comes through here. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { KILLED, TORN, ONCE, ALWAYS }; /* die before the call; die within a write; fail once; fail from there on */

static int armed, strike, how, error;
static int count;
static char seen[65536]; /* the names of the calls so far, each followed by a space */
static size_t length;

void arm(int at, int what, int number) { armed = 1, strike = at, how = what, error = number, count = 0, length = 0; }
int calls(void) { return count; }
const char *names(void) { return seen; }

/* Whether the call is to fail, with errno set. */
static int fails(const char *name, int makes) {
    if (!armed) return 0;
    count++;
    for (const char *c = name; *c && length < sizeof seen - 2; c++) seen[length++] = *c;
    seen[length++] = ' ', seen[length] = 0;
    if (count == strike && how == KILLED) _exit(9);
    if ((how == ONCE && count == strike) || (how == ALWAYS && count >= strike && makes)) {
        errno = error;
        return 1;
    }
    return 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRAP(result, name, makes, given, handed) \
    result name given { return fails(#name, makes) ? -1 : REAL(name) handed; }

WRAP(int, fsync, 1, (int file), (file))
WRAP(int, fdatasync, 1, (int file), (file))
WRAP(int, ftruncate, 1, (int file, off_t size), (file, size))
WRAP(int, ftruncate64, 1, (int file, off64_t size), (file, size))
WRAP(int, rename, 1, (const char *from, const char *to), (from, to))
WRAP(int, renameat, 1, (int a, const char *from, int b, const char *to), (a, from, b, to))
WRAP(int, mkdir, 1, (const char *path, mode_t mode), (path, mode))
WRAP(int, mkdirat, 1, (int at, const char *path, mode_t mode), (at, path, mode))
WRAP(int, chmod, 1, (const char *path, mode_t mode), (path, mode))
WRAP(int, fchmod, 1, (int file, mode_t mode), (file, mode))
WRAP(int, fchmodat, 1, (int at, const char *path, mode_t mode, int flags), (at, path, mode, flags))
WRAP(int, link, 1, (const char *from, const char *to), (from, to))
WRAP(int, symlink, 1, (const char *from, const char *to), (from, to))
WRAP(int, unlink, 0, (const char *path), (path)) /* what is deleted needs no room on a full disk */
WRAP(int, unlinkat, 0, (int at, const char *path, int flags), (at, path, flags))
WRAP(int, rmdir, 0, (const char *path), (path))

#define WRITE(name, given, handed, half) \
    ssize_t name given { \
        if (file <= STDERR_FILENO) return REAL(name) handed; \
        if (armed && how == TORN && count + 1 == strike) { REAL(name) half; _exit(9); } \
        return fails(#name, 1) ? -1 : REAL(name) handed; \
    }

WRITE(write, (int file, const void *data, size_t size), (file, data, size), (file, data, size / 2))
WRITE(pwrite, (int file, const void *data, size_t size, off_t at), (file, data, size, at), (file, data, size / 2, at))
WRITE(pwrite64, (int file, const void *data, size_t size, off64_t at), (file, data, size, at), (file, data, size / 2, at))

ssize_t writev(int file, const struct iovec *parts, int number) {
    if (file <= STDERR_FILENO) return REAL(writev)(file, parts, number);
    if (armed && how == TORN && count + 1 == strike) { REAL(writev)(file, parts, 1); _exit(9); }
    return fails("writev", 1) ? -1 : REAL(writev)(file, parts, number);
}

#define OPEN(name, given, last, handed) \
    int name given { \
        va_list rest; \
        va_start(rest, last); \
        mode_t mode = va_arg(rest, mode_t); \
        va_end(rest); \
        int makes = (flags & O_ACCMODE) != O_RDONLY; \
        return fails(makes ? "create" : "open", makes) ? -1 : REAL(name) handed; \
    }

OPEN(open, (const char *path, int flags, ...), flags, (path, flags, mode))
OPEN(open64, (const char *path, int flags, ...), flags, (path, flags, mode))
OPEN(openat, (int at, const char *path, int flags, ...), flags, (at, path, flags, mode))
OPEN(openat64, (int at, const char *path, int flags, ...), flags, (at, path, flags, mode))
