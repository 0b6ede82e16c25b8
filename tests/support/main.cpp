// The test program's main: doctest, and the seed of every randomised test in the log.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <support/random.hpp>

#include <cstdio>

int main(int argc, char** argv) {
    std::printf("seed %u (set DISTILL_TEST_SEED to repeat another)\n", distill_test::seed());
    std::fflush(stdout);
    doctest::Context context(argc, argv);
    return context.run();
}
