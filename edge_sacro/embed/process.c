#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum {
    ABOVE_STANDARD = 10, /* descriptors from here on cannot be the ones that the process is given as 0 to 3 */
    LIFELINE = 3,
    OWN_END_MS = 100,    /* for a process that closed its socket to end by itself */
    KILLED_END_MS = 200, /* for the system to end a killed one */
    LONGEST_POLL_MS = 1000000
};

int64_t esi_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

es_status esi_fail(es_error *error, es_status status, const char *code, const char *remedy, const char *text, ...)
{
    if (error == NULL)
        return status;
    memset(error, 0, sizeof *error);
    error->status = status;
    snprintf(error->code, sizeof error->code, "%s", code);
    snprintf(error->remedy, sizeof error->remedy, "%s", remedy);
    va_list values;
    va_start(values, text);
    vsnprintf(error->text, sizeof error->text, text, values);
    va_end(values);
    return status;
}

static es_status system_failed(es_error *error, const char *call)
{
    char room[128];
    return esi_fail(error, ES_SYSTEM, "system", "Close files or end processes of the console.", "%s failed (%s)", call,
                    strerror_r(errno, room, sizeof room));
}

static void close_all(int *descriptors, size_t count)
{
    for (size_t k = 0; k < count; ++k)
        if (descriptors[k] >= 0)
            close(descriptors[k]);
}

/* The same file under a number that no file action of the start overwrites. Closes the old one. */
static int moved(int descriptor)
{
    if (descriptor < 0)
        return -1;
    const int found = fcntl(descriptor, F_DUPFD_CLOEXEC, ABOVE_STANDARD);
    const int why = errno;
    close(descriptor);
    errno = why;
    return found;
}

/* Its descriptors and signals are its own: default actions, none blocked, a process group by itself. */
static int spawn(pid_t *pid, char *const arguments[], int socket, int lifeline, int log)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGALRM, SIGTERM, SIGUSR1, SIGUSR2, SIGCHLD, SIGIO};
    for (size_t k = 0; k < sizeof signals / sizeof *signals; ++k)
        sigaddset(&defaults, signals[k]);
    int failed = posix_spawn_file_actions_init(&files);
    if (failed)
        return failed;
    failed = posix_spawnattr_init(&attributes);
    if (failed) {
        posix_spawn_file_actions_destroy(&files);
        return failed;
    }
    const int given[] = {socket, log, log, lifeline};
    for (int k = 0; k <= LIFELINE && !failed; ++k)
        failed = posix_spawn_file_actions_adddup2(&files, given[k], k);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (!failed)
        failed = posix_spawn(pid, arguments[0], &files, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return failed;
}

/* Take the status of killed processes that have ended meanwhile; the first free place, or -1. */
static int free_place(struct esi_process *process)
{
    int place = -1;
    for (int k = 0; k < ESI_UNREAPED; ++k) {
        if (process->unreaped[k] && waitpid(process->unreaped[k], NULL, WNOHANG) != 0)
            process->unreaped[k] = 0;
        if (!process->unreaped[k])
            place = k;
    }
    return place;
}

