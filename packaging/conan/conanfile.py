import re
from pathlib import Path

from conan import ConanFile
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load


class Distill(ConanFile):
    name = "distill"
    description = "Distillation objectives for language models, header-only C++20"
    license = "Apache-2.0"
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"core_only": [True, False]}
    default_options = {"core_only": False}
    generators = "CMakeDeps"

    def set_version(self):
        project = load(self, self._checkout / "CMakeLists.txt")
        self.version = re.search(r"^project\(distill VERSION (\S+)", project, re.MULTILINE).group(1)

    def export_sources(self):
        for pattern in ("CMakeLists.txt", "LICENSE", "cmake/*", "include/*"):
            copy(self, pattern, self._checkout, self.export_sources_folder)

    def layout(self):
        cmake_layout(self)

    def requirements(self):
        if not self.options.core_only:
            self.requires("eigen/[>=3.4 <4]")

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables |= {"DISTILL_INSTALL": True, "DISTILL_TESTS": False, "DISTILL_EXAMPLES": False,
                                      "DISTILL_CORE_ONLY": bool(self.options.core_only)}
        toolchain.generate()

    def build(self):
        CMake(self).configure()

    def package(self):
        CMake(self).install()
        copy(self, "LICENSE", self.source_folder, Path(self.package_folder) / "licenses")

    def package_id(self):
        self.info.settings.clear()
        self.info.requires.clear()

    def package_info(self):
        # Consumers find the package's own distill-config.cmake, with its two targets.
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = ["share/cmake/distill"]
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []

    @property
    def _checkout(self):
        return Path(self.recipe_folder).parents[1]
