// The second of two translation units that include every header.
#include <all_headers.hpp>

distill::error_handler handler_in_the_other_unit();

// Takes the handler that is set, and puts the default one in its place.
distill::error_handler handler_in_the_other_unit() { return distill::set_error_handler(nullptr); }
