/* dispatch.c -- which instruction set computes: detected once, FASTNN_ISA overrides. */
#include "internal.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[FNN_NISA] = {
    [FNN_SCALAR] = "scalar", [FNN_NEON] = "neon", [FNN_AVX2] = "avx2", [FNN_AVX512] = "avx512",
};

/* The set in use, or one of these. */
enum { UNDECIDED = -1, NONE = FNN_NISA };
static _Atomic int current = UNDECIDED;

const char *fnn_isa_name(fnn_isa isa)
{
    return isa >= 0 && isa < FNN_NISA ? names[isa] : "none";
}

/* GCC's and Clang's check covers the operating system's part too (XGETBV). */
int fnn_isa_available(fnn_isa isa)
{
    switch (isa) {
    case FNN_SCALAR: return 1;
#ifdef FNN_AARCH64
    case FNN_NEON: return 1;
#endif
#ifdef FNN_X86
    case FNN_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case FNN_AVX512:
        return fnn_isa_available(FNN_AVX2) && __builtin_cpu_supports("avx512f")
            && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")
            && __builtin_cpu_supports("avx512vl");
#endif
    default: return 0;
    }
}

static int choose(void)
{
    const char *wanted = getenv("FASTNN_ISA");
    for (int isa = FNN_NISA - 1; isa >= 0; isa--)
        if (fnn_isa_available((fnn_isa)isa)
            && (!wanted || !*wanted || strcmp(wanted, names[isa]) == 0))
            return isa;
    return NONE;
}

/* Two threads that come here first both find the same answer. */
fnn_isa fnn_get_isa(void)
{
    int isa = atomic_load_explicit(&current, memory_order_relaxed);
    if (isa == UNDECIDED) {
        isa = choose();
        atomic_store_explicit(&current, isa, memory_order_relaxed);
    }
    return (fnn_isa)isa;
}

fnn_status fnn_set_isa(fnn_isa isa)
{
    if (!fnn_isa_available(isa))
        return FNN_EISA;
    atomic_store_explicit(&current, (int)isa, memory_order_relaxed);
    return FNN_OK;
}

const fnn_kernels *fnn_kernels_of(fnn_isa isa)
{
    if (!fnn_isa_available(isa))
        return NULL;
    switch (isa) {
#ifdef FNN_X86
    case FNN_AVX512: return fnn_kernels_avx512;
    case FNN_AVX2: return fnn_kernels_avx2;
#endif
#ifdef FNN_AARCH64
    case FNN_NEON: return fnn_kernels_neon;
#endif
    default: return fnn_kernels_scalar;
    }
}

const fnn_kernels *fnn_kernels_for(fnn_dtype dt)
{
    const fnn_isa isa = fnn_get_isa();
    switch ((int)isa) {
    case NONE: return NULL;
#ifdef FNN_X86
    case FNN_AVX512: return &fnn_kernels_avx512[dt];
    case FNN_AVX2: return &fnn_kernels_avx2[dt];
#endif
#ifdef FNN_AARCH64
    case FNN_NEON: return &fnn_kernels_neon[dt];
#endif
    default: return &fnn_kernels_scalar[dt];
    }
}

fnn_status fnn_fma_burst(fnn_dtype dt, ptrdiff_t iterations, double *flops)
{
    const fnn_kernels *kn = fnn_kernels_for(dt);
    if (!kn)
        return FNN_EISA;
    *flops = kn->fma_burst(iterations);
    return FNN_OK;
}
