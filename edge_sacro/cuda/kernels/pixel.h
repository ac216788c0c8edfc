// What every kernel shares: how a pixel is read, ordered, reduced and written.
//
// The NumPy functions of edge_sacro/preprocess specify every result. Arithmetic is IEEE 754 in the order that they round
// in, so it must be compiled without contraction (nvcc and NVRTC: -fmad=false; g++: -ffp-contract=off). Reductions over
// pixels are of integers alone, so that no order of threads can change a result.
#pragma once

#define KERNEL extern "C" __global__ void
#define INLINE static __device__ __forceinline__

typedef unsigned char byte;
typedef unsigned short word;
typedef unsigned int count;

enum StoredType { UINT8, INT8, UINT16, INT16, INT32 };
enum OutputType { FLOAT32, FLOAT16, INT8_LINEAR };

// A radiograph as its sender stored it, and the way from there to the canonical view: transpose, then mirror columns,
// then invert rows. Entry e of a table belongs to the stored value first + e.
struct Image {
    const void *pixels;
    int type, first, entries;
    int rows, columns;  // as stored
    int transposed, mirrored, inverted;
};

// Where a network's input goes. step is the size of one level of INT8_LINEAR.
struct Output {
    void *data;
    int type;
    float step;
};

struct Sample {  // the two neighbours that a position lies between, and the weight of the second
    int first, second;
    float weight;
};

INLINE int smaller(int a, int b) { return a < b ? a : b; }
INLINE int larger(int a, int b) { return a > b ? a : b; }
INLINE int clamped(int value, int length) { return smaller(larger(value, 0), length - 1); }
INLINE int rows_of(const Image &image) { return image.transposed ? image.columns : image.rows; }
INLINE int columns_of(const Image &image) { return image.transposed ? image.rows : image.columns; }

#ifndef PIXEL_READ
#define PIXEL_READ(index)  // a test counts here
#endif

INLINE int stored_value(const Image &image, size_t index) {
    PIXEL_READ(index);
    switch (image.type) {
        case UINT8: return ((const byte *)image.pixels)[index];
        case INT8: return ((const signed char *)image.pixels)[index];
        case UINT16: return ((const word *)image.pixels)[index];
        case INT16: return ((const short *)image.pixels)[index];
        default: return ((const int *)image.pixels)[index];
    }
}

// Table entry of a pixel in canonical view. A value that no table has an entry for is refused when the image is loaded;
// the clamp keeps the read inside the table until then.
INLINE int entry_at(const Image &image, int row, int column) {
    row = image.inverted ? rows_of(image) - 1 - row : row;
    column = image.mirrored ? columns_of(image) - 1 - column : column;
    size_t index = image.transposed ? (size_t)column * image.columns + row : (size_t)row * image.columns + column;
    return clamped(stored_value(image, index) - image.first, image.entries);
}

INLINE count bits_of(float value) {
    union { float number; count bits; } both;
    both.number = value;
    return both.bits;
}

INLINE float float_of(count bits) {
    union { float number; count bits; } both;
    both.bits = bits;
    return both.number;
}

// Unsigned keys in the order of the floats, so that integer atomics find a minimum and a maximum.
INLINE count key_of(float value) {
    count bits = bits_of(value);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

INLINE float float_of_key(count key) { return float_of(key & 0x80000000u ? key & 0x7fffffffu : ~key); }

// Lowest and highest key of many: bounds[0] is the complement of the lowest, so that both begin at 0.
INLINE count lowest_key(const count *bounds) { return ~bounds[0]; }
INLINE count highest_key(const count *bounds) { return bounds[1]; }

// Every thread of the block takes part, with the least and the most of its keys; ~0 and 0 where it has none.
INLINE void extend_bounds(count *bounds, count *shared, count least, count most) {
    int thread = threadIdx.y * blockDim.x + threadIdx.x;
    if (thread < 2) shared[thread] = 0;
    __syncthreads();
    atomicMax(&shared[0], ~least);
    atomicMax(&shared[1], most);
    __syncthreads();
    if (thread < 2) atomicMax(&bounds[thread], shared[thread]);
}

// preprocess.intensity.zero_to_one
INLINE float zero_to_one(float value, float low, float high) {
    if (low == high) return value < 0.0f ? 0.0f : (value > 1.0f ? 1.0f : value);
    return (value - low) / (high - low);
}

// Round half to even, as IEEE 754 converts binary32 to binary16.
INLINE word half_of(float value) {
    count bits = bits_of(value), sign = (bits >> 16) & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return (word)(sign | 0x7e00u);
    if (magnitude >= 0x477ff000u) return (word)(sign | 0x7c00u);
    if (magnitude < 0x33000001u) return (word)sign;
    count exponent = magnitude >> 23, kept, rest, half_way;
    if (exponent < 113) {  // subnormal: the implied bit moves behind the point
        count shift = 126 - exponent, mantissa = (magnitude & 0x7fffffu) | 0x800000u;
        kept = mantissa >> shift;
        rest = mantissa & ((1u << shift) - 1);
        half_way = 1u << (shift - 1);
    } else {
        kept = (magnitude - 0x38000000u) >> 13;
        rest = magnitude & 0x1fffu;
        half_way = 0x1000u;
    }
    if (rest > half_way || (rest == half_way && (kept & 1u))) kept++;
    return (word)(sign | kept);
}

INLINE void store(const Output &output, size_t index, float value) {
    if (output.type == FLOAT32) {
        ((float *)output.data)[index] = value;
    } else if (output.type == FLOAT16) {
        ((word *)output.data)[index] = half_of(value);
    } else {
        float level = rintf(value / output.step);
        level = level < -128.0f ? -128.0f : (level > 127.0f ? 127.0f : level);
        ((signed char *)output.data)[index] = (signed char)(int)level;
    }
}

// preprocess.imagenet and tf_resize: three equal channels, each with its mean and standard deviation.
struct Channels {
    float mean[3], deviation[3];
};

INLINE void store_channels(const Output &output, const Channels &channels, size_t index, size_t plane, float gray) {
    for (int channel = 0; channel < 3; channel++)
        store(output, channel * plane + index, (gray - channels.mean[channel]) / channels.deviation[channel]);
}
