/* isa_neon.c -- every kernel for aarch64 NEON, which every aarch64 machine has. */
#include "internal.h"
#ifdef FNN_AARCH64
#include <arm_neon.h>
#include "simd/neon.h"
#define FNN_ISA neon
#include "kernels/templates.inc.h"
#endif
