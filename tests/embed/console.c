/* A console in C, as the tests run it: SCENARIO BUNDLE FILE... One line of JSON for each call. "-" is a null bundle. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "edge_sacro.h"

enum { DEADLINE_MS = 60000, THREADS = 4, CALLS = 3, CYCLES = 20 };

static void text(const char *name, const char *value)
{
    printf(", \"%s\": \"", name);
    for (; *value; ++value)
        if (*value == '"' || *value == '\\')
            printf("\\%c", *value);
        else if ((unsigned char)*value < 0x20)
            printf("\\u%04x", (unsigned)(unsigned char)*value);
        else
            putchar(*value);
    putchar('"');
}

static void number(const char *name, double value)
{
    if (isnan(value))
        printf(", \"%s\": null", name);
    else
        printf(", \"%s\": %.17g", name, value);
}

static void box(const char *name, int there, const int32_t edges[4])
{
    if (there)
        printf(", \"%s\": [%d, %d, %d, %d]", name, edges[0], edges[1], edges[2], edges[3]);
    else
        printf(", \"%s\": null", name);
}

static void show(es_status status, const es_error *error, const es_result *result)
{
    int32_t edges[4] = {-1, -1, -1, -1};
    size_t length = 0;
    const char *report = es_result_report_json(result, &length);
    printf("{\"status\": %d, \"error_status\": %d", status, error->status);
    text("code", error->code);
    text("text", error->text);
    text("remedy", error->remedy);
    if (result) {
        printf(", \"state\": %d, \"demonstration\": %d", es_result_state(result), es_result_demonstration(result));
        number("probability", es_result_probability(result));
        text("reason", es_result_reason(result));
        text("reason_code", es_result_reason_code(result));
        text("result_remedy", es_result_remedy(result));
        text("statement", es_result_statement(result));
        for (int side = ES_LEFT; side <= ES_RIGHT; ++side) {
            const char *const names[2][4] = {{"left", "left_probability", "left_reason", "left_box"},
                                             {"right", "right_probability", "right_reason", "right_box"}};
            printf(", \"%s\": %d", names[side][0], es_result_joint_state(result, (es_side)side));
            number(names[side][1], es_result_joint_probability(result, (es_side)side));
            text(names[side][2], es_result_joint_reason(result, (es_side)side));
            box(names[side][3], es_result_joint_box(result, (es_side)side, edges), edges);
        }
        box("crop", es_result_crop_box(result, edges), edges);
        printf(", \"length_right\": %d, \"report\": %s", strlen(report) == length, report);
    }
    printf("}\n");
    fflush(stdout);
}

/* Process ids of this process's children, at most `most`. */
static int children(pid_t *found, int most)
{
    int count = 0;
    DIR *folder = opendir("/proc");
    struct dirent *entry;
    while (folder && (entry = readdir(folder)) != NULL && count < most) {
        char path[300];
        int pid, parent;
        snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        FILE *stream = fopen(path, "re");
        if (stream && fscanf(stream, "%d (%*[^)]) %*c %d", &pid, &parent) == 2 && parent == getpid())
            found[count++] = pid;
        if (stream)
            fclose(stream);
    }
    if (folder)
        closedir(folder);
    return count;
}

static int open_files(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder))
        ++count;
    if (folder)
        closedir(folder);
    return count;
}

static long private_bytes(pid_t pid)
{
    char path[64], line[256];
    long kilobytes = 0;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *stream = fopen(path, "re");
    while (stream && fgets(line, sizeof line, stream))
        sscanf(line, "VmData: %ld kB", &kilobytes);
    if (stream)
        fclose(stream);
    return kilobytes * 1024;
}

static es_runtime *opened(const char *bundle, uint64_t memory)
{
    es_options options = {.size = sizeof options, .threads = 1, .memory_limit_bytes = memory};
    es_runtime *runtime = NULL;
    es_error error;
    options.bundle = strcmp(bundle, "-") ? bundle : NULL;
    options.log_path = getenv("CONSOLE_LOG");
    options.backend = getenv("CONSOLE_BACKEND");
    options.precision = getenv("CONSOLE_PRECISION");
    const es_status status = es_open(&options, &runtime, &error);
    if (status != ES_OK) {
        show(status, &error, NULL);
        exit(0);
    }
    return runtime;
}

static void call(es_runtime *runtime, const char *path, uint32_t deadline_ms)
{
    es_result *result;
    es_error error;
    const es_status status = es_infer_file(runtime, path, deadline_ms, &result, &error);
    show(status, &error, result);
    es_result_free(result);
}

static void call_with_bytes(es_runtime *runtime, const char *path)
{
    FILE *stream = fopen(path, "rb");
    es_result *result;
    es_error error;
    static char data[32 << 20];
    if (stream == NULL)
        return;
    const size_t length = fread(data, 1, sizeof data, stream);
    fclose(stream);
    const es_status status = es_infer_bytes(runtime, data, length, "räntgen \"1\"", DEADLINE_MS, &result, &error);
    show(status, &error, result);
    es_result_free(result);
}

