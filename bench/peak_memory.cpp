#include "peak_memory.hpp"

#include <malloc.h>
#include <fstream>
#include <limits>
#include <string>
#include <thread>

namespace bench {
namespace {

double megabytes_of(const std::string& field) {
    std::ifstream status("/proc/self/status");
    for (std::string name; status >> name;)
        if (name == field) {
            double kilobytes = 0.0;
            status >> kilobytes;
            return kilobytes / 1024.0;
        }
    return std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

double peak_megabytes(const std::function<void()>& call) {
    // What earlier calls freed is not at hand, nor hidden in another thread's arena.
    static const bool one_arena = mallopt(M_ARENA_MAX, 1) == 1;
    malloc_trim(0);
    if (std::ofstream reset("/proc/self/clear_refs"); !one_arena || !(reset << 5 << std::flush))
        return std::numeric_limits<double>::quiet_NaN();
    const double before = megabytes_of("VmRSS:");
    std::thread(call).join();
    return megabytes_of("VmHWM:") - before;
}

}  // namespace bench
