/* Edge-Sacro for consoles written in C, C++ or C#: one header, one shared library (docs/embedding.md).
 *
 * The library starts the Python runtime in a process of its own and speaks to it over a socket. No Python, no thread
 * and no signal handler comes into the console's process, no exception crosses this interface, and whatever the
 * runtime does, crash, leak or hang, stays in its process, which is ended and started again. Linux, x86-64 or
 * aarch64, glibc 2.17.
 *
 * Results. A file that cannot be assessed, because it is no DICOM or holds no pelvic radiograph, is a result: ES_OK,
 *   with the state ES_REFUSED or ES_NOT_ASSESSABLE and the reason. Any other status says that there is no result of
 *   this call. None of them says anything about the patient; in particular, none is a negative.
 * Deadlines are in milliseconds of a monotonic clock, from the call to its return: waiting for another thread's call,
 *   for the process to start and for the answer are all within. A process that passes one is ended, which the system
 *   may take 200 ms more for; it is started again at once, so that a later call finds it ready. An assessment that
 *   would end in the last twentieth of its deadline, of 50 ms at most, may be given up, so that the process need not
 *   be ended.
 * Threads. One runtime may be used by several threads at once; their calls are answered one after another. Several
 *   runtimes are independent. A thread must not be cancelled (pthread_cancel) inside a call.
 * Memory. A runtime takes less than 64 KiB in the console's process, a result less than ES_MAX_REPORT_BYTES + 16 KiB.
 *   The process of the runtime is bound by es_options.memory_limit_bytes.
 * Ownership. Strings and bytes given to a function are copied or read during the call and never kept. What a result's
 *   accessor returns lives as long as the result. Results outlive their runtime.
 * Processes. The console must not wait for processes that it did not start (waitpid(-1)). A copy of the console made
 *   with fork() must neither use nor close its runtimes; fork() with exec() is safe. The runtime's process ends with
 *   the console.
 * Text is UTF-8. Left and right are the patient's, never the image's.
 */
#ifndef EDGE_SACRO_H
#define EDGE_SACRO_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define ES_FUNCTION(type) extern "C" __attribute__((visibility("default"))) type
#define ES_NOTHROW noexcept
#else
#define ES_FUNCTION(type) __attribute__((visibility("default"))) type
#define ES_NOTHROW
#endif

#define ES_VERSION 1u                            /* of this interface; a change that breaks consoles raises it */
#define ES_MAX_INPUT_BYTES (UINT64_C(512) << 20) /* largest file that es_infer_bytes takes */
#define ES_MAX_REPORT_BYTES (1u << 20)           /* largest report that a result holds */
#define ES_MAX_STRING_BYTES 4095u                /* longest path or name, without its final zero */

/* How a call ended. */
typedef enum es_status {
    ES_OK = 0,           /* the call did what it says; es_infer_*: there is a result */
    ES_USAGE = 1,        /* an argument cannot be meant; nothing was done */
    ES_START_FAILED = 2, /* the runtime's process did not start: no interpreter, no package in it, another version */
    ES_FAILED = 3,       /* the runtime cannot work, and says why in es_error: bundle, backend, precision */
    ES_DEADLINE = 4,     /* no result before the deadline */
    ES_CRASHED = 5,      /* the runtime's process ended during the call */
    ES_PROTOCOL = 6,     /* the runtime's process answered with what is no answer, and was ended */
    ES_MEMORY = 7,       /* the runtime's process ran into its limit of memory, or the console has none left */
    ES_SYSTEM = 8        /* a system call failed in the console's process: too many open files, too many processes */
} es_status;

/* The answer to an image, or to a joint. */
typedef enum es_state {
    ES_NONE = 0,           /* of no result: a null pointer was given to an accessor */
    ES_POSITIVE = 1,       /* probability above the cut-off */
    ES_NEGATIVE = 2,
    ES_BORDERLINE = 3,     /* too close to the cut-off to be decided */
    ES_LOCATED = 4,        /* of a joint: found, where the system decides on both joints together */
    ES_NOT_ASSESSABLE = 5, /* read, and not answered: the reason says why */
    ES_REFUSED = 6         /* not a radiograph that the bundle's system reads: the reason says why */
} es_state;

typedef enum es_side { ES_LEFT = 0, ES_RIGHT = 1 } es_side; /* of the patient */

/* Why a call did not end with ES_OK. Its layout is fixed. Every text ends with a zero; a longer one is cut. */
typedef struct es_error {
    int32_t status;    /* es_status */
    char code[60];     /* stable: the runtime's own (docs/errors.md), or usage, start_failed, deadline_exceeded,
                          crashed, protocol, memory, system; empty after ES_OK */
    char text[1024];   /* what happened */
    char remedy[1024]; /* how to mend it */
} es_error;

/* How to open a runtime. Zero is the default of every field but `size`; strings may be null. Later versions may append
 * fields: those that the caller's `size` does not cover are zero, and those that the library does not know must be. */
