"""SCons rules: compile for the board's Cortex-M, link with ld/<board>.ld, write firmware.elf and firmware.bin."""

from os.path import join

from SCons.Script import Default, DefaultEnvironment

env = DefaultEnvironment()
board = env.BoardConfig()
machine = [f"-mcpu={board.get('build.cpu')}", "-mthumb", "-mfloat-abi=hard", f"-mfpu={board.get('build.fpu')}"]
prefix = "arm-none-eabi-"

env.Replace(
    AR=prefix + "gcc-ar", AS=prefix + "gcc", CC=prefix + "gcc", CXX=prefix + "g++", RANLIB=prefix + "gcc-ranlib",
    OBJCOPY=prefix + "objcopy", SIZETOOL=prefix + "size", PROGNAME="firmware", PROGSUFFIX=".elf",
    SIZEPROGREGEXP=r"^(?:\.vectors|\.text|\.data|\.ARM\.exidx)\s+([0-9]+).*",
    SIZEDATAREGEXP=r"^(?:\.data|\.bss|\.stack)\s+([0-9]+).*",
    SIZECHECKCMD="$SIZETOOL -A -d $SOURCES", SIZEPRINTCMD="$SIZETOOL -B -d $SOURCES",
)
env.Append(
    ASFLAGS=machine, ASPPFLAGS=["-x", "assembler-with-cpp"],
    CCFLAGS=[*machine, "-ffunction-sections", "-fdata-sections"],
    CPPDEFINES=[("F_CPU", "$BOARD_F_CPU")],
    LINKFLAGS=[*machine, "-nostartfiles", "--specs=nano.specs", "-Wl,--gc-sections", "-Wl,--fatal-warnings",
               "-Wl,-Map=" + join("$BUILD_DIR", "firmware.map")],
    LIBPATH=[join("$PROJECT_DIR", "ld")],
)
if not env.get("LDSCRIPT_PATH"):
    env.Replace(LDSCRIPT_PATH=board.get("build.ldscript"))

elf = env.BuildProgram()
binary = env.Command(join("$BUILD_DIR", "firmware.bin"), elf,
                     env.VerboseAction("$OBJCOPY -O binary $SOURCE $TARGET", "Building $TARGET"))
env.AddPlatformTarget("buildprog", binary, None, "Build")
env.AddPlatformTarget("size", elf, env.VerboseAction("$SIZEPRINTCMD", "Calculating size $SOURCE"), "Program size", "")
# `pio test` and `pio run -t upload` ask for an upload; QEMU loads the ELF itself.
env.AddPlatformTarget("upload", elf, env.VerboseAction(lambda **_: None, "Nothing to flash: QEMU loads $SOURCE"), "Upload", "")
Default([binary])
