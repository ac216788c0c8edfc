/* A console that assesses the files it is given: edge_sacro.h in C, and as it stands in C++.
 *
 *   cc console.c $(edge-sacro embed flags) -o console
 *   EDGE_SACRO_PYTHON=$(edge-sacro embed python) ./console study.dcm...
 */
#include <edge_sacro.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *name_of(es_state state)
{
    switch (state) {
    case ES_POSITIVE:
        return "positive";
    case ES_NEGATIVE:
        return "negative";
    case ES_BORDERLINE:
        return "borderline";
    case ES_LOCATED:
        return "located";
    case ES_NOT_ASSESSABLE:
        return "not assessable";
    case ES_REFUSED:
        return "refused";
    default:
        return "no result";
    }
}

static void show(const char *path, const es_result *result)
{
    int32_t box[4];
    printf("%s: %s: %s\n", path, name_of(es_result_state(result)), es_result_reason(result));
    if (!isnan(es_result_probability(result)))
        printf("  probability %.4f\n", es_result_probability(result));
    if (es_result_joint_box(result, ES_LEFT, box))
        printf("  the patient's left joint: columns %d to %d, rows %d to %d\n", box[0], box[2] - 1, box[1], box[3] - 1);
    if (es_result_joint_box(result, ES_RIGHT, box))
        printf("  the patient's right joint: columns %d to %d, rows %d to %d\n", box[0], box[2] - 1, box[1], box[3] - 1);
    if (es_result_demonstration(result))
        printf("  %s\n", es_result_statement(result));
}

int main(int argc, char **argv)
{
    es_options options;
    es_runtime *runtime;
    es_error error;
    int failed = 0;

    memset(&options, 0, sizeof options); /* every option has its default: the demonstration, on ONNX Runtime */
    options.size = sizeof options;
    options.threads = 2;
    if (es_open(&options, &runtime, &error) != ES_OK) {
        fprintf(stderr, "%s [%s] %s\n", error.text, error.code, error.remedy);
        return 1;
    }
    for (int k = 1; k < argc; ++k) {
        es_result *result;
        if (es_infer_file(runtime, argv[k], 10000, &result, &error) == ES_OK) {
            show(argv[k], result);
            es_result_free(result);
        } else { /* there is no result, which is no negative one; the next call works again where this one can be mended */
            fprintf(stderr, "%s: no result: %s [%s] %s\n", argv[k], error.text, error.code, error.remedy);
            failed = 1;
        }
    }
    es_close(runtime);
    return failed;
}
