"""`nociband simulate FILE.npz`: one made-up person's signals with everything that was simulated written down beside them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer


def command(
    file: Annotated[Path, typer.Argument(help="where to write it: NAME.npz; one that is there is never overwritten")],
    seconds: Annotated[float, typer.Option(min=1, max=7200, help="how long")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="same seed and subject, same recording")] = 1,
    subject: Annotated[str, typer.Option(help="another name, another person")] = "S01",
    ecg: Annotated[bool, typer.Option("--ecg", help="add an electrocardiogram")] = False,
    trapezius: Annotated[bool, typer.Option("--trapezius", help="add a third muscle")] = False,
    habituation: Annotated[bool, typer.Option("--habituation", help="let skin conductance responses shrink over trials")] = False,
    tonic: Annotated[bool, typer.Option("--tonic", help="let the skin conductance level drift and rise; tonic stimuli")] = False,
    artefacts: Annotated[bool, typer.Option("--artefacts", help="movement and lost contacts, as when worn at home")] = False,
) -> None:
    """Simulate a person in pain: EDA, EMG, acceleration. Synthetic: no person was measured. `nociband emulate --source FILE`
    replays it."""
    from nociband.signals import simulator
    from nociband.signals.simulator.export import save

    options = simulator.Options(
        protocol=simulator.Protocol(tonic_every=2 if tonic else 0), ecg=ecg, trapezius=trapezius, habituation=habituation,
        tonic=tonic, artefacts=simulator.Artefacts.ambulatory() if artefacts else simulator.Artefacts())
    script = simulator.draw(seconds, seed, subject, options)
    file.parent.mkdir(parents=True, exist_ok=True)
    save(file, script, simulator.render(script, seed), seed)
    typer.echo(f"{file}: {seconds:g} s of {subject}, seed {seed}; synthetic, no person was measured")
    for title, names in (("stimuli", [e.label for e in script.stimuli]), ("artefacts", [a.kind for a in script.artefacts])):
        typer.echo(f"  {title}: " + (", ".join(f"{n} x {name}" for name, n in sorted(Counter(names).items())) or "none"))
