/*
 * Fault injection for disk and clock: a library that LD_PRELOAD loads before libc. It needs no more rights than the tested
 * binary (a small tmpfs would need root), and the files stay in their usual places. e2e/src/faults.rs compiles and controls it.
 *
 *   TOLLGATE_SHIM_UNDER    path prefix of the affected files; calls for other files are not changed
 *   TOLLGATE_SHIM_CONTROL  a folder outside of it, with the file `control` (the words below, 64 bits each, mapped by both sides)
 *                          and the file `journal`, which this library writes
 *   TOLLGATE_SHIM_CLOCK    a file with the microseconds (i64) that are added to the wall clock; the monotonic clock is not
 *                          changed. Works without the other variables
 *
 * Words of control:
 *   FULL    1: no file grows (ENOSPC). Allocated blocks can be written, as on a full disk. The spool allocates segments by a raw
 *           system call, which a library cannot intercept, so the first write to a new segment (*.new) fails instead
 *   FAIL    n: the n-th call of the kinds in KINDS fails with EIO; 0: calls are not counted
 *   COUNT   the number of counted calls since a test set it to 0
 *   KINDS   1: writes, 2: syncs, 4: renames
 *   FAILED  the number of calls that failed for either reason
 *   POWER   1: each write is recorded in the journal, with old and new bytes, before it is done. A sync is recorded and not
 *           done. After the test has killed the process, it can undo the writes that no sync followed
 *
 * Writes are write, pwrite and ftruncate; other calls that write (writev, mmap) are not used for these files. A journal entry:
 *
 *   kind u64 (1 write, 2 sync, 3 truncate) | inode u64 | offset u64 | size before u64 | old length u64 | new length u64 | old | new
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { FULL, FAIL, COUNT, KINDS, FAILED, POWER, WORDS };
enum { WRITES = 1, SYNCS = 2, RENAMES = 4 };
enum { WROTE = 1, SYNCED = 2, CUT = 3 };

static volatile uint64_t *control;
static volatile int64_t *later;
static const char *under;
static int journal = -1;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

/* Calls the function of libc. */
#define REAL(name, ...) ((__typeof__(&name))real(#name))(__VA_ARGS__)

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

/* Maps the first bytes of a file, shared with other processes. */
static void *mapped(const char *path, int mode, int protection, size_t length) {
    int file = open(path, mode | O_CLOEXEC);
    void *found = file < 0 ? MAP_FAILED : mmap(NULL, length, protection, MAP_SHARED, file, 0);
    if (found == MAP_FAILED) abort();
    close(file);
    return found;
}

__attribute__((constructor)) static void begin(void) {
    char path[4096];
    const char *clock = getenv("TOLLGATE_SHIM_CLOCK");
    if (clock) later = mapped(clock, O_RDONLY, PROT_READ, sizeof *later);
    const char *folder = getenv("TOLLGATE_SHIM_CONTROL");
    const char *meant = getenv("TOLLGATE_SHIM_UNDER");
    if (!folder || !meant) return;
    snprintf(path, sizeof path, "%s/control", folder);
    void *words = mapped(path, O_RDWR, PROT_READ | PROT_WRITE, WORDS * sizeof *control);
    snprintf(path, sizeof path, "%s/journal", folder);
    journal = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (journal < 0) abort();
    under = meant;
    control = words;
}

static int is_idle(void) {
    return !control || !(control[FULL] || control[FAIL] || control[POWER]);
}

static int is_meant(const char *path) {
    return strncmp(path, under, strlen(under)) == 0;
}

/* Writes the path of a descriptor to `path`; returns whether the file is affected. */
static int path_of(int fd, char *path, size_t room) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, room - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return is_meant(path);
}

/* Counts the call; returns whether it must fail. */
static int is_failing(uint64_t kind) {
    uint64_t nth = control[FAIL];
    if (!nth || !(control[KINDS] & kind)) return 0;
    if (__sync_add_and_fetch(&control[COUNT], 1) != nth) return 0;
    __sync_add_and_fetch(&control[FAILED], 1);
    errno = EIO;
    return 1;
}

static int is_full(const char *path, off_t size, off_t until) {
    size_t length = strlen(path);
    int is_new = length > 4 && strcmp(path + length - 4, ".new") == 0;
    if (!control[FULL] || (until <= size && !is_new)) return 0;
    __sync_add_and_fetch(&control[FAILED], 1);
    errno = ENOSPC;
    return 1;
}

static void keep(const void *bytes, size_t length) {
    const char *at = bytes;
    while (length) {
        long count = syscall(SYS_write, journal, at, length);
        if (count <= 0) abort();
        at += count;
        length -= (size_t)count;
    }
}

