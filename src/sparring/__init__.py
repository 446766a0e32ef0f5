"""sparring: generative adversarial networks trained under attack.

Everything the command line does is a function call; the pieces work on any `nn.Module` without our loop:

    from sparring.recipes import load
    from sparring.training.loop import train
    train(load("dishonest/ring-small", ["steps=1000"]), Path("runs/ring"))
"""

__version__ = "0.2.0.dev0"
