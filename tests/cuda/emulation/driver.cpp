// A stand-in for libcuda.so.1, for tests: unmodified pycuda runs the emulated kernels through it, in host memory.
//
// Nothing queued on a stream is done before something waits for it: whoever forgets to wait, or reuses memory that a
// copy still reads, sees it in the result. Any call can be made to fail until it is told not to. Every module image is
// taken to be the library that EMULATED_KERNELS names.
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

typedef int Status;
typedef unsigned long long Address;
typedef int (*Launch)(const char *, const unsigned *, const unsigned *, int);

enum { SUCCESS = 0, INVALID = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, BAD_DEVICE = 101, NOT_FOUND = 500, LAUNCH_FAILED = 719 };

struct Function {
    Launch launch;
};

static std::vector<std::function<Status()>> queue;
static std::map<Address, size_t> memory;
static std::map<void *, size_t> pages;
static std::map<std::string, Status> failures;
static int contexts, streams, events, launches, integrated, driver_version = 13000, capability[2] = {8, 7};
static size_t module_size;
static char context;

static Status told(const char *name) {
    auto found = failures.find(name);
    return found == failures.end() ? SUCCESS : found->second;
}

#define FAILS_IF_TOLD                                 \
    if (Status status = told(__func__)) return status;

static Status drain() {
    auto work = std::move(queue);
    queue.clear();
    for (auto &step : work)
        if (Status status = step()) return status;
    return SUCCESS;
}

static bool inside(Address address, size_t bytes) {
    auto next = memory.upper_bound(address);
    return next != memory.begin() && address + bytes <= std::prev(next)->first + std::prev(next)->second;
}

extern "C" {

// For the test itself.
void fake_fail(const char *name, int status) { failures[name] = status; }
void fake_device(int version, int major, int minor) { driver_version = version, capability[0] = major, capability[1] = minor; }
void fake_integrated(int value) { integrated = value; }
int fake_launches(void) { return launches; }
int fake_live(void) { return (int)memory.size() + (int)pages.size() + streams + events + contexts; }
int fake_queued(void) { return (int)queue.size(); }
long fake_module_size(void) { return (long)module_size; }

Status cuInit(unsigned) { FAILS_IF_TOLD return SUCCESS; }
Status cuDriverGetVersion(int *version) { *version = driver_version; return SUCCESS; }
Status cuDeviceGetCount(int *count) { *count = 1; return SUCCESS; }
Status cuDeviceGet(int *device, int index) { FAILS_IF_TOLD *device = index; return index ? BAD_DEVICE : SUCCESS; }
Status cuDeviceGetName(char *name, int length, int) { strncpy(name, "emulated GPU", length); return SUCCESS; }
Status cuDeviceComputeCapability(int *major, int *minor, int) { *major = capability[0], *minor = capability[1]; return SUCCESS; }
Status cuDeviceGetAttribute(int *value, int attribute, int) {
    *value = attribute == 75 ? capability[0] : attribute == 76 ? capability[1] : attribute == 18 ? integrated : 1;
    return SUCCESS;
}
Status cuDevicePrimaryCtxRetain(void **found, int) { FAILS_IF_TOLD contexts++; *found = &context; return SUCCESS; }
Status cuDevicePrimaryCtxRelease_v2(int) { contexts--; return SUCCESS; }
Status cuCtxPushCurrent_v2(void *) { FAILS_IF_TOLD return SUCCESS; }
Status cuCtxPopCurrent_v2(void **found) { if (found) *found = &context; return SUCCESS; }
Status cuCtxGetDevice(int *device) { *device = 0; return SUCCESS; }
Status cuCtxSynchronize(void) { return drain(); }
Status cuCtxGetApiVersion(void *, unsigned *version) { *version = driver_version; return SUCCESS; }
Status cuGetErrorString(int, const char **text) { *text = "told to fail"; return SUCCESS; }

Status cuMemAlloc_v2(Address *found, size_t bytes) {
    FAILS_IF_TOLD
    void *made = nullptr;
    if (bytes == 0) return INVALID;
    if (posix_memalign(&made, 256, bytes)) return OUT_OF_MEMORY;
    memset(made, 0xCD, bytes);
    *found = (Address)made;
    memory[*found] = bytes;
    return SUCCESS;
}
Status cuMemGetInfo_v2(size_t *left, size_t *total) {
    *left = *total = (size_t)1 << 34;
    for (auto &each : memory) *left -= each.second;
    return SUCCESS;
}
Status cuMemFree_v2(Address address) {
    if (!memory.erase(address)) return INVALID;
    Status status = drain();
    free((void *)address);
    return status;
}
Status cuMemHostAlloc(void **found, size_t bytes, unsigned) {
    FAILS_IF_TOLD
    if (posix_memalign(found, 4096, bytes)) return OUT_OF_MEMORY;
    pages[*found] = bytes;
    return SUCCESS;
}
Status cuMemFreeHost(void *address) {
    if (!pages.erase(address)) return INVALID;
    free(address);
    return SUCCESS;
}
Status cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t bytes, void *) {
    FAILS_IF_TOLD
    if (!inside(to, bytes)) return INVALID;
    queue.push_back([=] { memcpy((void *)to, from, bytes); return SUCCESS; });
    return SUCCESS;
}
Status cuMemHostGetDevicePointer_v2(Address *found, void *host, unsigned) {
    FAILS_IF_TOLD
    *found = (Address)host;
    return pages.count(host) ? SUCCESS : INVALID;
}
Status cuMemcpyDtoHAsync_v2(void *to, Address from, size_t bytes, void *) {
    FAILS_IF_TOLD
    if (!inside(from, bytes)) return INVALID;
    queue.push_back([=] { memcpy(to, (void *)from, bytes); return SUCCESS; });
    return SUCCESS;
}
Status cuMemsetD8Async(Address to, unsigned char value, size_t bytes, void *) {
    FAILS_IF_TOLD
    if (!inside(to, bytes)) return INVALID;
    queue.push_back([=] { memset((void *)to, value, bytes); return SUCCESS; });
    return SUCCESS;
}
Status cuStreamCreate(void **found, unsigned) { FAILS_IF_TOLD streams++; *found = malloc(1); return SUCCESS; }
Status cuStreamDestroy_v2(void *stream) { streams--; free(stream); return SUCCESS; }
Status cuStreamSynchronize(void *) {
    if (Status status = told(__func__)) {
        queue.clear();  // as on a GPU that is lost: what was queued is never done
        return status;
    }
    return drain();
}
Status cuEventCreate(void **found, unsigned) { FAILS_IF_TOLD events++; *found = malloc(1); return SUCCESS; }
Status cuEventDestroy_v2(void *event) { events--; free(event); return SUCCESS; }
Status cuEventRecord(void *, void *) { return SUCCESS; }
Status cuEventSynchronize(void *) { return drain(); }

