#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

enum {
    DEFAULT_START_MS = 60000,
    MOST_OPTIONS = 4096 /* bytes that the options of any later version may have */
};
static const uint64_t DEFAULT_MEMORY = UINT64_C(4) << 30;

es_status esi_usage(es_error *error, const char *text)
{
    return esi_fail(error, ES_USAGE, "usage", "See edge_sacro.h.", "%s", text);
}

/* Keep "name=value" in the runtime's room, or `value` alone without a name; null where it is too long. */
static char *kept(es_runtime *runtime, const char *name, const char *value)
{
    char *text = runtime->room + runtime->used;
    const size_t left = sizeof runtime->room - runtime->used;
    if (strnlen(value, ES_MAX_STRING_BYTES + 1) > ES_MAX_STRING_BYTES)
        return NULL;
    const int size = snprintf(text, left, name ? "%s=%s" : "%s%s", name ? name : "", value);
    if (size < 0 || (size_t)size >= left)
        return NULL;
    runtime->used += (size_t)size + 1;
    return text;
}

static es_status arguments_from_options(es_runtime *runtime, const es_options *options, es_error *error)
{
    const char *python = options->python ? options->python : getenv("EDGE_SACRO_PYTHON");
    const char *const texts[][2] = {
        {"bundle", options->bundle},       {"backend", options->backend},
        {"engines", options->engines},     {"precision", options->precision}, {"operating_point", options->operating_point},
        {"overrides", options->overrides}, {"trust", options->trust},
        {"trust_state", options->trust_state}};
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {{"memory_limit_bytes", options->memory_limit_bytes ? options->memory_limit_bytes : DEFAULT_MEMORY},
                   {"threads", options->threads}};
    if (python == NULL || *python == '\0')
        return esi_fail(error, ES_USAGE, "usage", "Name it in es_options.python or in EDGE_SACRO_PYTHON.",
                        "no Python interpreter is named");
    static const char *const module[] = {"-I", "-m", "edge_sacro.embed.worker"};
    size_t count = 0;
    runtime->arguments[count++] = kept(runtime, NULL, python);
    for (size_t k = 0; k < sizeof module / sizeof *module; ++k)
        runtime->arguments[count++] = kept(runtime, NULL, module[k]);
    for (size_t k = 0; k < sizeof texts / sizeof *texts; ++k)
        if (texts[k][1])
            runtime->arguments[count++] = kept(runtime, texts[k][0], texts[k][1]);
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; ++k) {
        char digits[24];
        snprintf(digits, sizeof digits, "%llu", (unsigned long long)numbers[k].value);
        runtime->arguments[count++] = kept(runtime, numbers[k].name, digits);
    }
    if (options->log_path)
        runtime->log_path = kept(runtime, NULL, options->log_path);
    int all = !options->log_path || runtime->log_path;
    for (size_t k = 0; k < count; ++k)
        all = all && runtime->arguments[k];
    return all ? ES_OK : esi_usage(error, "a text of the options is longer than ES_MAX_STRING_BYTES");
}

/* The options of this version, from those of the caller's. */
static es_status copied(const es_options *given, es_options *options, es_error *error)
{
    memset(options, 0, sizeof *options);
    if (given == NULL || given->size < sizeof given->size || given->size > MOST_OPTIONS)
        return esi_usage(error, "options is null, or its size is not sizeof(es_options)");
    const unsigned char *bytes = (const unsigned char *)given;
    for (size_t k = sizeof *options; k < given->size; ++k)
        if (bytes[k])
            return esi_usage(error, "options has a field that this version of the library does not know");
    memcpy(options, given, given->size < sizeof *options ? given->size : sizeof *options);
    return ES_OK;
}

es_status esi_read_options(es_runtime *runtime, const es_options *given, es_error *error)
{
    es_options options;
    es_status status = copied(given, &options, error);
    if (status == ES_OK)
        status = arguments_from_options(runtime, &options, error);
    if (status == ES_OK)
        runtime->start_deadline_ms = options.start_deadline_ms ? options.start_deadline_ms : DEFAULT_START_MS;
    return status;
}
