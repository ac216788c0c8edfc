/* Faults for a process that is started with this library preloaded, switched on and off by files:
 *   EDGE_SACRO_FAULT_SYNC   while this file exists every fsync and fdatasync fails with EIO, and of a regular file whose
 *                           name ends in .part the bytes are dropped, as a kernel drops pages that it could not write.
 *   EDGE_SACRO_FAULT_CLOCK  holds a number of seconds, which the wall clock is off by; the monotonic clock is not.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int failing(int descriptor)
{
    const char *switched = getenv("EDGE_SACRO_FAULT_SYNC");
    if (switched == NULL || access(switched, F_OK) != 0)
        return 0;
    char link[64], name[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, name, sizeof name);
    if (length > 5 && memcmp(name + length - 5, ".part", 5) == 0 && ftruncate(descriptor, 0) != 0)
        return 1;
    return 1;
}

int fsync(int descriptor)
{
    static int (*real)(int);
    if (real == NULL)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    if (failing(descriptor)) {
        errno = EIO;
        return -1;
    }
    return real(descriptor);
}

int fdatasync(int descriptor)
{
    static int (*real)(int);
    if (real == NULL)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    if (failing(descriptor)) {
        errno = EIO;
        return -1;
    }
    return real(descriptor);
}

static long long skew(void)
{
    const char *place = getenv("EDGE_SACRO_FAULT_CLOCK");
    long long seconds = 0;
    FILE *file = place == NULL ? NULL : fopen(place, "r");
    if (file != NULL) {
        if (fscanf(file, "%lld", &seconds) != 1)
            seconds = 0;
        fclose(file);
    }
    return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);
    if (real == NULL)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(clock, now);
    if (code == 0 && clock == CLOCK_REALTIME)
        now->tv_sec += skew();
    return code;
}
