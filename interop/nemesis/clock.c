/* A clock that jumps: stands in for what tells the time of day (LD_PRELOAD).
 *
 * FAULTY_CLOCK names a file of 8 bytes, the milliseconds that the time of day is ahead, in the
 * machine's byte order. A test writes into it while the program runs. Clocks that only count
 * elapsed time are left alone, as they are when an operator sets a clock. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *ahead_ms;

__attribute__((constructor)) static void look_up(void) {
    const char *path = getenv("FAULTY_CLOCK");
    int fd = path ? open(path, O_RDONLY) : -1;
    if (fd >= 0) {
        void *at = mmap(NULL, sizeof *ahead_ms, PROT_READ, MAP_SHARED, fd, 0);
        ahead_ms = at == MAP_FAILED ? NULL : at;
        close(fd);
    }
}

int clock_gettime(clockid_t which, struct timespec *now) {
    int status = (int)syscall(SYS_clock_gettime, which, now);
    if (status == 0 && ahead_ms && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) {
        int64_t ms = *ahead_ms;
        now->tv_sec += ms / 1000;
        now->tv_nsec += ms % 1000 * 1000000;
        if (now->tv_nsec < 0 || now->tv_nsec >= 1000000000) {
            int step = now->tv_nsec < 0 ? -1 : 1;
            now->tv_sec += step;
            now->tv_nsec -= step * 1000000000;
        }
    }
    return status;
}

int gettimeofday(struct timeval *now, void *zone) {
    (void)zone;
    struct timespec exact;
    int status = clock_gettime(CLOCK_REALTIME, &exact);
    if (status == 0) {
        now->tv_sec = exact.tv_sec;
        now->tv_usec = exact.tv_nsec / 1000;
    }
    return status;
}

time_t time(time_t *kept) {
    struct timespec exact = {0};
    clock_gettime(CLOCK_REALTIME, &exact);
    if (kept) {
        *kept = exact.tv_sec;
    }
    return exact.tv_sec;
}
