#include "catalogue.hpp"

namespace heads {

TEST_CASE("terms at tokens through heads are the reference's on their logits") {
    check_catalogue(distill_test::token_catalogue());
}

}  // namespace heads
