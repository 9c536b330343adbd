/* isa_scalar.c -- every kernel in portable C. */
#include "internal.h"
#include "simd/scalar.h"
#define FNN_ISA scalar
#include "kernels/templates.inc.h"
