"""`nociband bench kernels` counts what it says it counts: on programs whose every instruction and byte is known."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
from typer.testing import CliRunner

from nociband.errors import DataError, EnvironmentProblem, ModelError
from nociband_tools.bench import budgets, cycles, image, kernels, kernels_report, plot, qemu, shapes, windows
from nociband_tools.bench.cycles import Instruction
from nociband_tools.commands.bench import app
from nociband_tools.firmware import firmware_root

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, qemu.TOOLS)), reason="needs gcc, arm-none-eabi-gcc and qemu-system-arm: `nociband doctor` says how")
INCLUDES = '#include "nb_model.h"\n'

# Ten turns of a loop: 1 + 10 * 3 + 1 instructions, 9 branches taken.
LOOP = INCLUDES + dedent("""\
    __asm(".syntax unified\\n.thumb\\n.section .text.nb_model_run,\\"ax\\",%progbits\\n.global nb_model_run\\n"
          ".type nb_model_run, %function\\n.thumb_func\\nnb_model_run:\\n"
          "movs r2, #10\\n"
          "1: ldr r3, [r0]\\n"
          "subs r2, #1\\n"
          "bne 1b\\n"
          "bx lr\\n"
          ".size nb_model_run, . - nb_model_run\\n");
    """)
# Sizes known to the byte: a table in flash, a buffer in RAM, a frame on the stack, work in a function of its own.
SIZES = INCLUDES + dedent("""\
    static const uint8_t table[1200] = {1, 2, 3};
    static volatile uint8_t buffer[800];
    __attribute__((noinline)) static void work(volatile uint8_t *frame, unsigned first)
    {
        for (int i = 0; i < 1000; i++) {
            frame[i] = table[(first + (unsigned)i) % 1200u];
            buffer[i % 800] = frame[i];
        }
    }
    void nb_model_run(const int16_t x[NB_WINDOW_FRAMES][NB_FEATURES], int16_t logits[NB_MODEL_OUTPUTS_MAX])
    {
        volatile uint8_t frame[1000];
        work(frame, (unsigned)x[0][1]);
        for (unsigned i = 0; i < NB_MODEL_OUTPUTS_MAX; i++) {
            logits[i] = (int16_t)(x[0][0] + (int)i);
        }
    }
    """)


def _figures(text: str, into: Path, packing: str = "fast") -> dict:
    return kernels.figures(image.build_arm(text, packing, into), 100, windows.fixed())


def test_a_known_loop_is_counted_to_the_instruction_and_the_taken_branch(tmp_path: Path) -> None:
    f = _figures(LOOP, tmp_path)
    assert f["instructions_per_window"] == 32
    assert f["instructions_per_mac"] == 0.32
    # movs 1; ten loads of 2, subs and bne of 1, nine refills of P; bx 1 and a refill.
    assert [f["modelled_cycles"], f["modelled_cycles_range"]] == [42 + 10 * 2, [42 + 10, 42 + 10 * 3]]
    assert f["functions"] == {"nb_model_run": {"instructions": 32, "cycles": 62}}
    assert (f["text_bytes"], f["rodata_bytes"], f["ram_bytes"], f["stack_bytes"]) == (10, 0, 0, 0)


@pytest.mark.parametrize("packing", ["fast", pytest.param("small", marks=pytest.mark.slow)])
def test_flash_ram_and_stack_are_the_models_alone(packing: str, tmp_path: Path) -> None:
    f = _figures(SIZES, tmp_path, packing)
    assert f["rodata_bytes"] == 1200
    assert f["flash_bytes"] == f["text_bytes"] + 1200 and 50 < f["text_bytes"] < 400
    assert f["static_ram_bytes"] == 800
    assert 1000 <= f["stack_bytes"] < 1064
    assert f["ram_bytes"] == 800 + f["stack_bytes"]
    assert set(f["functions"]) == {"nb_model_run", "work"}      # a static function keeps its name
    assert f["functions"]["work"]["instructions"] > 4000


def test_the_model_sees_the_window_and_its_outputs_come_back(tmp_path: Path) -> None:
    built = image.build_arm(SIZES, "fast", tmp_path)
    x = windows.random_windows(7, seed=5)
    qemu.emulate(built.elf, kernels.load(x, tmp_path), tmp_path)
    _, found = kernels.results(tmp_path, len(x))
    assert found["logits"].tolist() == [(int(w[0, 0]) + np.arange(8)).astype(np.int16).tolist() for w in x]


def test_a_model_that_faults_is_an_error_and_not_a_figure(tmp_path: Path) -> None:
    text = INCLUDES + ("void nb_model_run(const int16_t x[NB_WINDOW_FRAMES][NB_FEATURES], int16_t logits[NB_MODEL_OUTPUTS_MAX])\n"
                       "{ (void)x; *(volatile int16_t *)0x60000001 = logits[0]; __asm volatile(\"udf #0\"); }\n")
    with pytest.raises(EnvironmentProblem, match="faulted"):
        _figures(text, tmp_path)


def test_c_that_does_not_compile_is_said_in_the_compilers_words(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="nonsense"):
        image.build_arm("int nonsense = ;\n", "fast", tmp_path)


def _cycles(*lines: str, times: int = 1) -> int:
    """Cycles of instructions that stand one behind the other and run as often, by the model."""
    program = {2 * i: Instruction(name, operands, 2)
               for i, (name, _, operands) in enumerate(line.partition(" ") for line in lines)}
    return sum(cycles.model(qemu.Counts(dict.fromkeys(program, times), {}), program).values())


@pytest.mark.parametrize("lines, expected", [
    (["ldr r0, [r1]"], 2),
    (["ldr r0, [r1]", "ldr r2, [r3]"], 3),                         # pipelined, the manual's own example
    (["ldr r0, [r1, r2]", "str r0, [r3, #20]"], 3),
    (["ldr r0, [r1, r2]", "str r1, [r3, r2]"], 3),
    (["ldr r0, [r1, r5]", "ldr r1, [r2]", "ldr r2, [r3, #4]"], 4),
    (["ldr r0, [r1]", "ldr r2, [r0]"], 4),                         # the address is what was loaded
    (["str r0, [r1, #4]", "ldr r2, [r3]"], 3),                     # nothing is pipelined behind a store
    (["str r0, [r1, r2]"], 2),
    (["ldmia r1!, {r2, r3, r4}"], 4),
    (["push {r4-r7, lr}"], 6),
    (["ldrd r0, r1, [r2]"], 3),
    (["vpush {d8-d9}"], 5),
    (["adds r1, #4", "ldr r0, [r1]"], 4),                          # the address waits for the addition
    (["adds r4, #4", "ldr r0, [r1]"], 3),
    (["smlad r0, r1, r2, r0", "ssat r0, #16, r0", "pkhbt r0, r0, r1, lsl #16"], 3),
    (["sdiv r0, r1, r2"], cycles.DIVISION),
])
def test_cycles_follow_the_manual(lines: list[str], expected: int) -> None:
    assert _cycles(*lines) == expected
    assert _cycles(*lines, times=7) == 7 * expected


def test_conditional_forms_are_told_from_others(tmp_path: Path) -> None:
    source = tmp_path / "forms.s"
    source.write_text(".syntax unified\n.thumb\n.cpu cortex-m4\nf:\ncmp r0, #0\nitt ne\nldrhne r1, [r2]\nstrne r1, [r3]\n"
                      "bls f\nbl f\nldrsh.w r1, [r2, r3, lsl #1]\nldmia.w sp!, {r4, pc}\n")
    qemu.run(["arm-none-eabi-gcc", *image.CPU, "-c", str(source), "-o", str(tmp_path / "forms.o")])
    names = [i.name for i in cycles.disassemble(tmp_path / "forms.o").values()]
    assert names == ["cmp", "itt", "ldrh", "str", "b", "bl", "ldrsh", "ldmia"]


def test_budgets_name_what_exceeds_them() -> None:
    limits = {"h32": {"int16x8": {"small": {"flash_bytes": 100, "ram_bytes": 10}}}, "h64": {"int8": {"fast": {"ram_bytes": 1}}}}
    checks = budgets.check({"h32": {"int16x8": {"small": {"flash_bytes": 101, "ram_bytes": 10}}}}, limits)
    assert [(c.what, c.key, c.kept) for c in checks] == [("h32 int16x8 small", "flash_bytes", False),
                                                        ("h32 int16x8 small", "ram_bytes", True)]


def test_the_committed_budgets_are_those_that_were_promised() -> None:
    limits = budgets.limits()
    fast, small = limits["h32"]["int16x8"]["fast"], limits["h32"]["int16x8"]["small"]
    assert fast["instructions_per_window"] <= 1_750_000 and fast["ram_bytes"] <= 12 << 10
    assert small["instructions_per_window"] <= 2_300_000 and small["flash_bytes"] <= 36 << 10
    assert limits["h64"]["int16x8"]["fast"]["instructions_per_window"] <= 6_500_000


def _document(instructions: int) -> dict:
    figures = {"macs": 100, "instructions_per_window": instructions, "instructions_per_mac": 1.0, "modelled_cycles": 3,
               "modelled_cycles_range": [2, 4], "flash_bytes": 5, "text_bytes": 3, "rodata_bytes": 2, "ram_bytes": 9,
               "static_ram_bytes": 8, "stack_bytes": 1, "functions": {
                   "eda_step": {"instructions": instructions - 30, "cycles": 2}, "emg_gather": {"instructions": 20, "cycles": 2},
                   "memcpy": {"instructions": 10, "cycles": 1}}}
    return {"h32": {"int16x8": {"fast": figures}}}


def test_earlier_figures_are_judged_shown_and_drawn_without_measuring(tmp_path: Path) -> None:
    within, beyond = tmp_path / "within.json", tmp_path / "beyond.json"
    for file, instructions in ((within, 1_750_000), (beyond, 1_750_001)):
        file.write_text(json.dumps({"format": kernels_report.FORMAT, "shapes": _document(instructions)}))
    picture, table = tmp_path / "k.png", tmp_path / "k.md"
    done = CliRunner().invoke(app, ["kernels", "--from", str(within), "--plot", str(picture), "--markdown", str(table)])
    assert done.exit_code == 0 and "EXCEEDED" not in done.output
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert f"| h32 int16x8 fast | 1,750,000 | {budgets.others()['h32']['instructions_per_window']:,} |" in table.read_text()
    done = CliRunner().invoke(app, ["kernels", "--from", str(beyond)])
    assert done.exit_code == 1 and "EXCEEDED" in done.output


def test_parts_add_up() -> None:
    functions = _document(100)["h32"]["int16x8"]["fast"]["functions"]
    assert plot.parts(functions) == {"LSTM": 70, "attention and pooling": 20, "head (int8: with attention)": 10}


@pytest.mark.parametrize("scheme", shapes.SCHEMES)
@pytest.mark.parametrize("shape", ["h32", "h64"])
def test_multiply_accumulates_are_those_of_the_frozen_table(shape: str, scheme: str) -> None:
    table = tomllib.loads((firmware_root() / "bench" / "shapes.toml").read_text())
    assert shapes.generate(shapes.graphs(shapes.folder_of(shape, scheme)), "fast").macs == table[shape]["macs"]


def test_the_committed_figures_are_whole_within_budget_and_what_the_guide_shows() -> None:
    results = firmware_root().parent / "docs" / "results"
    document = json.loads((results / "kernels.json").read_text())
    builds = {(s, q, b) for s, schemes in document["shapes"].items() for q, of in schemes.items() for b in of}
    assert builds == {(s, q, b) for s in shapes.SHAPES for q in shapes.SCHEMES for b in shapes.PACKINGS}
    assert (results / "kernels.md").read_text() == kernels_report.markdown(document)
    checks = budgets.check(document["shapes"], budgets.limits())
    assert len(checks) >= 6 and all(c.kept for c in checks)
    assert document["tflm"] == budgets.others()


def test_a_file_without_figures_is_refused(tmp_path: Path) -> None:
    for content in ("", "[]", '{"format": 0, "shapes": {}}'):
        (tmp_path / "x.json").write_text(content)
        with pytest.raises(DataError, match="measure again"):
            kernels_report.read(tmp_path / "x.json")


def test_a_shape_that_is_not_there_ends_with_status_1(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["kernels", "--shape", str(tmp_path), "--scheme", "int8"])
    assert done.exit_code == 1
    assert "has no eda.tflite, emg.tflite, head.tflite" in " ".join(done.output.split())


def test_a_picture_in_a_format_that_the_bench_does_not_draw_is_wrong_use(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["kernels", "--from", str(firmware_root().parent / "docs/results/kernels.json"), "--plot",
                                    str(tmp_path / "kernels.xyz")])
    assert done.exit_code == 2 and "ends neither in .png nor in .svg" in " ".join(done.output.replace("│", "").split())


def test_a_folder_of_the_other_scheme_is_not_taken_for_it() -> None:
    with pytest.raises(ModelError, match="of the scheme int8, not int16x8"):
        shapes.load(str(shapes.folder_of("h32", "int8")), "int16x8")


@pytest.mark.slow
def test_the_devices_model_gives_the_same_figures_twice() -> None:
    first, second = (kernels.measure("device", "int16x8", "small") for _ in range(2))
    assert first == second
    assert first["macs"] / 2 < first["instructions_per_window"] < 10 * first["macs"]
    assert sum(f["instructions"] for f in first["functions"].values()) == first["instructions_per_window"]
    assert sum(f["cycles"] for f in first["functions"].values()) == first["modelled_cycles"]
    assert first["instructions_per_window"] <= first["modelled_cycles"] < 3 * first["instructions_per_window"]
    assert "?" not in first["functions"]
