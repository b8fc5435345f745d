"""The two regions of the sphere reduction from which the end of a run is proved."""

# Plain arithmetic on purpose: NumPy and JAX arrays go through it, traced ones too, and the compiled
# loop inlines it. A bound on the larger of two numbers is written as one on each.


def proved_basin(
    covariance, total, overlap, variance, mean_square, k, total_star, power_star,
    opposite_covariance, filter_steepness, output_size, opposite,
):  # fmt: skip
    r"""The number of the `Outcome` that a run is proved to reach, or 0.

    With `V, M, S, A` of `SphereReduction`, `C = covariance`, the *drive* of the overlap and its
    value for settled output weights are

        drive   = C A + M S (S - total),
        settled = C A + M S^2 (V - C) / (V + M k).

    While the angle falls, `C` grows, and one step maps the drive to at least the mean of the old
    drive and `settled`, weighted by `output_size (V + M k) <= 1`. Hence `overlap > 0, drive > 0,
    settled > 0` is never left, the angle falls in every step, and the run ends at angle 0. With all
    three signs turned the angle grows in every step and the run ends at `pi`. Both need steps that
    cannot jump over the optimum: `filter_size * steepness * |overlap| < 2` for the largest
    overlap still to come. Proof: `docs/basins.md`.

    Args:
        covariance: `C` at the run's angle.
        total: `1.a`.
        overlap: `a.a*`.
        variance: `V`.
        mean_square: `M`.
        k: Number of patches.
        total_star: `S`.
        power_star: `A`.
        opposite_covariance: `C(pi)`, the smallest.
        filter_steepness: Largest filter step size to come, times the activation's steepness.
        output_size: Largest output step size to come.
        opposite: The number of the `Outcome` at angle `pi`.

    Returns:
        1 (global), `opposite`, or 0.
    """
    stiffness = variance + mean_square * k
    lag = mean_square * total_star * (total_star - total)
    settled_lag = mean_square * total_star**2 * (variance - covariance) / stiffness
    drive = covariance * power_star + lag
    settled = covariance * power_star + settled_lag
    small_steps = output_size * stiffness <= 1.0

    up = (overlap > 0) & (drive > 0) & (settled > 0)
    up = up & (covariance > opposite_covariance)  # at pi itself nothing pulls
    up = up & (filter_steepness * overlap < 2.0)
    up = up & (filter_steepness * ((variance * power_star + lag) / variance) < 2.0)
    up = up & (filter_steepness * ((variance * power_star + settled_lag) / variance) < 2.0)

    down = (overlap < 0) & (drive < 0) & (settled < 0)
    least = opposite_covariance * power_star
    down = down & (filter_steepness * -overlap < 2.0)
    down = down & (filter_steepness * (-least / variance) < 2.0)
    down = down & (filter_steepness * (-(least + lag) / variance) < 2.0)
    return small_steps * (up * 1 + down * opposite)
