"""Loops over the rows of tables, each computed from the one before (an agent's advantages): their rows have the plans of those before."""

import numpy as np

import torchlike_asg as torch


def advantages(rewards, values, gamma=0.5, tau=0.25):
    """Three tables, backwards, as agents compute them."""
    n = rewards.shape[0]
    returns, deltas, found = torch.zeros(n, 1), torch.zeros(n, 1), torch.zeros(n, 1)
    before = value = advantage = 0
    for i in reversed(range(n)):
        returns[i] = rewards[i] + gamma * before
        deltas[i] = rewards[i] + gamma * value - values.data[i]
        found[i] = deltas[i] + gamma * tau * advantage
        before, value, advantage = returns[i, 0], values.data[i, 0], found[i, 0]
    return returns, found


def expected(rewards, values, gamma=0.5, tau=0.25):
    n = len(rewards)
    returns, found = np.zeros((n, 1)), np.zeros((n, 1))
    before = value = advantage = 0
    for i in reversed(range(n)):
        returns[i] = before = rewards[i] + gamma * before
        found[i] = advantage = rewards[i] + gamma * value - values[i] + gamma * tau * advantage
        value = values[i]
    return returns, found


def test_a_loop_over_tables_builds_the_plans_of_its_first_rows():
    torch.manual_seed(1)
    counts = []
    for n in (120, 120, 120, 150):
        rewards, values = torch.randn(n), torch.randn(n, 1)
        counts.append(torch.asg.stats()["plans"])
        returns, found = advantages(rewards, values)
        counts[-1] = torch.asg.stats()["plans"] - counts[-1]  # without what the last rows need
        for a, b in zip((returns, found), expected(rewards.numpy(), values.numpy()), strict=True):
            np.testing.assert_allclose(a.numpy(), b, rtol=1e-4, atol=1e-6)
    assert counts[0] <= 3
    assert counts[2] == 0 and counts[3] <= 3


def test_its_pieces_leave_a_history_that_lives_as_it_was():
    torch.manual_seed(2)
    weight = torch.randn(3, 1, requires_grad=True)
    states, rewards = torch.randn(90, 3), torch.randn(90)
    values = torch.tanh(states @ weight)
    returns, found = advantages(rewards, values)
    ((returns - values) ** 2 + found).mean().backward()
    w = weight.detach().numpy()
    v = np.tanh(states.numpy() @ w)
    target = expected(rewards.numpy(), v)[0]
    np.testing.assert_allclose(weight.grad.numpy(), states.numpy().T @ (2 * (v - target) * (1 - v**2)) / 90, rtol=1e-3, atol=1e-5)


def test_what_shows_a_table_shows_its_rows():
    torch.manual_seed(3)
    table, data = torch.zeros(100, 4), torch.randn(100, 4)
    part, other = table[40:60], table.detach()
    row = torch.zeros(4)
    for i in range(100):
        table[i] = torch.sin(data[i]) + 0.5 * row
        table[99 - i, 0] = table[i].sum()
        row = table[i] * 1.0
    truth, last = np.zeros((100, 4)), np.zeros(4)
    for i in range(100):
        truth[i] = np.sin(data.numpy()[i]) + 0.5 * last
        truth[99 - i, 0] = truth[i].sum()
        last = truth[i].copy()
    for a, b in ((table, truth), (part, truth[40:60]), (other, truth)):
        np.testing.assert_allclose(a.numpy(), b, rtol=1e-4, atol=1e-5)
