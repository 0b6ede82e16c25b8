// The unit that is compiled for any processor, and calls the other where it is told that the processor will do.
#include "units.hpp"

#include <cmath>
#include <cstdio>
#include <cstring>

unit wide_unit();

namespace {

int failures = 0;

void check(bool holds, const char* what) {
    if (!holds) ++failures, std::printf("does not hold: %s\n", what);
}

void ignore(const char*) {}

// The message of the exception that the unit throws.
bool refuses(const unit& u) {
    try {
        u.refused();
    } catch (const distill::invalid_input& e) {
        return std::strstr(e.what(), "distill: jensen_shannon: teacher_weight") == e.what();
    }
    return false;
}

}  // namespace

int main(int arguments, char**) {
    const unit plain = this_unit();
    check(plain.loss() > 0.0, "a loss of the plain unit");
    check(refuses(plain), "what the plain unit throws is invalid_input");
    if (arguments > 1) {
        const unit wide = wide_unit();
        check(std::abs(wide.loss() - plain.loss()) < 1e-4, "both units have the same loss");
        check(refuses(wide), "what the wide unit throws is invalid_input here");
        wide.set_handler(&ignore);
        check(plain.set_handler(nullptr) == &ignore, "the error handler is one for both units");
    }
    return failures;
}
