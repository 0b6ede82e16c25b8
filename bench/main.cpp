// One table of everything; google-benchmark's own flags choose (--benchmark_filter) and write JSON (--benchmark_out).
#include <cstdio>
#include <fstream>
#include <string>

#include "table.hpp"
#include "workload.hpp"

namespace {

std::string processor() {
    std::ifstream about("/proc/cpuinfo");
    for (std::string line; std::getline(about, line);)
        if (line.starts_with("model name")) return line.substr(line.find(": ") + 2);
    return "a processor that does not give its name";
}

const char* instruction_set_in_use() {
    switch (distill::simd::widest_supported()) {
        case distill::instruction_set::avx512:
            return "AVX-512";
        case distill::instruction_set::avx2:
            return "AVX2";
        case distill::instruction_set::baseline:
            return "the baseline instruction set";
    }
    return "";
}

#if defined(__clang__)
constexpr const char* compiler = "clang " __clang_version__;
#else
constexpr const char* compiler = "g++ " __VERSION__;
#endif

}  // namespace

int main(int argc, char** argv) {
    bench::add_objectives();
    bench::add_vocabularies();
    bench::add_element_types();
    bench::add_destinations();
    bench::add_rows();
    bench::add_threads();
    bench::add_fusion();
    bench::add_peers();
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    const std::string machine = processor();
    benchmark::AddCustomContext("processor", machine);
    benchmark::AddCustomContext("instruction set", instruction_set_in_use());
    benchmark::AddCustomContext("compiler", compiler);
    std::printf(
        "Loss and gradient, unless it says value, on %s with %s. x floor: the time, over that of g = z - w on the same\n"
        "buffers (a read of both for values, a copy where it says so). peak MB: memory beside the buffers.\n",
        machine.c_str(), instruction_set_in_use());
    bench::table lines({{"ns/entry", 10, 3}, {"GB/s", 8, 1}, {"x floor", 8, 2}, {"peak MB", 8, 1}});
    benchmark::RunSpecifiedBenchmarks(&lines);
    return 0;
}
