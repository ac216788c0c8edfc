/* One call: the process is there and has greeted, the job is sent, the answer received, and whatever fails ends it. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime.h"

es_status esi_start(es_runtime *runtime, es_error *error)
{
    runtime->greeted = 0;
    runtime->filled = 0;
    runtime->started = esi_now();
    return esi_process_start(&runtime->process, runtime->arguments, runtime->log_path, error);
}

/* Receive an answer's head and body. */
static es_status receive(es_runtime *runtime, int64_t deadline)
{
    const struct esi_process *process = &runtime->process;
    const size_t head = sizeof runtime->inbox.head;
    es_status status = ES_OK;
    if (runtime->filled < head)
        status = esi_receive(process, &runtime->inbox, &runtime->filled, head, deadline);
    if (status != ES_OK)
        return status;
    if (!esi_head_valid(&runtime->inbox.head))
        return ES_PROTOCOL;
    size_t filled = runtime->filled - head;
    status = esi_receive(process, &runtime->inbox.body, &filled, runtime->inbox.head.body_length, deadline);
    runtime->filled = head + filled;
    if (status != ES_OK)
        return status;
    return runtime->inbox.head.kind == ESI_ERROR && !esi_error_valid(&runtime->inbox.body.error) ? ES_PROTOCOL : ES_OK;
}

/* End the process after a call that it did not answer, and say so. */
static es_status gone(es_runtime *runtime, es_status status, const char *during, es_error *error)
{
    char how[48];
    const int why = errno;
    esi_process_end(&runtime->process, status == ES_CRASHED, how, sizeof how);
    if (status == ES_CRASHED)
        return esi_fail(error, status, "crashed",
                        "Have its messages written (es_options.log_path); a low limit of memory may show like this.",
                        "the runtime's process ended %s %s", how, during);
    if (status == ES_PROTOCOL)
        return esi_fail(error, status, "protocol", "Check that EDGE_SACRO_PYTHON has this edge-sacro.",
                        "the runtime's process answered with what is no answer %s", during);
    if (status == ES_MEMORY)
        return esi_fail(error, status, "memory", "Free memory of the console.", "no memory for the result");
    char room[96];
    return esi_fail(error, status, "system", "Report it.", "poll or recv failed (%s)",
                    strerror_r(why, room, sizeof room));
}

es_status esi_greeted(es_runtime *runtime, int64_t deadline, es_error *error)
{
    const int64_t latest = runtime->started + runtime->start_deadline_ms;
    const es_status status = receive(runtime, deadline < latest ? deadline : latest);
    if (status == ES_DEADLINE && esi_now() < latest)
        return esi_fail(error, status, "deadline_exceeded", "Raise the deadline: it includes the start.",
                        "the runtime's process was still starting");
    if (status == ES_DEADLINE) {
        esi_process_end(&runtime->process, 0, NULL, 0);
        return esi_fail(error, ES_START_FAILED, "start_failed", "Raise es_options.start_deadline_ms.",
                        "the runtime's process had not opened the bundle after %u ms", runtime->start_deadline_ms);
    }
    if (status == ES_CRASHED) {
        gone(runtime, status, "before it had opened the bundle", error);
        if (error)
            snprintf(error->code, sizeof error->code, "start_failed");
        if (error)
            error->status = ES_START_FAILED;
        return ES_START_FAILED;
    }
    if (status != ES_OK)
        return gone(runtime, status, "in place of its greeting", error);
    const struct esi_head *head = &runtime->inbox.head;
    if (head->kind == ESI_ERROR && head->number == 0) {
        esi_process_end(&runtime->process, 0, NULL, 0);
        if (error)
            *error = runtime->inbox.body.error;
        return (es_status)runtime->inbox.body.error.status;
    }
    if (head->kind != ESI_READY || head->number != 0)
        return gone(runtime, ES_PROTOCOL, "in place of its greeting", error);
    if (runtime->inbox.body.version != ES_VERSION) {
        esi_process_end(&runtime->process, 0, NULL, 0);
        return esi_fail(error, ES_START_FAILED, "start_failed", "Use the library that came with the package.",
                        "the library has version %u, the package in the interpreter %u", ES_VERSION,
                        (unsigned)runtime->inbox.body.version);
    }
    runtime->greeted = 1;
    return ES_OK;
}

