"""sparring: generative adversarial networks trained under attack.

    import sparring
    run = sparring.train("robgan/digits", steps=200, out="runs/a")      # or sparring.load("runs/a")
    run.sample(16, label=3)
    sparring.attack(model, images, labels, "pgd", epsilon=8 / 255)
    sparring.robust_accuracy(model, images, labels, epsilons=["8/255"])
    sparring.from_pretrained("runs/a/exports/generator-hub")            # after `sparring export runs/a`

Everything the command line does is a function call; the pieces work on any `nn.Module` without our loop. Importing the
package alone does not import torch: what is below is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparring.export import from_pretrained
    from sparring.own_classifiers import attack, robust_accuracy
    from sparring.run import Run, load, resume, train

__version__ = "0.2.0.dev0"
__all__ = ["Run", "attack", "from_pretrained", "load", "resume", "robust_accuracy", "train"]

_MODULES = dict.fromkeys(("Run", "load", "resume", "train"), "sparring.run")
_MODULES |= dict.fromkeys(("attack", "robust_accuracy"), "sparring.own_classifiers")
_MODULES["from_pretrained"] = "sparring.export"


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(_MODULES[name]), name)
    if not name.startswith("_") and find_spec(f"sparring.{name}"):
        return import_module(f"sparring.{name}")
    from sparring.core.records import nearest

    close = nearest(name, __all__)
    raise AttributeError(f"sparring has no {name!r}; " + (f"did you mean {close}?" if close else ", ".join(__all__)))


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
