// The first of two translation units that include every header.
#include <all_headers.hpp>
#include <cstdio>

distill::error_handler handler_in_the_other_unit();

namespace {
void handler(const char*) {}
}  // namespace

// What the library keeps is one object in the whole program: a handler that is set here is the one found there.
int main() {
    distill::set_error_handler(&handler);
    if (handler_in_the_other_unit() == &handler) return 0;
    std::puts("the two translation units have an error handler each");
    return 1;
}
