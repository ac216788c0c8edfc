// Every kernel, in one program.
#include "normalise.cu"
#include "segmenter.cu"
#include "contrast.cu"
#include "squish.cu"
#include "bilinear.cu"
