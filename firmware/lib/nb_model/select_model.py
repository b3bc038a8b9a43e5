"""PlatformIO pre script of nb_model: which generated model the image carries.

NOCIBAND_MODEL (a name under firmware/models or a path to a model's folder) goes before `custom_model` of platformio.ini.
Defines NB_MODEL_SOURCE, and NB_MODEL_DIGEST so that a changed model is compiled anew: SCons cannot see through the include.
"""

import hashlib
import os
import sys
from pathlib import Path

Import("env")  # noqa: F821  (SCons puts it here)


def model_folder(project: Path, chosen: str) -> Path:
    """The folder of the chosen model; exits with what there is when it is not one."""
    models = project / "models"
    folder = models / chosen if "/" not in chosen else Path(chosen).expanduser().resolve()
    if not (folder / "nb_model_data.c").is_file():
        known = ", ".join(sorted(p.parent.name for p in models.glob("*/nb_model_data.c"))) or "none yet"
        sys.exit(f"no model '{chosen}': {folder}/nb_model_data.c does not exist. Models here: {known}")
    return folder


chosen = os.environ.get("NOCIBAND_MODEL") or env.GetProjectOption("custom_model")  # noqa: F821
folder = model_folder(Path(env.subst("$PROJECT_DIR")), chosen)  # noqa: F821
sources = sorted([*folder.glob("*.c"), *folder.glob("*.h")])
digest = hashlib.sha256(b"".join(p.read_bytes() for p in sources)).hexdigest()
env.Append(CPPDEFINES=[("NB_MODEL_SOURCE", env.StringifyMacro(str(folder / "nb_model_data.c"))),  # noqa: F821
                       ("NB_MODEL_DIGEST", f"0x{digest[:8]}u")])