es_status esi_process_start(struct esi_process *process, char *const arguments[], const char *log_path, es_error *error)
{
    int ends[5] = {-1, -1, -1, -1, -1}; /* socket: ours, its; lifeline: its, ours; log */
    if (free_place(process) < 0)
        return esi_fail(error, ES_SYSTEM, "system", "Find out what keeps the system from ending them.",
                        "%d processes that were killed have not ended", ESI_UNREAPED);
    ends[4] = moved(open(log_path ? log_path : "/dev/null", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
    if (ends[4] < 0 && log_path && errno != EMFILE && errno != ENFILE) {
        char room[128];
        return esi_fail(error, ES_USAGE, "usage", "Check the path and its permissions.", "log_path %s: %s", log_path,
                        strerror_r(errno, room, sizeof room));
    }
    if (ends[4] < 0)
        return system_failed(error, "open");
    int failed = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
    if (!failed)
        failed = pipe2(ends + 2, O_CLOEXEC);
    for (int k = 0; k < 4 && !failed; ++k) {
        ends[k] = moved(ends[k]);
        failed = ends[k] < 0;
    }
    if (failed) {
        system_failed(error, "socketpair or pipe");
        close_all(ends, 5);
        return ES_SYSTEM;
    }
    pid_t pid = 0;
    failed = spawn(&pid, arguments, ends[1], ends[2], ends[4]);
    close_all(ends + 1, 2);
    close(ends[4]);
    if (failed) {
        char room[128];
        close(ends[0]);
        close(ends[3]);
        return esi_fail(error, ES_START_FAILED, "start_failed", "Name a Python interpreter that has edge-sacro.",
                        "%s cannot be run (%s)", arguments[0], strerror_r(failed, room, sizeof room));
    }
    process->pid = pid;
    process->socket = ends[0];
    process->lifeline = ends[3];
    return ES_OK;
}

/* 1: it has ended and `found` tells how; 0: it lives; -1: it is not ours any more, the console took its status. */
static int ended(pid_t pid, siginfo_t *found)
{
    memset(found, 0, sizeof *found);
    if (waitid(P_PID, (id_t)pid, found, WEXITED | WNOHANG | WNOWAIT) != 0)
        return errno == EINTR ? 0 : -1;
    return found->si_pid == pid;
}

static int ended_within(pid_t pid, siginfo_t *found, int milliseconds)
{
    const int64_t deadline = esi_now() + milliseconds;
    int state = ended(pid, found);
    while (state == 0 && esi_now() < deadline) {
        poll(NULL, 0, 1);
        state = ended(pid, found);
    }
    return state;
}

void esi_process_end(struct esi_process *process, int closing, char *how, size_t size)
{
    siginfo_t found;
    const pid_t pid = process->pid;
    if (size)
        how[0] = '\0';
    if (pid == 0)
        return;
    close(process->socket);
    int state = closing ? ended_within(pid, &found, OWN_END_MS) : ended(pid, &found);
    /* Until its status is taken its number belongs to nobody else; the group holds its decoding process too. */
    if (state >= 0)
        kill(-pid, SIGKILL);
    if (state == 0)
        state = ended_within(pid, &found, KILLED_END_MS);
    if (state == 1) {
        if (size)
            snprintf(how, size, found.si_code == CLD_EXITED ? "with exit status %d" : "by signal %d", found.si_status);
        waitpid(pid, NULL, WNOHANG);
    } else if (state == 0) {
        const int place = free_place(process);
        if (place >= 0)
            process->unreaped[place] = pid;
    }
    close(process->lifeline);
    process->pid = 0;
}

int esi_process_quiet(const struct esi_process *process)
{
    char byte;
    const ssize_t found = recv(process->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return found < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

es_status esi_wait(int descriptor, short events, int64_t deadline)
{
    struct pollfd one = {descriptor, events, 0};
    for (;;) {
        const int64_t left = deadline - esi_now();
        if (left <= 0)
            return ES_DEADLINE;
        const int found = poll(&one, 1, left < LONGEST_POLL_MS ? (int)left : LONGEST_POLL_MS);
        if (found > 0)
            return ES_OK;
        if (found < 0 && errno != EINTR)
            return ES_SYSTEM;
    }
}

es_status esi_send(const struct esi_process *process, const void *data, size_t size, int64_t deadline, int *answered)
{
    const char *next = data;
    *answered = 0;
    while (size) {
        const ssize_t sent = send(process->socket, next, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            next += sent;
            size -= (size_t)sent;
        } else if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            const es_status status = esi_wait(process->socket, POLLIN | POLLOUT, deadline);
            if (status != ES_OK)
                return status;
            if (!esi_process_quiet(process)) {
                *answered = 1;
                return ES_OK;
            }
        } else if (errno == EPIPE || errno == ECONNRESET) {
            *answered = 1; /* it may have said why before it ended */
            return ES_OK;
        } else if (errno != EINTR) {
            return ES_SYSTEM;
        }
        if (size && esi_now() >= deadline)
            return ES_DEADLINE;
    }
    return ES_OK;
}

es_status esi_receive(const struct esi_process *process, void *into, size_t *filled, size_t size, int64_t deadline)
{
    while (*filled < size) {
        const es_status status = esi_wait(process->socket, POLLIN, deadline);
        if (status != ES_OK)
            return status;
        const ssize_t found = recv(process->socket, (char *)into + *filled, size - *filled, MSG_DONTWAIT);
        if (found > 0)
            *filled += (size_t)found;
        else if (found == 0 || errno == ECONNRESET)
            return ES_CRASHED;
        else if (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK)
            return ES_SYSTEM;
    }
    return ES_OK;
}
