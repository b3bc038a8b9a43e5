"""PlatformIO platform of the emulated board: GCC for Arm, no framework, nothing to upload."""

import shutil

from platformio.public import PlatformBase


class Qemu_cortexmPlatform(PlatformBase):
    """A toolchain on PATH (Debian: gcc-arm-none-eabi) wins; without one PlatformIO fetches the registry's."""

    def is_embedded(self):
        return True

    def configure_default_packages(self, variables, targets):
        if shutil.which("arm-none-eabi-gcc"):
            self.packages.pop("toolchain-gccarmnoneeabi", None)
        return super().configure_default_packages(variables, targets)
