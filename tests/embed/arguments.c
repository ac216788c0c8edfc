/* Arguments that cannot be meant, null pointers, and options of other versions. Also compiled as C++. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge_sacro.h"

static int wrong;

#define must(holds) (wrong |= !(holds) ? fprintf(stderr, "not so: line %d: %s\n", __LINE__, #holds), 1 : 0)

static void accessors_take_null(void)
{
    int32_t box[4] = {7, 7, 7, 7};
    size_t length = 9;
    must(es_result_state(NULL) == ES_NONE && es_result_joint_state(NULL, ES_LEFT) == ES_NONE);
    must(isnan(es_result_probability(NULL)) && isnan(es_result_joint_probability(NULL, ES_RIGHT)));
    must(!strcmp(es_result_reason(NULL), "") && !strcmp(es_result_reason_code(NULL), ""));
    must(!strcmp(es_result_remedy(NULL), "") && !strcmp(es_result_statement(NULL), ""));
    must(!strcmp(es_result_joint_reason(NULL, ES_LEFT), "") && !es_result_demonstration(NULL));
    must(!es_result_joint_box(NULL, ES_LEFT, box) && !es_result_crop_box(NULL, box) && box[0] == 7);
    must(!strcmp(es_result_report_json(NULL, &length), "") && length == 0);
    es_result_free(NULL);
    es_close(NULL);
}

/* Options of `size` bytes, the later ones of them `filling`. */
static es_status opened(size_t size, int filling, es_error *error)
{
    unsigned char room[8192];
    es_options options;
    es_runtime *runtime = (es_runtime *)room;
    memset(&options, 0, sizeof options);
    options.size = size;
    options.python = "/bin/false";
    memset(room, filling, sizeof room);
    memcpy(room, &options, size < sizeof options ? size : sizeof options);
    if (size < sizeof options && size >= sizeof options.size + sizeof options.python)
        memset(room + size, 0xff, sizeof options - size); /* must not be read */
    const es_status status = es_open((const es_options *)(const void *)room, &runtime, error);
    must(runtime == NULL);
    return status;
}

int main(void)
{
    static char path[ES_MAX_STRING_BYTES + 2];
    es_error error;
    es_runtime *runtime = NULL;
    es_result *result = (es_result *)path;
    es_options options;
    accessors_take_null();
    must(es_version() == ES_VERSION);
    must(!strcmp(es_status_text(ES_OK), "ok") && !strcmp(es_status_text((es_status)99), "unknown status"));
    must(!strcmp(es_status_text((es_status)-1), "unknown status"));
    must(es_open(NULL, &runtime, NULL) == ES_USAGE && es_open(NULL, NULL, &error) == ES_USAGE);
    must(error.status == ES_USAGE && !strcmp(error.code, "usage") && *error.text && *error.remedy);
    must(es_infer_file(NULL, "x", 1, &result, &error) == ES_USAGE && result == NULL);
    must(es_infer_bytes(NULL, "x", 1, NULL, 1, NULL, &error) == ES_USAGE);

    must(opened(0, 0, &error) == ES_USAGE && opened(1, 0, &error) == ES_USAGE && opened(8000, 0, &error) == ES_USAGE);
    must(opened(sizeof(es_options), 0, &error) == ES_START_FAILED);
    must(opened(sizeof options.size + sizeof options.python, 0, &error) == ES_START_FAILED);
    must(opened(sizeof(es_options) + 64, 0, &error) == ES_START_FAILED);
    must(opened(sizeof(es_options) + 64, 1, &error) == ES_USAGE && strstr(error.text, "does not know"));

    memset(path, 'x', sizeof path - 1);
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.python = "/bin/false";
    options.bundle = path;
    must(es_open(&options, &runtime, &error) == ES_USAGE && runtime == NULL);
    options.bundle = NULL;
    options.log_path = "/";
    must(es_open(&options, &runtime, &error) == ES_USAGE && strstr(error.text, "log_path"));
    options.log_path = NULL;
    options.python = NULL; /* and EDGE_SACRO_PYTHON is not set */
    must(es_open(&options, &runtime, &error) == ES_USAGE && strstr(error.remedy, "EDGE_SACRO_PYTHON"));

    if ((options.python = getenv("HOSTILE")) != NULL) {
        must(es_open(&options, &runtime, &error) == ES_OK && error.code[0] == '\0');
        must(es_infer_file(runtime, NULL, 1000, &result, &error) == ES_USAGE);
        must(es_infer_file(runtime, "", 1000, &result, &error) == ES_USAGE);
        must(es_infer_file(runtime, path, 1000, &result, &error) == ES_USAGE);
        must(es_infer_file(runtime, "x", 0, &result, &error) == ES_USAGE);
        must(es_infer_file(runtime, "x", 1000, NULL, &error) == ES_USAGE);
        must(es_infer_bytes(runtime, NULL, 5, NULL, 1000, &result, &error) == ES_USAGE);
        must(es_infer_bytes(runtime, "x", ES_MAX_INPUT_BYTES + 1, NULL, 1000, &result, &error) == ES_USAGE);
        must(es_infer_bytes(runtime, "x", 1, "\xff", 1000, &result, &error) == ES_USAGE);
        must(es_infer_bytes(runtime, "x", 1, path, 1000, &result, &error) == ES_USAGE && result == NULL);
        must(es_infer_bytes(runtime, NULL, 0, NULL, 10000, &result, NULL) == ES_OK);
        must(es_result_joint_state(result, (es_side)7) == ES_NONE && !es_result_joint_box(result, ES_LEFT, NULL));
        es_close(runtime);
        must(es_result_state(result) == ES_NEGATIVE); /* a result outlives its runtime */
        es_result_free(result);
    }
    return wrong;
}
