/* isa_avx512.c -- every kernel for AVX-512 (F, DQ, BW, VL). */
#include "internal.h"
#ifdef FNN_X86
#include <immintrin.h>
FNN_TARGET_BEGIN("avx2,fma,avx512f,avx512dq,avx512bw,avx512vl")
#include "simd/avx512.h"
#define FNN_ISA avx512
#include "kernels/templates.inc.h"
FNN_TARGET_END
#endif
