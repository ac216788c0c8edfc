// CUDA's execution model on a processor, for tests: compile unmodified kernels as C++ with this header before them.
//
// Threads of a block are fibers, run one after another from barrier to barrier, so that barriers, shared memory and
// atomics mean what they mean on a device. Where a block's first thread meets no barrier, the others need no fiber.
// Threads and blocks run in ascending, descending or shuffled order: no result may depend on it. A barrier that some
// threads of a block reach and others do not, or reach on another line, is an error.
#pragma once

#include <math.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#include <algorithm>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

struct dim3 {
    unsigned x, y, z;
};

namespace emulation {

inline dim3 thread_index, block_index, block_size, grid_size;

struct Fiber {
    ucontext_t context;
    jmp_buf state;
    std::unique_ptr<char[]> stack;
    bool started = false, finished = true;
    int line = 0;
    dim3 index;
};

inline std::vector<std::unique_ptr<Fiber>> fibers;
inline Fiber *current;
inline ucontext_t scheduler_context;
inline jmp_buf scheduler_state;
inline void (*body)();
inline constexpr size_t STACK = 32 << 10;

// AddressSanitizer follows swapcontext; longjmp costs no system call.
#ifdef __SANITIZE_ADDRESS__
inline void leave() { swapcontext(&current->context, &scheduler_context); }
inline void enter() { swapcontext(&scheduler_context, &current->context); }
#else
inline void leave() {
    if (!_setjmp(current->state)) _longjmp(scheduler_state, 1);
}
inline void enter() {
    if (_setjmp(scheduler_state)) return;
    if (current->started) _longjmp(current->state, 1);
    current->started = true;
    setcontext(&current->context);
}
#endif

inline void fiber_main() {
    for (;;) {
        body();
        current->finished = true;
        leave();
    }
}

struct Parted {
    int line;
};

inline void barrier(int line) {
    if (!current) throw Parted{line};
    current->line = line;
    leave();
}

inline Fiber *fiber(size_t number) {
    while (fibers.size() <= number) {
        auto made = std::make_unique<Fiber>();
        made->stack = std::make_unique<char[]>(STACK);
        getcontext(&made->context);
        made->context.uc_stack = {made->stack.get(), 0, STACK};
        made->context.uc_link = nullptr;
        makecontext(&made->context, fiber_main, 0);
        fibers.push_back(std::move(made));
    }
    return fibers[number].get();
}

inline unsigned place(unsigned step, unsigned length, int order) {
    if (order == 1) return length - 1 - step;
    if (order == 2) {
        unsigned stride = 7919 % length;
        while (stride == 0 || std::__gcd(stride, length) != 1) stride++;
        return (unsigned)(((uint64_t)step * stride + length / 2) % length);
    }
    return step;
}

inline bool resume(Fiber *one) {
    current = one;
    thread_index = one->index;
    enter();
    return one->finished;
}

inline dim3 index_of(unsigned number) {
    return {number % block_size.x, number / block_size.x % block_size.y, number / block_size.x / block_size.y};
}

inline int parted(int line) {
    fprintf(stderr, "emulation: threads of a block part at the barrier of line %d\n", line);
    fibers.clear();
    return 1;
}

// 0, or 1 where the threads of a block did not meet at one barrier.
inline int run_block(int order) {
    unsigned threads = block_size.x * block_size.y * block_size.z, ended = 0;
    std::vector<Fiber *> waiting;
    for (unsigned step = 0; step < threads && !ended; step++) {
        Fiber *one = fiber(step);
        one->finished = false;
        one->index = index_of(place(step, threads, order));
        if (resume(one))
            ended++;
        else
            waiting.push_back(one);
    }
    if (ended && !waiting.empty()) return parted(waiting[0]->line);
    current = nullptr;
    try {
        for (unsigned step = ended; ended && step < threads; step++) {
            thread_index = index_of(place(step, threads, order));
            body();
        }
    } catch (Parted &here) {
        return parted(here.line);
    }
    while (!waiting.empty()) {
        for (Fiber *one : waiting) ended += one->line != waiting[0]->line;
        if (ended) return parted(waiting[0]->line);
        std::vector<Fiber *> still;
        for (Fiber *one : waiting) resume(one) ? (void)ended++ : still.push_back(one);
        waiting = still;
    }
    return 0;
}

template <class T>
T taken(const char *arguments, size_t &offset) {
    offset = (offset + alignof(T) - 1) / alignof(T) * alignof(T);
    T value;
    memcpy(&value, arguments + offset, sizeof(T));
    offset += sizeof(T);
    return value;
}

// Runs a kernel whose arguments stand one behind another as CUDA lays them out.
template <class... A>
int launch(void (*kernel)(A...), const char *arguments, const unsigned *grid, const unsigned *block, int order) {
    static std::tuple<A...> given;
    static void (*called)(A...);
    size_t offset = 0;
    given = std::tuple<A...>{taken<A>(arguments, offset)...};
    called = kernel;
    body = [] { std::apply(called, given); };
    grid_size = {grid[0], grid[1], grid[2]};
    block_size = {block[0], block[1], block[2]};
    unsigned blocks = grid[0] * grid[1] * grid[2];
    for (unsigned step = 0; step < blocks; step++) {
        unsigned number = place(step, blocks, order);
        block_index = {number % grid[0], number / grid[0] % grid[1], number / grid[0] / grid[1]};
        if (int status = run_block(order)) return status;
    }
    return 0;
}

template <class T>
T changed(T *place, T value) {
    static_assert(std::is_integral_v<T>, "sums in floating point depend on the order of threads");
    return std::exchange(*place, value);
}

}  // namespace emulation

#define threadIdx emulation::thread_index
#define blockIdx emulation::block_index
#define blockDim emulation::block_size
#define gridDim emulation::grid_size
#define __global__
#define __device__
#define __forceinline__ inline
#define __shared__ static
#define __syncthreads() emulation::barrier(__LINE__)

// How often each pixel was read, where a test has set memory for it and compiles with -DPIXEL_READ=counted.
extern "C" {
unsigned *reads_of_pixels = nullptr;
}
inline void counted(size_t index) {
    if (reads_of_pixels) reads_of_pixels[index]++;
}

template <class T>
T atomicAdd(T *place, T value) {
    return emulation::changed(place, (T)(*place + value));
}

template <class T>
T atomicMax(T *place, T value) {
    return emulation::changed(place, std::max(*place, value));
}

// extern "C", so that a launch is found by its kernel's name.
#define EMULATED(kernel)                                                                                               \
    extern "C" int launch_##kernel(const char *arguments, const unsigned *grid, const unsigned *block, int order) {    \
        return emulation::launch(kernel, arguments, grid, block, order);                                               \
    }