Status cuModuleLoadDataEx(void **found, const void *, unsigned, void *, void *) {
    FAILS_IF_TOLD
    *found = dlopen(getenv("EMULATED_KERNELS"), RTLD_NOW | RTLD_LOCAL);
    return *found ? SUCCESS : INVALID;
}
Status cuModuleLoadData(void **found, const void *image) { return cuModuleLoadDataEx(found, image, 0, nullptr, nullptr); }
Status cuModuleUnload(void *) { return SUCCESS; }
Status cuModuleGetFunction(void **found, void *module, const char *name) {
    FAILS_IF_TOLD
    Launch launch = (Launch)dlsym(module, (std::string("launch_") + name).c_str());
    if (!launch) return NOT_FOUND;
    *found = new Function{launch};
    return SUCCESS;
}
Status cuFuncSetBlockShape(void *, int, int, int) { return SUCCESS; }
Status cuFuncGetAttribute(int *value, int, void *) { *value = 0; return SUCCESS; }

Status cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                      unsigned, void *, void **, void **extra) {
    FAILS_IF_TOLD
    const char *arguments = nullptr;
    size_t bytes = 0;
    for (int i = 0; extra && extra[i]; i += 2) {
        if (extra[i] == (void *)1) arguments = (const char *)extra[i + 1];
        if (extra[i] == (void *)2) bytes = *(size_t *)extra[i + 1];
    }
    if (!arguments || !gx || !gy || !gz || !bx || !by || !bz || bx * by * bz > 1024) return INVALID;
    std::string packed(arguments, bytes);
    packed.resize(bytes + 64);  // the emulation copies whole structures
    launches++;
    queue.push_back([=] {
        unsigned grid[3] = {gx, gy, gz}, block[3] = {bx, by, bz};
        return ((Function *)function)->launch(packed.data(), grid, block, 0) ? LAUNCH_FAILED : SUCCESS;
    });
    return SUCCESS;
}
}
