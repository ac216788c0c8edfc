/* A console whose runtime answers whatever it likes. attacked HOSTILE SEEDS: counts of how the calls ended, as JSON. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "edge_sacro.h"

enum { DEADLINE_MS = 10000, SHORT_MS = 60, TURN_MS = 1500 };

static const char *hostile;
static int wrong;

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

static void must(int holds, const char *what)
{
    if (!holds)
        fprintf(stderr, "not so: %s\n", what);
    wrong |= !holds;
}

static es_status opened(const char *mode, uint32_t start_ms, es_runtime **runtime, es_error *error)
{
    es_options options = {.size = sizeof options, .python = hostile, .bundle = mode, .start_deadline_ms = start_ms};
    return es_open(&options, runtime, error);
}

static int state_allowed(const es_result *result)
{
    const es_state state = es_result_state(result);
    const double probability = es_result_probability(result);
    if (state == ES_NOT_ASSESSABLE || state == ES_REFUSED)
        return isnan(probability);
    return state >= ES_POSITIVE && state <= ES_BORDERLINE && probability >= 0 && probability <= 1;
}

/* Everything that a console may read of a result; the sanitizer watches. */
static void read_all(const es_result *result)
{
    int32_t box[4];
    size_t length, all = 0;
    must(state_allowed(result), "a state goes with its probability");
    for (int side = ES_LEFT; side <= ES_RIGHT; ++side) {
        all += strlen(es_result_joint_reason(result, (es_side)side));
        if (es_result_joint_box(result, (es_side)side, box))
            must(box[0] >= 0 && box[0] < box[2] && box[1] >= 0 && box[1] < box[3], "a box has an inside");
        must(es_result_joint_state(result, (es_side)side) != ES_NONE, "a joint has a state");
    }
    all += strlen(es_result_reason(result)) + strlen(es_result_reason_code(result));
    all += strlen(es_result_remedy(result)) + strlen(es_result_statement(result));
    must(all < 8192, "texts end inside their fields");
    must(strlen(es_result_report_json(result, &length)) == length, "the report has no zero");
    must(length <= ES_MAX_REPORT_BYTES, "the report is not too long");
}

static long pid; /* of the process that gave the last result, which hostile.c gives as the reason */

static es_status called(es_runtime *runtime, uint64_t seed, uint64_t length, uint32_t deadline_ms, es_error *error)
{
    static unsigned char data[8 << 20];
    es_result *result;
    memcpy(data, &seed, sizeof seed);
    const es_status status = es_infer_bytes(runtime, data, length, "x", deadline_ms, &result, error);
    must((status == ES_OK) == (result != NULL), "there is a result where the status says so, and only there");
    must((int)status == error->status && (status == ES_OK) == (error->code[0] == '\0'), "a failure has a code");
    if (result) {
        read_all(result);
        pid = strtol(es_result_reason(result), NULL, 10);
    }
    es_result_free(result);
    return status;
}

static void openings(void)
{
    static const struct {
        const char *mode;
        es_status status;
        uint32_t start_ms;
    } rows[] = {{"silent", ES_START_FAILED, 300}, {"ends", ES_START_FAILED, DEADLINE_MS},
                {"aborts", ES_START_FAILED, DEADLINE_MS}, {"version", ES_START_FAILED, DEADLINE_MS},
                {"late", ES_OK, DEADLINE_MS}};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; ++k) {
        es_runtime *runtime;
        es_error error;
        const es_status status = opened(rows[k].mode, rows[k].start_ms, &runtime, &error);
        must(status == rows[k].status, rows[k].mode);
        must((status == ES_OK) == (runtime != NULL), "there is a runtime where the status says so");
        es_close(runtime);
    }
    for (int seed = 0; seed < 60; ++seed) {
        char mode[32];
        es_runtime *runtime;
        es_error error;
        snprintf(mode, sizeof mode, "random%d", seed);
        opened(mode, 100, &runtime, &error);
        es_close(runtime);
    }
}

