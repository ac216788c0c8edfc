// preprocess.normalise: the histogram of stored values, the range between its quantiles, the 8-bit gray of each value.
#include "pixel.h"

#define SHARED_ENTRIES 8192
#define RANGE_THREADS 1024

struct Range {
    double low, high;
    int contrast;
};

// counts: how often each stored value occurs; outside: how many pixels have a value that no table has an entry for.
// Up to 13 bits are counted in the block's own memory first.
KERNEL histogram(Image image, count *counts, count *outside) {
    __shared__ count own[SHARED_ENTRIES];
    bool fits = image.entries <= SHARED_ENTRIES;
    if (fits) {
        for (int entry = threadIdx.x; entry < image.entries; entry += blockDim.x) own[entry] = 0;
        __syncthreads();
    }
    size_t pixels = (size_t)image.rows * image.columns;
    size_t stride = (size_t)gridDim.x * blockDim.x;
    for (size_t index = (size_t)blockIdx.x * blockDim.x + threadIdx.x; index < pixels; index += stride) {
        int entry = stored_value(image, index) - image.first;
        if (entry < 0 || entry >= image.entries)
            atomicAdd(outside, 1u);
        else
            atomicAdd(fits ? &own[entry] : &counts[entry], 1u);
    }
    if (!fits) return;
    __syncthreads();
    for (int entry = threadIdx.x; entry < image.entries; entry += blockDim.x)
        if (own[entry]) atomicAdd(&counts[entry], own[entry]);
}

// weights[rank[e]] += counts[e]: several stored values may mean one level. Padding has no weight.
KERNEL level_weights(const count *counts, const word *rank, count *weights, int entries, int pad_first, int pad_last) {
    int entry = blockIdx.x * blockDim.x + threadIdx.x;
    if (entry < entries && (entry < pad_first || entry > pad_last) && counts[entry])
        atomicAdd(&weights[rank[entry]], counts[entry]);
}

// One block of RANGE_THREADS. values: the levels in ascending order; low, high: the quantiles; flat: the part of the
// image from which on the lowest and the highest level present count as border or saturation.
KERNEL gray_range(const count *weights, const float *values, Range *range, double low, double high, double flat,
                  int levels) {
    __shared__ count sums[RANGE_THREADS];
    __shared__ count present, before_first, last, ends[2];
    int thread = threadIdx.x, chunk = (levels + RANGE_THREADS - 1) / RANGE_THREADS;
    int begin = smaller(thread * chunk, levels), end = smaller(begin + chunk, levels);
    if (thread == 0) present = before_first = last = ends[0] = ends[1] = 0;
    __syncthreads();
    count own = 0, seen = 0;
    for (int level = begin; level < end; level++) {
        if (!weights[level]) continue;
        if (!seen++) atomicMax(&before_first, (count)(levels - level));
        atomicMax(&last, (count)level);
        own += weights[level];
    }
    if (seen) atomicAdd(&present, seen);
    sums[thread] = own;
    for (int reach = 1; reach < RANGE_THREADS; reach *= 2) {  // sums[t] becomes the sum up to and with t
        __syncthreads();
        count below = thread >= reach ? sums[thread - reach] : 0;
        __syncthreads();
        sums[thread] += below;
    }
    __syncthreads();
    if (present < 2) {
        if (thread == 0) range->contrast = 0;
        return;
    }
    int lowest = levels - (int)before_first, highest = (int)last;
    count total = sums[RANGE_THREADS - 1], running = sums[thread] - own;
    bool cut_low = weights[lowest] > flat * total, cut_high = weights[highest] > flat * total;
    if ((int)present - cut_low - cut_high < 2) cut_low = cut_high = false;
    if (cut_low && lowest < begin) running -= weights[lowest];
    if (cut_high && highest < begin) running -= weights[highest];
    double inner = total - (cut_low ? weights[lowest] : 0) - (cut_high ? weights[highest] : 0);
    for (int level = begin; level < end; level++) {
        bool cut = (cut_low && level == lowest) || (cut_high && level == highest);
        count next = running + (cut ? 0 : weights[level]);
        if (running < low * inner && next >= low * inner) ends[0] = level;
        if (running < high * inner && next >= high * inner) ends[1] = level;
        running = next;
    }
    __syncthreads();
    if (thread > 0) return;
    bool same = ends[0] == ends[1];
    range->low = values[same ? lowest : (int)ends[0]];
    range->high = values[same ? highest : (int)ends[1]];
    range->contrast = 1;
}

// table: modality values; sign: -1 where a higher one is displayed darker.
KERNEL gray_table(const float *table, const Range *range, byte *gray, int entries, int sign, int pad_first, int pad_last) {
    int entry = blockIdx.x * blockDim.x + threadIdx.x;
    if (entry >= entries) return;
    double level = 0.0;
    if (range->contrast && (entry < pad_first || entry > pad_last)) {
        level = (sign * (double)table[entry] - range->low) / (range->high - range->low);
        level = level < 0.0 ? 0.0 : (level > 1.0 ? 1.0 : level);
    }
    gray[entry] = (byte)(int)rint(level * 255.0);
}

// The whole image in canonical view, for the stages that run on the host.
KERNEL gray_image(Image image, const byte *table, byte *gray) {
    int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
    if (row >= rows_of(image) || column >= columns_of(image)) return;
    gray[(size_t)row * columns_of(image) + column] = table[entry_at(image, row, column)];
}
