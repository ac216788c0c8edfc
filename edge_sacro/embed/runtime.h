/* A runtime, and what the files of this library do with it. */
#ifndef EDGE_SACRO_RUNTIME_H
#define EDGE_SACRO_RUNTIME_H

#include <stdint.h>

#include "answer.h"
#include "process.h"

enum { ESI_ARGUMENTS = 16, ESI_ARGUMENT_ROOM = 44 << 10 };

struct es_runtime {
    int turn; /* a semaphore: the thread that took its one unit may use the rest */
    struct esi_process process;
    int greeted;
    int64_t started;
    uint64_t number; /* of the last request */
    uint32_t start_deadline_ms;
    size_t filled; /* bytes of `inbox`, which a start that outlasts a call fills over several */
    struct {
        struct esi_head head;
        union {
            uint32_t version;
            struct esi_result result;
            es_error error;
        } body;
    } inbox;
    const char *log_path;
    char *arguments[ESI_ARGUMENTS];
    size_t used; /* of `room` */
    char room[ESI_ARGUMENT_ROOM];
};
_Static_assert(sizeof(struct es_runtime) < 64 << 10, "what the header says of memory");

struct esi_job {
    struct esi_request request;
    const char *name;
    const void *data;
};

/* The arguments and limits of the process, from the options of any version. */
es_status esi_read_options(es_runtime *runtime, const es_options *given, es_error *error);
/* Start the process. */
es_status esi_start(es_runtime *runtime, es_error *error);
/* Receive the greeting of a process that was started, now or during an earlier call. */
es_status esi_greeted(es_runtime *runtime, int64_t deadline, es_error *error);
/* Wait for the turn, do the job, and give the turn back. */
es_status esi_in_turn(es_runtime *runtime, struct esi_job *job, uint32_t deadline_ms, es_result **result,
                      es_error *error);
/* Say that an argument cannot be meant. */
es_status esi_usage(es_error *error, const char *text);

#endif