/* Send the job and receive the answer's head and body. */
static es_status exchanged(es_runtime *runtime, const struct esi_job *job, int64_t deadline)
{
    const struct {
        const void *data;
        size_t size;
    } parts[] = {{&job->request, sizeof job->request}, {job->name, job->request.name_length},
                 {job->data, (size_t)job->request.length}};
    int answered = 0;
    runtime->filled = 0;
    for (size_t k = 0; k < sizeof parts / sizeof *parts && !answered; ++k) {
        const es_status status = esi_send(&runtime->process, parts[k].data, parts[k].size, deadline, &answered);
        if (status != ES_OK)
            return status;
    }
    const es_status status = receive(runtime, deadline);
    const struct esi_head *head = &runtime->inbox.head;
    if (status != ES_OK)
        return status;
    if (head->number != job->request.number || head->kind == ESI_READY || (answered && head->kind != ESI_ERROR))
        return ES_PROTOCOL;
    return ES_OK;
}

/* The result whose head and body are in the inbox, with its report. */
static es_status result_from_inbox(es_runtime *runtime, int64_t deadline, es_result **result)
{
    const size_t length = runtime->inbox.head.report_length;
    if (!esi_result_valid(&runtime->inbox.body.result))
        return ES_PROTOCOL;
    es_result *made = malloc(sizeof *made + length + 1);
    if (made == NULL)
        return ES_MEMORY;
    made->values = runtime->inbox.body.result;
    made->length = length;
    made->report[length] = '\0';
    size_t filled = 0;
    es_status status = esi_receive(&runtime->process, made->report, &filled, length, deadline);
    if (status == ES_OK && !esi_text_valid(made->report, length))
        status = ES_PROTOCOL;
    if (status == ES_OK)
        *result = made;
    else
        free(made);
    return status;
}

/* One call, by the thread whose turn it is. */
static es_status assessed(es_runtime *runtime, struct esi_job *job, int64_t deadline, es_result **result,
                          es_error *error)
{
    if (runtime->process.pid && runtime->greeted && !esi_process_quiet(&runtime->process))
        esi_process_end(&runtime->process, 0, NULL, 0); /* it ended between two calls, or speaks out of turn */
    if (!runtime->process.pid) {
        const es_status status = esi_start(runtime, error);
        if (status != ES_OK)
            return status;
    }
    if (!runtime->greeted) {
        const es_status status = esi_greeted(runtime, deadline, error);
        if (status != ES_OK)
            return status;
    }
    const int64_t left = deadline - esi_now();
    job->request.number = ++runtime->number;
    job->request.deadline_ms = left > 0 ? (uint32_t)left : 0;
    es_status status = left > 0 ? exchanged(runtime, job, deadline) : ES_DEADLINE;
    if (status == ES_OK && runtime->inbox.head.kind == ESI_ERROR) {
        if (error)
            *error = runtime->inbox.body.error;
        status = (es_status)runtime->inbox.body.error.status;
        if (status == ES_DEADLINE)
            return status; /* the runtime gave it up by itself, and goes on */
        esi_process_end(&runtime->process, 0, NULL, 0);
    } else if (status == ES_OK) {
        status = result_from_inbox(runtime, deadline, result);
        if (status == ES_OK)
            return status;
    }
    if (status == ES_DEADLINE) {
        esi_process_end(&runtime->process, 0, NULL, 0);
        esi_fail(error, status, "deadline_exceeded", "Raise the deadline, or use more threads or a faster backend.",
                 "there was no result before the deadline; the runtime's process was ended and starts again");
    } else if (runtime->process.pid) {
        gone(runtime, status, "during the call", error);
    }
    esi_start(runtime, NULL); /* for the next call, which tries again and tells where this fails */
    return status;
}

es_status esi_in_turn(es_runtime *runtime, struct esi_job *job, uint32_t deadline_ms, es_result **result,
                      es_error *error)
{
    const int64_t deadline = esi_now() + deadline_ms;
    uint64_t unit = 0;
    while (read(runtime->turn, &unit, sizeof unit) != (ssize_t)sizeof unit) {
        es_status status = ES_SYSTEM;
        if (errno == EAGAIN || errno == EINTR)
            status = esi_wait(runtime->turn, POLLIN, deadline);
        if (status == ES_DEADLINE)
            return esi_fail(error, status, "deadline_exceeded", "Raise the deadline, or open another runtime.",
                            "other threads' calls took the time");
        if (status != ES_OK)
            return esi_fail(error, status, "system", "Report it.", "the runtime's semaphore cannot be read");
    }
    const es_status status = assessed(runtime, job, deadline, result, error);
    unit = 1;
    while (write(runtime->turn, &unit, sizeof unit) < 0 && errno == EINTR)
        ;
    return status;
}
