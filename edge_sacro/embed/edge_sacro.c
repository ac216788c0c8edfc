#define _GNU_SOURCE
#include "edge_sacro.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "runtime.h"

enum { NAME_ROOM = 2 * 4096 };

uint32_t es_version(void) { return ES_VERSION; }

const char *es_status_text(es_status status)
{
    static const char *const texts[] = {
        "ok",
        "an argument cannot be meant",
        "the runtime's process did not start",
        "the runtime cannot work",
        "the deadline passed",
        "the runtime's process ended during the call",
        "the runtime's process answered with what is no answer",
        "a limit of memory was reached",
        "a system call failed"};
    return (unsigned)status < sizeof texts / sizeof *texts ? texts[status] : "unknown status";
}

static es_status begun(const es_runtime *runtime, uint32_t deadline_ms, es_result **result, es_error *error)
{
    if (error)
        memset(error, 0, sizeof *error);
    if (result)
        *result = NULL;
    if (runtime == NULL || result == NULL)
        return esi_usage(error, "runtime or result is null");
    return deadline_ms ? ES_OK : esi_usage(error, "deadline_ms is 0");
}

es_status es_open(const es_options *given, es_runtime **runtime, es_error *error)
{
    if (error)
        memset(error, 0, sizeof *error);
    if (runtime == NULL)
        return esi_usage(error, "runtime is null");
    *runtime = NULL;
    es_runtime *made = calloc(1, sizeof *made);
    if (made == NULL)
        return esi_fail(error, ES_MEMORY, "memory", "Free memory of the console.", "no memory for the runtime");
    es_status status = ES_OK;
    made->turn = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
    if (made->turn < 0)
        status = esi_fail(error, ES_SYSTEM, "system", "Close files of the console.", "eventfd failed");
    if (status == ES_OK)
        status = esi_read_options(made, given, error);
    if (status == ES_OK)
        status = esi_start(made, error);
    if (status == ES_OK)
        status = esi_greeted(made, made->started + made->start_deadline_ms, error);
    if (status == ES_OK)
        *runtime = made;
    else
        es_close(made);
    return status;
}

es_status es_infer_file(es_runtime *runtime, const char *path, uint32_t deadline_ms, es_result **result,
                        es_error *error)
{
    char whole[NAME_ROOM];
    const es_status status = begun(runtime, deadline_ms, result, error);
    if (status != ES_OK)
        return status;
    const size_t size = path ? strnlen(path, ES_MAX_STRING_BYTES + 1) : 0;
    if (size == 0 || size > ES_MAX_STRING_BYTES)
        return esi_usage(error, "path is null, empty, or longer than ES_MAX_STRING_BYTES");
    whole[0] = '\0';
    if (path[0] != '/' && (getcwd(whole, sizeof whole - size - 2) == NULL || whole[0] != '/'))
        return esi_usage(error, "path is relative, and the working folder has none that is short enough");
    size_t used = strlen(whole);
    if (used && whole[used - 1] != '/')
        whole[used++] = '/';
    memcpy(whole + used, path, size + 1);
    struct esi_job job = {{ESI_REQUEST, ESI_FILE, 0, 0, 0, (uint32_t)(used + size)}, whole, NULL};
    return esi_in_turn(runtime, &job, deadline_ms, result, error);
}

es_status es_infer_bytes(es_runtime *runtime, const void *data, uint64_t length, const char *name, uint32_t deadline_ms,
                         es_result **result, es_error *error)
{
    const es_status status = begun(runtime, deadline_ms, result, error);
    if (status != ES_OK)
        return status;
    if ((data == NULL && length) || length > ES_MAX_INPUT_BYTES)
        return esi_usage(error, "data is null, or longer than ES_MAX_INPUT_BYTES");
    const size_t size = name ? strnlen(name, ES_MAX_STRING_BYTES + 1) : 0;
    if (size > ES_MAX_STRING_BYTES || !esi_text_valid(name ? name : "", size))
        return esi_usage(error, "name is no UTF-8, or longer than ES_MAX_STRING_BYTES");
    struct esi_job job = {{ESI_REQUEST, ESI_BYTES, 0, length, 0, (uint32_t)size}, name, data};
    return esi_in_turn(runtime, &job, deadline_ms, result, error);
}

void es_close(es_runtime *runtime)
{
    if (runtime == NULL)
        return;
    esi_process_end(&runtime->process, 0, NULL, 0);
    if (runtime->turn >= 0)
        close(runtime->turn);
    free(runtime);
}
