"""Named random streams: every draw is a function of (seed, stream, number) and of nothing else.

No stream has a state that outlives a round, so a resumed run draws what an undisturbed one would have drawn, and
turning one consumer on (an adversary, say) does not shift another's draws (the latents').
"""

from sparring.core.randomness.hashing import derive, hashed_uniform
from sparring.core.randomness.rng import WHOLE, Counted, Index, Part, Rng, Seeded
from sparring.core.randomness.streams import Streams

__all__ = ["WHOLE", "Counted", "Index", "Part", "Rng", "Seeded", "Streams", "derive", "hashed_uniform"]
