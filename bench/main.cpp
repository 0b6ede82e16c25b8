// One table of everything; google-benchmark's own flags choose (--benchmark_filter) and write JSON (--benchmark_out).
#include <cstdio>

#include "workload.hpp"

namespace {

// One line per benchmark: its name, time and traffic per entry, and the ratio to the floor of the same run.
class table : public benchmark::BenchmarkReporter {
public:
    bool ReportContext(const Context&) override {
        std::printf("%-48s %10s %8s %8s\n", "loss and gradient, unless it says value", "ns/entry", "GB/s", "x floor");
        return true;
    }
    void ReportRuns(const std::vector<Run>& runs) override {
        for (const Run& run : runs) {
            if (run.error_occurred) {
                std::printf("%-48s %s\n", name_of(run).c_str(), run.error_message.c_str());
                continue;
            }
            std::printf("%-48s %10.3f %8.1f %8.2f\n", name_of(run).c_str(), run.counters.at("ns/entry").value,
                        run.counters.at("GB/s").value, run.counters.at("x floor").value);
            std::fflush(stdout);
        }
    }

private:
    static std::string name_of(const Run& run) { return run.run_name.function_name; }
};

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
    table lines;
    benchmark::RunSpecifiedBenchmarks(&lines);
    return 0;
}
