// One table of everything; google-benchmark's own flags choose (--benchmark_filter) and write JSON (--benchmark_out).
#include <cstdio>
#include <fstream>
#include <string>

#include "workload.hpp"

namespace {

// A question is what stands before the slash of a benchmark's name.
class table : public benchmark::BenchmarkReporter {
public:
    bool ReportContext(const Context&) override { return true; }
    void ReportRuns(const std::vector<Run>& runs) override {
        for (const Run& run : runs) {
            if (run.run_type == Run::RT_Aggregate) continue;
            const std::string& name = run.run_name.function_name;
            const std::size_t slash = name.find('/');
            if (const std::string question = name.substr(0, slash); question != question_) {
                std::printf("\n%-44s %10s %8s %8s %8s\n", question.c_str(), "ns/entry", "GB/s", "x floor", "peak MB");
                question_ = question;
            }
            const std::string variant = "  " + name.substr(slash + 1);
            if (run.error_occurred) {
                std::printf("%-44s %s\n", variant.c_str(), run.error_message.c_str());
                continue;
            }
            std::printf("%-44s %10.3f %8.1f %8.2f %8.1f\n", variant.c_str(), run.counters.at("ns/entry").value,
                        run.counters.at("GB/s").value, run.counters.at("x floor").value, run.counters.at("peak MB").value);
            std::fflush(stdout);
        }
    }

private:
    std::string question_;
};

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
    table lines;
    benchmark::RunSpecifiedBenchmarks(&lines);
    return 0;
}
