/* isa_avx2.c -- every kernel for AVX2 with FMA. */
#include "internal.h"
#ifdef FNN_X86
#include <immintrin.h>
FNN_TARGET_BEGIN("avx2,fma")
#include "simd/avx2.h"
#define FNN_ISA avx2
#include "kernels/templates.inc.h"
FNN_TARGET_END
#endif
