// The benchmarks of the CUDA backend: a table, and JSON; google-benchmark's own flags choose (--benchmark_filter) and write
// (--benchmark_out).
#include "../table.hpp"
#include "workload.cuh"

#include <cstdio>
#include <string>
#include <type_traits>

namespace {

template <class Element>
std::string name_of() {
    if constexpr (std::is_same_v<Element, float>) return "float";
    return std::is_same_v<Element, __half> ? "half" : "bfloat16";
}

template <class Element>
void add_type() {
    const std::string type = name_of<Element>();
    for (const std::size_t vocabulary : {1000, 32000, 128256, 151936, 262144})
        for (const std::size_t rows : {1, 8, 64, 1024, 4096}) {
            bench::add_objectives<Element>(type, {rows, vocabulary});
            bench::add_peers<Element>(type, {rows, vocabulary});
        }
}

std::string version(int number) { return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10); }

// The device's name and what it has; what CUDA says against it is thrown.
std::string about_device() {
    int number = 0, driver = 0;
    cudaDeviceProp about{};
    bench::check(cudaGetDevice(&number));
    bench::check(cudaGetDeviceProperties(&about, number));
    bench::check(cudaDriverGetVersion(&driver));
    bench::workload<float>::shared({1, 1000});  // its kernel runs here
    return std::string(about.name) + ", compute capability " + std::to_string(about.major) + "." +
           std::to_string(about.minor) + ", " + std::to_string(about.multiProcessorCount) + " multiprocessors, " +
           std::to_string(about.totalGlobalMem >> 30) + " GiB, driver for CUDA " + version(driver) + ", built with CUDA " +
           version(CUDART_VERSION);
}

}  // namespace

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    std::string device;
    try {
        device = about_device();
    } catch (const std::exception& failure) {
        std::printf("nothing is measured: no CUDA device here runs these benchmarks: %s\n", failure.what());
        return 77;
    }
    benchmark::AddCustomContext("device", device);
    std::printf(
        "Loss and gradient on %s.\n"
        "GB/s: every input read once and the gradient written once. of copy: that speed over that of a copy from device to "
        "device,\n"
        "of the same buffers in the same run.\n",
        device.c_str());
#define DISTILL_ADD_TYPE(Element) add_type<Element>();
    DISTILL_FOR_EACH_ELEMENT(DISTILL_ADD_TYPE)
    bench::table lines({{"us/call", 10, 1}, {"ns/entry", 10, 4}, {"GB/s", 8, 0}, {"of copy", 8, 2}});
    benchmark::RunSpecifiedBenchmarks(&lines);
    bench::workload_in_memory.reset();
    return 0;
}
