"""Twenty-six kinds of noise that machines make, as factors on the latencies of rounds played one after the other."""

import math
import random
from collections.abc import Callable

#: Factors of so many rounds, in the order in which they are played.
Noise = Callable[[int, random.Random], list[float]]


def even(spread: float) -> Noise:
    return lambda n, lot: [math.exp(lot.gauss(0, spread)) for _ in range(n)]


def heavy(n: int, lot: random.Random) -> list[float]:
    """Student's t with two degrees of freedom: no variance."""
    return [math.exp(0.05 * lot.gauss(0, 1) / math.sqrt(lot.gammavariate(1, 1))) for _ in range(n)]


def cauchy(n: int, lot: random.Random) -> list[float]:
    return [math.exp(max(-3.0, min(3.0, 0.05 * math.tan(math.pi * (lot.random() - 0.5))))) for _ in range(n)]


def outliers(share: float, factor: float) -> Noise:
    return lambda n, lot: [math.exp(lot.gauss(0, 0.05)) * (factor if lot.random() < share else 1) for _ in range(n)]


def drifting(by: float) -> Noise:
    return lambda n, lot: [math.exp(lot.gauss(0, 0.05) + by * k / n) for k in range(n)]


def stepping(by: float) -> Noise:
    def factors(n: int, lot: random.Random) -> list[float]:
        at = lot.randrange(n)
        return [math.exp(lot.gauss(0, 0.05) + (by if k >= at else 0)) for k in range(n)]

    return factors


def correlated(rho: float, spread: float) -> Noise:
    def factors(n: int, lot: random.Random) -> list[float]:
        at, found = lot.gauss(0, spread), []
        for _ in range(n):
            at = rho * at + math.sqrt(1 - rho * rho) * lot.gauss(0, spread)
            found.append(math.exp(at))
        return found

    return factors


def wandering(step: float) -> Noise:
    def factors(n: int, lot: random.Random) -> list[float]:
        at, found = 0.0, []
        for _ in range(n):
            at += lot.gauss(0, step)
            found.append(math.exp(at))
        return found

    return factors


def later_is_slower(by: float) -> Noise:
    """The second round of each pair is slower: it runs on what the first one left."""
    return lambda n, lot: [math.exp(lot.gauss(0, 0.05) + (by if k % 2 else 0)) for k in range(n)]


def periodic(period: float, by: float) -> Noise:
    def factors(n: int, lot: random.Random) -> list[float]:
        phase = lot.random() * period
        return [math.exp(lot.gauss(0, 0.05)) * (1 + by if (k + phase) % period < 1 else 1) for k in range(n)]

    return factors


def burst(n: int, lot: random.Random) -> list[float]:
    at = lot.randrange(n)
    return [math.exp(lot.gauss(0, 0.05)) * (2 if at <= k < at + 3 else 1) for k in range(n)]


def bimodal(share: float) -> Noise:
    return lambda n, lot: [(1 if lot.random() < share else 8) * math.exp(lot.gauss(0, 0.03)) for _ in range(n)]


def sinking(by: float) -> Noise:
    """Everything gets faster, as on a machine that cools or whose disk cache fills."""
    return lambda n, lot: [math.exp(lot.gauss(0, 0.05) + by * math.exp(-k / 6)) for k in range(n)]


NOISES: dict[str, Noise] = {
    "5 % a round": even(0.05),
    "20 % a round": even(0.20),
    "0.5 % a round": even(0.005),
    "heavy tails (t with 2 degrees)": heavy,
    "heavier tails (Cauchy)": cauchy,
    "one round in twenty ×3": outliers(0.05, 3),
    "one round in ten ×10": outliers(0.10, 10),
    "drift by 14 %": drifting(0.134),
    "drift by 40 %": drifting(0.336),
    "drift down by 40 %": drifting(-0.336),
    "a step of 20 %": stepping(0.18),
    "a step of 100 %": stepping(0.69),
    "a step down by half": stepping(-0.69),
    "correlated rounds (0.5, 20 %)": correlated(0.5, 0.2),
    "correlated rounds (0.9, 20 %)": correlated(0.9, 0.2),
    "correlated rounds (−0.5, 10 %)": correlated(-0.5, 0.1),
    "random walk": wandering(0.05),
    "second round of a pair 10 % slower": later_is_slower(0.1),
    "every 2nd round +30 %": periodic(2, 0.3),
    "every 3rd round +30 %": periodic(3, 0.3),
    "every 4th round +30 %": periodic(4, 0.3),
    "every 5th round +50 %": periodic(5, 0.5),
    "every 8th round +50 %": periodic(8, 0.5),
    "a burst of three rounds ×2": burst,
    "two modes, ×8 apart": bimodal(0.5),
    "cold machine that warms": sinking(0.5),
}
