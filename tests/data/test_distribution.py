import jax
import jax.numpy as jnp
import numpy as np

from whytrain.data import GaussianMixture, LinearTeacher


def test_a_teacher_of_signs():
    x, y = LinearTeacher(jnp.array([1.0, -2.0, 0.0])).sample(jax.random.key(0), 20_000)
    assert np.array_equal(y, np.sign(x[:, 0] - 2 * x[:, 1]))
    np.testing.assert_allclose(np.cov(x.T), np.eye(3), atol=0.05)  # deviations of 0.01
    assert abs(float(y.mean())) < 0.04


def test_a_teacher_of_values_with_noise():
    teacher = LinearTeacher(jnp.array([1.0, -2.0]), values=True, noise=0.3)
    x, y = teacher.sample(jax.random.key(0), 20_000)
    rest = np.asarray(y - (x[:, 0] - 2 * x[:, 1]))
    assert abs(rest.std() - 0.3) < 0.01
    assert abs(rest.mean()) < 0.01
    exact = LinearTeacher(jnp.array([1.0, -2.0]), values=True).sample(jax.random.key(0), 5)
    np.testing.assert_allclose(exact[1], exact[0] @ np.array([1.0, -2.0]), rtol=1e-5)


def test_a_mixture_has_its_means_and_deviations():
    x, y = GaussianMixture(jnp.array([2.0, 0.0]), deviation=0.5).sample(jax.random.key(1), 20_000)
    ours = np.asarray(x * y[:, None])
    np.testing.assert_allclose(ours.mean(axis=0), [2, 0], atol=0.03)
    np.testing.assert_allclose(ours.std(axis=0), [0.5, 0.5], atol=0.02)
    assert abs(float(y.mean())) < 0.04


def test_samples_belong_to_their_key():
    mixture = GaussianMixture(jnp.array([2.0, 0.0]))
    first, again = (mixture.sample(jax.random.key(1), 5)[0] for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, mixture.sample(jax.random.key(2), 5)[0])