typedef struct es_options {
    size_t size;                 /* sizeof(es_options) */
    const char *python;          /* interpreter that has edge-sacro; null: the environment's EDGE_SACRO_PYTHON */
    const char *bundle;          /* folder or zip file; null: the demonstration, which is not for clinical use */
    const char *backend;         /* null: "onnxruntime"; never replaced by another */
    const char *engines;         /* folder of engines in service (docs/engines.md), in place of a backend; null: none */
    const char *precision;       /* "fp32", "fp16", "int8"; null: the bundle's */
    const char *operating_point; /* null: the bundle's */
    const char *overrides;       /* codes of refusals that do not apply, with commas between them */
    const char *trust;           /* file of the public key that the bundle must be signed with; null: none is checked */
    const char *trust_state;     /* file of the latest sequence of each signed bundle; null: its usual place */
    const char *log_path;        /* file to which the process's own messages are appended; null: none are kept */
    uint64_t memory_limit_bytes; /* private memory of each of the two processes, that of the runtime and that in which
                                    files are decoded (RLIMIT_DATA); 0: 4 GiB */
    uint32_t start_deadline_ms;  /* from the process's start until it has opened the bundle; 0: 60000 */
    uint32_t threads;            /* inside one inference; 0: the machine's processors */
} es_options;

typedef struct es_runtime es_runtime;
typedef struct es_result es_result;

/* ES_VERSION of the library that is loaded. */
ES_FUNCTION(uint32_t) es_version(void) ES_NOTHROW;

/* A status in a few words; "unknown status" for other numbers. Never null. */
ES_FUNCTION(const char *) es_status_text(es_status status) ES_NOTHROW;

/* Start the runtime's process and wait until it has opened the bundle. `runtime` receives it, or null.
 * `error` may be null, here and below; it is written by every call. */
ES_FUNCTION(es_status) es_open(const es_options *options, es_runtime **runtime, es_error *error) ES_NOTHROW;

/* Assess a file. It is read by the runtime's process; a relative path is meant from the console's working folder.
 * deadline_ms: above 0. `result` receives the result, to be freed with es_result_free, or null. */
ES_FUNCTION(es_status)
es_infer_file(es_runtime *runtime, const char *path, uint32_t deadline_ms, es_result **result,
              es_error *error) ES_NOTHROW;

/* Assess the bytes of a DICOM file, up to ES_MAX_INPUT_BYTES. name: what the report calls them; null: "(bytes)". */
ES_FUNCTION(es_status)
es_infer_bytes(es_runtime *runtime, const void *data, uint64_t length, const char *name, uint32_t deadline_ms,
               es_result **result, es_error *error) ES_NOTHROW;

/* End the process and free the runtime; null does nothing. No other call with it may be under way or follow. */
ES_FUNCTION(void) es_close(es_runtime *runtime) ES_NOTHROW;

/* Accessors. A null result has the state ES_NONE, no probability (NaN), no box, and empty texts. */
ES_FUNCTION(es_state) es_result_state(const es_result *result) ES_NOTHROW;
/* Of sacroiliitis, 0 to 1, as it was decided on; NaN where there is none. */
ES_FUNCTION(double) es_result_probability(const es_result *result) ES_NOTHROW;
/* The decision in a sentence, or why there is none. */
ES_FUNCTION(const char *) es_result_reason(const es_result *result) ES_NOTHROW;
/* Stable code of why there is no decision (docs/errors.md); empty where there is one. */
ES_FUNCTION(const char *) es_result_reason_code(const es_result *result) ES_NOTHROW;
/* What to do about a refusal; empty elsewhere. */
ES_FUNCTION(const char *) es_result_remedy(const es_result *result) ES_NOTHROW;
/* 1 where the bundle is a demonstration, which is not for clinical use: show es_result_statement beside the result. */
ES_FUNCTION(int) es_result_demonstration(const es_result *result) ES_NOTHROW;
ES_FUNCTION(const char *) es_result_statement(const es_result *result) ES_NOTHROW;
/* One joint: its state, its own probability where the system has one, else NaN, and the reason. */
ES_FUNCTION(es_state) es_result_joint_state(const es_result *result, es_side side) ES_NOTHROW;
ES_FUNCTION(double) es_result_joint_probability(const es_result *result, es_side side) ES_NOTHROW;
ES_FUNCTION(const char *) es_result_joint_reason(const es_result *result, es_side side) ES_NOTHROW;
/* Boxes: x0, y0, x1, y1 in pixels of the image as it is stored, from its top left; x1 and y1 are the first outside.
 * They return 1 where there is a box and 0, leaving `box` as it is, where there is none. */
ES_FUNCTION(int) es_result_joint_box(const es_result *result, es_side side, int32_t box[4]) ES_NOTHROW;
/* The part of the image that was classified. */
ES_FUNCTION(int) es_result_crop_box(const es_result *result, int32_t box[4]) ES_NOTHROW;
/* The whole report as JSON (docs/report.md), with a final zero that `length` does not count; `length` may be null. */
ES_FUNCTION(const char *) es_result_report_json(const es_result *result, size_t *length) ES_NOTHROW;
/* Free a result; null does nothing. */
ES_FUNCTION(void) es_result_free(es_result *result) ES_NOTHROW;

#endif
