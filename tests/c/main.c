/* main.c -- the test program: every suite, or those named; --print-golden prints the hashes. */
#include "suites.h"

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--print-golden") == 0) {
        print_golden();
        return EXIT_SUCCESS;
    }
#define SUITE_POINTER(id) &suite_##id,
    const suite *const all[] = { SUITES(SUITE_POINTER) };
#undef SUITE_POINTER
    for (size_t s = 0; s < sizeof all / sizeof *all; s++) {
        bool wanted = argc <= 1;
        for (int i = 1; i < argc; i++)
            wanted |= strcmp(argv[i], all[s]->name) == 0;
        if (wanted)
            run_suite(all[s]);
    }
    return report();
}