/* A start that outlasts several calls is waited for, not begun again. */
static void starts_over_calls(void)
{
    es_runtime *runtime;
    es_error error;
    int late = 0;
    must(opened("late", DEADLINE_MS, &runtime, &error) == ES_OK, "opens");
    must(called(runtime, 2, 16, DEADLINE_MS, &error) == ES_CRASHED, "an abort is a crash");
    must(strstr(error.text, "by signal 6") != NULL, "it says how the process ended");
    while (called(runtime, 0, 16, SHORT_MS, &error) == ES_DEADLINE && late < 100)
        ++late;
    must(late >= 2 && late < 100, "short calls get through once the process is there");
    es_close(runtime);
}

static int64_t milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void *holds_the_turn(void *runtime)
{
    es_result *result;
    const uint64_t silent = 1;
    must(es_infer_bytes((es_runtime *)runtime, &silent, sizeof silent, "x", TURN_MS, &result, NULL) == ES_DEADLINE,
         "the one whose turn it is waits for an answer");
    return NULL;
}

/* A deadline holds for the wait for another thread's call too; the process that answers that one is left alone. */
static void waits_for_its_turn(es_runtime *runtime)
{
    pthread_t thread;
    es_error error;
    const int64_t begun = milliseconds();
    pthread_create(&thread, NULL, holds_the_turn, runtime);
    nanosleep(&(struct timespec){0, 100000000}, NULL);
    must(called(runtime, 0, 16, SHORT_MS, &error) == ES_DEADLINE, "the other thread takes longer");
    must(strstr(error.text, "other threads") != NULL, "it says so");
    must(milliseconds() - begun < TURN_MS - 200, "it does not wait for the other thread");
    pthread_join(thread, NULL);
    must(milliseconds() - begun < TURN_MS + 1000, "nor does the other thread wait for much longer than it may");
}

int main(int argc, char **argv)
{
    unsigned long counts[ES_SYSTEM + 1] = {0};
    es_runtime *runtime;
    es_error error;
    if (argc < 3)
        return 2;
    hostile = argv[1];
    const int files = open_files();
    openings();
    starts_over_calls();
    must(opened("", DEADLINE_MS, &runtime, &error) == ES_OK, "opens");
    must(called(runtime, 0, 16, DEADLINE_MS, &error) == ES_OK, "a right answer is taken");
    must(called(runtime, 0, 8 << 20, DEADLINE_MS, &error) == ES_PROTOCOL, "an answer before the question is none");
    must(called(runtime, 0, 4 << 20, DEADLINE_MS, &error) == ES_CRASHED, "it ends while it is spoken to");
    must(strstr(error.text, "with exit status 3") != NULL, "which is no signal to this process, and is told");
    must(called(runtime, 1, 16, SHORT_MS, &error) == ES_DEADLINE, "nothing is said");
    must(called(runtime, 0, 16, DEADLINE_MS, &error) == ES_OK, "the next call works");
    const long before = pid;
    must(called(runtime, 3, 16, DEADLINE_MS, &error) == ES_DEADLINE, "the process gives up");
    must(strcmp(error.text, "given up") == 0, "in its own words");
    must(called(runtime, 0, 16, DEADLINE_MS, &error) == ES_OK && pid == before, "and goes on");
    must(called(runtime, 2, 16, DEADLINE_MS, &error) == ES_CRASHED, "another crash");
    must(called(runtime, 0, 16, DEADLINE_MS, &error) == ES_OK && pid != before, "after which there is another one");
    waits_for_its_turn(runtime);
    for (uint64_t seed = 4; seed < 4 + strtoull(argv[2], NULL, 10); ++seed)
        ++counts[called(runtime, seed, 16, 100, &error)];
    called(runtime, 0, 16, DEADLINE_MS, &error); /* may meet what the last process had still to say */
    must(called(runtime, 0, 16, DEADLINE_MS, &error) == ES_OK, "after all of it a call works");
    es_close(runtime);
    must(open_files() == files, "no file is left open");
    must(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD, "no process is left");
    printf("{\"ok\": %lu, \"deadline\": %lu, \"crashed\": %lu, \"protocol\": %lu, \"failed\": %lu, \"system\": %lu}\n",
           counts[ES_OK], counts[ES_DEADLINE], counts[ES_CRASHED], counts[ES_PROTOCOL],
           counts[ES_FAILED] + counts[ES_MEMORY] + counts[ES_START_FAILED], counts[ES_SYSTEM]);
    return wrong;
}
