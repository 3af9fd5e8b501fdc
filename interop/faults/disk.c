/* A disk that is slow, or that fails once: stands in for fdatasync and fsync (LD_PRELOAD).
 *
 * FAULTY_DISK names a file. While it is not there every sync is what it always is. "slow N" in it
 * makes each sync take N ms longer; "fail" makes the next one fail with EIO, without syncing, and
 * only that one: the kernel, too, tells of lost pages once. Each time a byte is added to the file
 * FAULTY_DISK.acted, so that a test knows that its fault has happened. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void acted(const char *wanted) {
    char path[4096];
    snprintf(path, sizeof path, "%s.acted", wanted);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd >= 0) {
        (void)!write(fd, "1", 1);
        close(fd);
    }
}

/* Whether this sync is to fail; sleeps first if it is to be slow. */
static int suffer(void) {
    const char *wanted = getenv("FAULTY_DISK");
    char words[64] = "";
    int fd = wanted ? open(wanted, O_RDONLY) : -1;
    if (fd < 0) {
        return 0;
    }
    ssize_t count = read(fd, words, sizeof words - 1);
    close(fd);
    if (count >= 4 && strncmp(words, "fail", 4) == 0) {
        /* Of several syncs at once, one takes the file away and fails. */
        int mine = unlink(wanted) == 0;
        if (mine) {
            acted(wanted);
        }
        return mine;
    }
    if (count > 5 && strncmp(words, "slow ", 5) == 0) {
        long ms = strtol(words + 5, NULL, 10);
        struct timespec left = {ms / 1000, ms % 1000 * 1000000};
        acted(wanted);
        while (nanosleep(&left, &left) != 0 && errno == EINTR) {
        }
    }
    return 0;
}

static int synced(long call, int fd) {
    if (suffer()) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(call, fd);
}

int fdatasync(int fd) { return synced(SYS_fdatasync, fd); }
int fsync(int fd) { return synced(SYS_fsync, fd); }
