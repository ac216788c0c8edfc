// The inputs that one launch makes: a detector's (preprocess.tf_resize) and a CT slice's (systems.fu2024).
#include "pixel.h"

// TensorFlow 1's asymmetric position.
INLINE Sample asymmetric_sample(int index, float ratio, int length) {
    float position = (float)index * ratio;
    int first = smaller((int)position, length - 1);
    return {first, smaller(first + 1, length - 1), position - (float)first};
}

// OpenCV's INTER_LINEAR: pixel centres meet, the border is repeated, positions are in double precision.
INLINE Sample centred_sample(int index, double ratio, int length) {
    double position = (index + 0.5) * ratio - 0.5;
    int first = (int)floor(position);
    if (first < 0) return {0, 0, 0.0f};
    if (first >= length - 1) return {length - 1, length - 1, 0.0f};
    return {first, first + 1, (float)(position - first)};
}

// Rows and columns that the image fills at the top left of a square; elsewhere is 0, the mean colour.
KERNEL detector_input(Image image, const byte *table, Output output, Channels channels, int size, int rows, int columns,
                      float row_ratio, float column_ratio) {
    int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
    if (row >= size || column >= size) return;
    size_t index = (size_t)row * size + column, plane = (size_t)size * size;
    if (row >= rows || column >= columns) {
        for (int channel = 0; channel < 3; channel++) store(output, channel * plane + index, 0.0f);
        return;
    }
    Sample down = asymmetric_sample(row, row_ratio, rows_of(image));
    Sample across = asymmetric_sample(column, column_ratio, columns_of(image));
    float upper = table[entry_at(image, down.first, across.first)];
    float lower = table[entry_at(image, down.second, across.first)];
    upper = upper + ((float)table[entry_at(image, down.first, across.second)] - upper) * across.weight;
    lower = lower + ((float)table[entry_at(image, down.second, across.second)] - lower) * across.weight;
    store_channels(output, channels, index, plane, (upper + (lower - upper) * down.weight) / 255.0f);
}

// table: each stored value through the Hounsfield window, 0 to 1.
KERNEL slice_input(Image image, const float *table, Output output, Channels channels, int rows, int columns,
                   double row_ratio, double column_ratio) {
    int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
    if (row >= rows || column >= columns) return;
    Sample down = centred_sample(row, row_ratio, rows_of(image));
    Sample across = centred_sample(column, column_ratio, columns_of(image));
    // As OpenCV does where the processor can: across, then down, each one fused multiplication and addition.
    float upper = table[entry_at(image, down.first, across.first)];
    float lower = table[entry_at(image, down.second, across.first)];
    upper = fmaf(table[entry_at(image, down.first, across.second)] - upper, across.weight, upper);
    lower = fmaf(table[entry_at(image, down.second, across.second)] - lower, across.weight, lower);
    float gray = fmaf(lower - upper, down.weight, upper);
    store_channels(output, channels, (size_t)row * columns + column, (size_t)rows * columns, gray);
}
