// Memory whose access ends the program: what is not to be read or written stands there.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>

namespace conformance {

// `count` pages of zeros, each of which can be made unreadable.
class pages {
public:
    explicit pages(std::size_t count)
        : count_(count), memory_(mmap(nullptr, count * size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
        if (memory_ == MAP_FAILED) std::abort();
    }
    pages(const pages&) = delete;
    pages& operator=(const pages&) = delete;
    ~pages() { munmap(memory_, count_ * size()); }

    static std::size_t size() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

    // Elements of a type per page.
    template <class Element>
    static std::ptrdiff_t length() {
        return static_cast<std::ptrdiff_t>(size() / sizeof(Element));
    }

    template <class Element>
    Element* begin(std::size_t page) {
        return reinterpret_cast<Element*>(static_cast<std::byte*>(memory_) + page * size());
    }

    void forbid(std::size_t page) {
        if (mprotect(begin<std::byte>(page), size(), PROT_NONE) != 0) std::abort();
    }

private:
    std::size_t count_;
    void* memory_;
};

// `count` elements between two forbidden pages: the end of the block is the end of the readable page.
template <class Element>
class fenced {
public:
    explicit fenced(std::ptrdiff_t count)
        : inside_((static_cast<std::size_t>(count) * sizeof(Element) + pages::size() - 1) / pages::size()),
          pages_(inside_ + 2),
          count_(count) {
        pages_.forbid(0);
        pages_.forbid(inside_ + 1);
    }
    // Ends where the readable memory ends.
    Element* at_the_end() { return pages_.begin<Element>(inside_ + 1) - count_; }
    // Begins where the readable memory begins.
    Element* at_the_beginning() { return pages_.begin<Element>(1); }

private:
    std::size_t inside_;
    pages pages_;
    std::ptrdiff_t count_;
};

}  // namespace conformance