static void *killer(void *unused)
{
    pid_t found[8];
    (void)unused;
    nanosleep(&(struct timespec){0, 300000000}, NULL);
    for (int count = children(found, 8); count > 0; --count)
        kill(found[count - 1], SIGKILL);
    return NULL;
}

static void killed(es_runtime *runtime, const char *path)
{
    pthread_t thread;
    pthread_create(&thread, NULL, killer, NULL);
    call(runtime, path, DEADLINE_MS);
    pthread_join(thread, NULL);
}

struct shared {
    es_runtime *runtime;
    const char *path;
};

static void *caller(void *argument)
{
    const struct shared *shared = argument;
    long same = 0;
    double first = NAN;
    for (int k = 0; k < CALLS; ++k) {
        es_result *result;
        if (es_infer_file(shared->runtime, shared->path, DEADLINE_MS, &result, NULL) != ES_OK)
            continue;
        const double probability = es_result_probability(result);
        first = k ? first : probability;
        same += probability == first;
        es_result_free(result);
    }
    return (void *)same;
}

static void threads(es_runtime *runtime, const char *path)
{
    struct shared shared = {runtime, path};
    pthread_t made[THREADS];
    long all = 0;
    for (int k = 0; k < THREADS; ++k)
        pthread_create(&made[k], NULL, caller, &shared);
    for (int k = 0; k < THREADS; ++k) {
        void *same;
        pthread_join(made[k], &same);
        all += (long)same;
    }
    printf("{\"same\": %ld, \"of\": %d}\n", all, THREADS * CALLS);
}

static void memory(const char *bundle, const char *path)
{
    static char data[64 << 20];
    pid_t child;
    es_result *result;
    es_error error;
    es_runtime *runtime = opened(bundle, 0);
    call(runtime, path, DEADLINE_MS);
    const long at_rest = children(&child, 1) ? private_bytes(child) : 0;
    es_close(runtime);
    runtime = opened(bundle, (uint64_t)at_rest + (32 << 20));
    const es_status status = es_infer_bytes(runtime, data, sizeof data, NULL, DEADLINE_MS, &result, &error);
    show(status, &error, result);
    es_result_free(result);
    call(runtime, path, DEADLINE_MS);
    es_close(runtime);
}

static void cycles(const char *bundle)
{
    const int before = open_files();
    for (int k = 0; k < CYCLES; ++k)
        es_close(opened(bundle, 0));
    const int after = open_files();
    const int none = waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD;
    printf("{\"files_before\": %d, \"files_after\": %d, \"no_child\": %s}\n", before, after, none ? "true" : "false");
}

static void hold(es_runtime *runtime, const char *path)
{
    pid_t found[8];
    const int count = children(found, 8);
    printf("{\"children\": %d, \"pid\": %d}\n", count, count ? found[0] : 0);
    fflush(stdout);
    if (path)
        call(runtime, path, DEADLINE_MS);
    pause();
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    const char *scenario = argv[1], *bundle = argv[2], *path = argc > 3 ? argv[3] : NULL;
    if (!strcmp(scenario, "cycles"))
        return cycles(bundle), 0;
    if (!strcmp(scenario, "memory"))
        return memory(bundle, path), 0;
    const int device = strcmp(scenario, "hold") ? -1 : open("/dev/zero", O_RDONLY); /* which exec() does not close */
    es_runtime *runtime = opened(bundle, 0);
    pid_t before[8] = {0}, after[8] = {0};
    if (!strcmp(scenario, "infer"))
        for (int k = 3; k < argc; ++k)
            call(runtime, argv[k], DEADLINE_MS);
    if (!strcmp(scenario, "bytes"))
        call_with_bytes(runtime, path);
    if (!strcmp(scenario, "threads"))
        threads(runtime, path);
    if (!strcmp(scenario, "hold"))
        hold(runtime, path);
    if (!strcmp(scenario, "killed"))
        killed(runtime, path);
    if (!strcmp(scenario, "deadline") || !strcmp(scenario, "between")) {
        children(before, 8);
        if (!strcmp(scenario, "between"))
            killer(NULL), nanosleep(&(struct timespec){0, 300000000}, NULL);
        else
            call(runtime, path, (uint32_t)atoi(argv[5]));
        children(after, 8);
        printf("{\"same_process\": %s}\n", before[0] == after[0] ? "true" : "false");
    }
    if (argc > 4 && *argv[4] && strcmp(scenario, "infer"))
        call(runtime, argv[4], DEADLINE_MS);
    es_close(runtime);
    if (device >= 0)
        close(device);
    return 0;
}
