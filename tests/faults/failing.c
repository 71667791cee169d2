/* Preloaded: makes the n-th write, sync or rename below one folder fail, whoever calls it.
   Built and used by tests/faults/nursery.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE = 1, SYNC = 2, RENAME = 4 };

static char below[4096];
static int kinds, error, lasting;
static long at, seen, failed;

/* from now on fail number `n` of these kinds with `code`; with `last` all after it too */
void failing_arm(const char *folder, int mask, long n, int code, int last) {
    snprintf(below, sizeof below, "%s", folder);
    at = n, error = code, lasting = last, seen = failed = 0;
    __atomic_store_n(&kinds, mask, __ATOMIC_SEQ_CST);
}
void failing_disarm(void) { __atomic_store_n(&kinds, 0, __ATOMIC_SEQ_CST); }
long failing_seen(void) { return seen; }
long failing_failed(void) { return failed; }

static int fails(int kind, const char *path) {
    if (!(__atomic_load_n(&kinds, __ATOMIC_SEQ_CST) & kind)) return 0;
    if (strncmp(path, below, strlen(below)) != 0) return 0;
    long now = __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST);
    if (now != at && !(lasting && now > at)) return 0;
    __atomic_add_fetch(&failed, 1, __ATOMIC_SEQ_CST);
    errno = error;
    return 1;
}

static int fd_fails(int kind, int fd) {
    if (!__atomic_load_n(&kinds, __ATOMIC_SEQ_CST)) return 0;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return fails(kind, path);
}

#define NEXT(name, type) ((type)dlsym(RTLD_NEXT, name))

ssize_t write(int fd, const void *data, size_t size) {
    if (fd_fails(WRITE, fd)) return -1;
    return NEXT("write", ssize_t (*)(int, const void *, size_t))(fd, data, size);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t where) {
    if (fd_fails(WRITE, fd)) return -1;
    return NEXT("pwrite", ssize_t (*)(int, const void *, size_t, off_t))(fd, data, size, where);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t where) {
    if (fd_fails(WRITE, fd)) return -1;
    return NEXT("pwrite64", ssize_t (*)(int, const void *, size_t, off64_t))(fd, data, size, where);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (fd_fails(WRITE, fd)) return -1;
    return NEXT("writev", ssize_t (*)(int, const struct iovec *, int))(fd, parts, count);
}
int ftruncate(int fd, off_t size) {
    if (fd_fails(WRITE, fd)) return -1;
    return NEXT("ftruncate", int (*)(int, off_t))(fd, size);
}
int ftruncate64(int fd, off64_t size) {
    if (fd_fails(WRITE, fd)) return -1;
    return NEXT("ftruncate64", int (*)(int, off64_t))(fd, size);
}
int posix_fallocate(int fd, off_t start, off_t size) {
    if (fd_fails(WRITE, fd)) return error;
    return NEXT("posix_fallocate", int (*)(int, off_t, off_t))(fd, start, size);
}
int fsync(int fd) {
    if (fd_fails(SYNC, fd)) return -1;
    return NEXT("fsync", int (*)(int))(fd);
}
int fdatasync(int fd) {
    if (fd_fails(SYNC, fd)) return -1;
    return NEXT("fdatasync", int (*)(int))(fd);
}
int rename(const char *from, const char *to) {
    if (fails(RENAME, to)) return -1;
    return NEXT("rename", int (*)(const char *, const char *))(from, to);
}
