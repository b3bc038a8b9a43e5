"""The `nociband` command: finds the commands in nociband_tools/commands and turns errors into messages.

Each module there has `command`, a function that typer reads, or `app`, a typer application of its own (`nociband data list`); a
module imports what is heavy or optional inside it, so that `nociband --help` needs none of the extras. Exit status: 0 done, 1 the
answer is no, 2 wrong use or something is missing.
"""

from __future__ import annotations

import sys

try:
    import importlib
    import pkgutil

    import typer

    from nociband.errors import EnvironmentProblem, NocibandError
    from nociband_tools import commands
except KeyboardInterrupt:   # imports take a third of a second: whoever stops them wants no traceback
    sys.exit(130)

# Which extra brings a third-party module, for the message when it is missing.
EXTRA_OF = {
    "torch": "train", "scipy": "train", "tensorflow": "convert", "onnx": "convert", "onnx2tf": "convert", "mediapipe": "fusion",
    "cv2": "fusion", "skimage": "fusion", "fastapi": "monitor", "uvicorn": "monitor", "bumble": "sim", "ai_edge_litert": "sim",
    "platformio": "sim", "pooch": "sim", "requests": "sim", "sklearn": "train",
    "threadpoolctl": "train", "matplotlib": "train", "jinja2": "train", "tensorboard": "train", "ray": "ray",
}


def build_app() -> typer.Typer:
    """The typer application with every command module registered under its name."""
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                      help="Nociband: tools for a pain-monitoring research wristband. Not a medical device.")
    app.callback()(lambda: None)  # keeps one command from becoming the whole application
    for module in sorted(pkgutil.iter_modules(commands.__path__), key=lambda m: m.name):
        target = importlib.import_module(f"{commands.__name__}.{module.name}")
        name = module.name.replace("_", "-")
        if hasattr(target, "app"):
            app.add_typer(target.app, name=name)
        else:
            app.command(name)(target.command)
    return app


def main() -> None:
    """Entry point of the console script."""
    try:
        build_app()()
    except EnvironmentProblem as e:
        sys.exit(_say(e, 2))
    except NocibandError as e:
        sys.exit(_say(e, 1))
    except OSError as e:        # the machine's trouble, not a fault of ours: a full disk, a folder that may not be written
        sys.exit(_say(f"{e.filename or 'this machine'}: {e.strerror or e}", 2))
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError as e:
        extra = EXTRA_OF.get((e.name or "").split(".")[0])
        if extra is None:
            raise
        sys.exit(_say(f"this command needs the package {e.name}: pip install 'nociband[{extra}]' (or `make setup`)", 2))


def _say(message: object, status: int) -> int:
    print(f"nociband: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    main()