/* Writes a journal entry. `fd` may be write-only, so the old bytes are read with another descriptor. */
static void note(int fd, uint64_t kind, uint64_t offset, const struct stat *stat, const void *bytes, uint64_t length) {
    char link[64], *old = NULL;
    uint64_t end = kind == CUT ? (uint64_t)stat->st_size : offset + length, kept = 0;
    if (end > (uint64_t)stat->st_size) end = (uint64_t)stat->st_size;
    if (kind != SYNCED && end > offset) {
        kept = end - offset;
        old = malloc(kept);
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        int file = open(link, O_RDONLY | O_CLOEXEC);
        if (!old || file < 0) abort();
        for (uint64_t at = 0; at < kept;) {
            ssize_t count = pread(file, old + at, kept - at, (off_t)(offset + at));
            if (count <= 0) abort();
            at += (uint64_t)count;
        }
        close(file);
    }
    uint64_t head[6] = {kind, stat->st_ino, offset, (uint64_t)stat->st_size, kept, bytes ? length : 0};
    keep(head, sizeof head);
    keep(old, kept);
    keep(bytes, head[5]);
    free(old);
}

/* Handles every write; `offset` -1 means the current position of the file. */
static ssize_t put(int fd, const void *bytes, size_t length, off_t offset) {
    char path[4096];
    struct stat stat;
    int here = offset < 0;
    if (is_idle() || !path_of(fd, path, sizeof path) || fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode)) {
        return here ? REAL(write, fd, bytes, length) : REAL(pwrite64, fd, bytes, length, offset);
    }
    if (here) {
        int flags = fcntl(fd, F_GETFL);
        offset = flags & O_APPEND ? stat.st_size : lseek(fd, 0, SEEK_CUR);
    }
    if (is_failing(WRITES) || is_full(path, stat.st_size, offset + (off_t)length)) return -1;
    if (!control[POWER]) return here ? REAL(write, fd, bytes, length) : REAL(pwrite64, fd, bytes, length, offset);
    pthread_mutex_lock(&order);
    fstat(fd, &stat);
    note(fd, WROTE, (uint64_t)offset, &stat, bytes, length);
    ssize_t count = here ? REAL(write, fd, bytes, length) : REAL(pwrite64, fd, bytes, length, offset);
    pthread_mutex_unlock(&order);
    return count;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    return put(fd, bytes, length, -1);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    return put(fd, bytes, length, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    return put(fd, bytes, length, offset);
}

int ftruncate64(int fd, off64_t length) {
    char path[4096];
    struct stat stat;
    if (is_idle() || !path_of(fd, path, sizeof path)) return REAL(ftruncate64, fd, length);
    if (is_failing(WRITES)) return -1;
    if (!control[POWER]) return REAL(ftruncate64, fd, length);
    pthread_mutex_lock(&order);
    fstat(fd, &stat);
    note(fd, CUT, (uint64_t)length, &stat, NULL, 0);
    int done = REAL(ftruncate64, fd, length);
    pthread_mutex_unlock(&order);
    return done;
}

int ftruncate(int fd, off_t length) {
    return ftruncate64(fd, length);
}

static int sync_of(int fd, int (*done)(int)) {
    char path[4096];
    struct stat stat;
    if (is_idle() || !path_of(fd, path, sizeof path)) return done(fd);
    if (is_failing(SYNCS)) return -1;
    if (!control[POWER]) return done(fd);
    pthread_mutex_lock(&order);
    fstat(fd, &stat);
    note(fd, SYNCED, 0, &stat, NULL, 0);
    pthread_mutex_unlock(&order);
    return 0;
}

int fsync(int fd) {
    return sync_of(fd, (int (*)(int))real("fsync"));
}

int fdatasync(int fd) {
    return sync_of(fd, (int (*)(int))real("fdatasync"));
}

int rename(const char *from, const char *to) {
    if (!is_idle() && is_meant(to) && is_failing(RENAMES)) return -1;
    return REAL(rename, from, to);
}

/* Another file may reuse the inode, so its journaled writes must not be undone. */
int unlink(const char *path) {
    struct stat stat;
    if (!is_idle() && control[POWER] && is_meant(path) && lstat(path, &stat) == 0) {
        pthread_mutex_lock(&order);
        note(-1, SYNCED, 0, &stat, NULL, 0);
        pthread_mutex_unlock(&order);
    }
    return REAL(unlink, path);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*own)(clockid_t, struct timespec *);
    if (!own) own = (int (*)(clockid_t, struct timespec *))real("clock_gettime");
    int done = own(clock, now);
    if (done == 0 && later && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t micros = now->tv_sec * 1000000LL + now->tv_nsec / 1000 + *later;
        now->tv_sec = micros / 1000000;
        now->tv_nsec = micros % 1000000 * 1000 + now->tv_nsec % 1000;
    }
    return done;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec at;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &at);
    now->tv_sec = at.tv_sec;
    now->tv_usec = at.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *kept) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    if (kept) *kept = at.tv_sec;
    return at.tv_sec;
}
