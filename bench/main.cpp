// One table of everything; google-benchmark's own flags choose (--benchmark_filter) and write JSON (--benchmark_out).
#include <cstdio>
#include <fstream>
#include <string>

#include "peers/peer.hpp"
#include "table.hpp"
#include "workload.hpp"

namespace {

// What the system says of the processor; empty where it does not.
std::string about_processor(const std::string& field) {
    std::ifstream about("/proc/cpuinfo");
    for (std::string line; std::getline(about, line);)
        if (line.starts_with(field + "\t") && line.find(": ") != std::string::npos) return line.substr(line.find(": ") + 2);
    return {};
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
    bench::add_heads();
    bench::add_math();
    bench::add_peers();
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    const std::string name = about_processor("model name"), machine = name.empty() ? "a processor without a name" : name;
    benchmark::AddCustomContext("processor", machine);
    // The names of virtual machines' processors say little.
    benchmark::AddCustomContext("model", "family " + about_processor("cpu family") + ", model " + about_processor("model"));
    benchmark::AddCustomContext("instruction set", instruction_set_in_use());
    benchmark::AddCustomContext("compiler", compiler);
    benchmark::AddCustomContext("flags", DISTILL_BENCH_FLAGS);
    benchmark::AddCustomContext("peer rows", std::to_string(bench::peer_rows));
    std::printf(
        "Loss and gradient, unless it says value, on %s with %s, by %s %s.\n"
        "Times are medians over calls; of several repetitions, the median, and the range of the ratio.\n"
        "x floor: the time over that of the floor before and after it. The floor is g = z - w on the same float buffers, "
        "unless\n"
        "the line's end says otherwise. x distill: the time over that of the library's own call before and after it.\n"
        "peak MB: memory beside the buffers.\n",
        machine.c_str(), instruction_set_in_use(), compiler, DISTILL_BENCH_FLAGS);
    bench::table lines({{"ns/entry", 10, 3},
                        {"us/call", 10, 2},
                        {"x floor", 8, 2, true},
                        {"x distill", 9, 2, true},
                        {"peak MB", 8, 1},
                        {"worst ulp", 9, 1}});
    benchmark::RunSpecifiedBenchmarks(&lines);
    return 0;
}
