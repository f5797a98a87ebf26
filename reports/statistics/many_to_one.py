"""Several methods against one reference: what a family of comparisons has to exceed, all together.

The statistics of the comparisons are correlated, since they share the reference. Dunnett (1955) gives their joint
distribution: T_k = (sqrt(1 - loading_k^2) Z_k + loading_k Z_0) / U with independent standard normal Z and U the root of
a chi-square over its degrees of freedom. Given Z_0 and U they are independent, so two nested quadratures are enough.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

EQUAL_LOADING = 0.5**0.5
"""Loading of a comparison whose method has as many values, of the same spread, as the reference."""
_Z, _Z_WEIGHTS = np.polynomial.hermite_e.hermegauss(61)
_Z_WEIGHTS = _Z_WEIGHTS / _Z_WEIGHTS.sum()
_P, _P_WEIGHTS = np.polynomial.legendre.leggauss(96)
_P, _P_WEIGHTS = (_P + 1) / 2, _P_WEIGHTS / 2
_MAX_CRITICAL = 1e4


def all_within(bound: float, loadings: tuple[float, ...], df: float) -> float:
    """The probability that every |T_k| is at most `bound`.

    Args:
        bound: The same for all comparisons.
        loadings: One a comparison, in [0, 1); 0 for comparisons that share nothing.
        df: Degrees of freedom of the common spread; infinite where it is known.
    """
    from scipy import special  # slow to import, and `--help` need not wait for it

    loading = np.asarray(loadings)
    rest = np.sqrt(1 - loading**2)
    if np.isinf(df):
        scale, weights = np.ones(1), np.ones(1)
    else:
        scale, weights = np.sqrt(2 * special.gammaincinv(df / 2, _P) / df), _P_WEIGHTS
    z, b = _Z[None, :, None], bound * scale[:, None, None]
    inside = special.ndtr((loading * z + b) / rest) - special.ndtr((loading * z - b) / rest)
    return float(weights @ (inside.prod(axis=2) @ _Z_WEIGHTS))


@lru_cache(maxsize=1024)
def critical_value(loadings: tuple[float, ...], df: float, level: float) -> float:
    """The bound that all |T_k| keep with probability `level`: Dunnett's two-sided critical value.

    One comparison gives the quantile of Student's t.
    """
    from scipy import optimize, special  # as above

    if len(loadings) == 1:
        return float(special.stdtrit(df, (1 + level) / 2))
    return float(optimize.brentq(lambda bound: all_within(bound, loadings, df) - level, 0.1, _MAX_CRITICAL))
