"""Reinforcement learning in the manner of public scripts, on a cart that is pushed along a line towards zero."""

import collections
import random

import numpy as np

from .patterns import weights


class Cart:
    """Position and speed; pushed left or right (or by any force), ten steps an episode."""

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)

    def reset(self):
        self.state, self.time = self.rng.uniform(-1, 1, 2), 0
        return self.state.astype(np.float32)

    def step(self, force):
        position, speed = self.state
        speed = 0.9 * speed + 0.1 * float(force)
        self.state, self.time = np.array([position + speed, speed]), self.time + 1
        return self.state.astype(np.float32), -abs(self.state[0]), self.time >= 10


def ppo(T):
    """Generalised advantages backwards through an episode, the clipped ratio, several epochs on the same data."""
    nn, F = T.nn, T.nn.functional

    class Agent(nn.Module):
        def __init__(self):
            super().__init__()
            self.data = []
            self.fc1, self.fc_pi, self.fc_v = nn.Linear(2, 16), nn.Linear(16, 2), nn.Linear(16, 1)
            self.optimizer = T.optim.Adam(self.parameters(), lr=5e-3)

        def pi(self, x, softmax_dim=0):
            return F.softmax(self.fc_pi(F.relu(self.fc1(x))), dim=softmax_dim)

        def v(self, x):
            return self.fc_v(F.relu(self.fc1(x)))

        def make_batch(self):
            s, a, r, s_prime, prob_a, done = zip(*self.data)  # noqa: B905
            self.data = []
            columns = [T.tensor(np.array(x), dtype=T.float) for x in (s, s_prime)]
            return (columns[0], T.tensor([[x] for x in a]), T.tensor([[x] for x in r], dtype=T.float), columns[1],
                    T.tensor([[1.0 - x] for x in done], dtype=T.float), T.tensor([[x] for x in prob_a]))  # fmt: skip

        def train_net(self):
            s, a, r, s_prime, done_mask, prob_a = self.make_batch()
            for _ in range(2):
                target = r + 0.98 * self.v(s_prime) * done_mask
                delta = (target - self.v(s)).detach().numpy()
                advantages, advantage = [], 0.0
                for d in delta[::-1]:
                    advantage = 0.98 * 0.95 * advantage + d[0]
                    advantages.append([advantage])
                advantages.reverse()
                advantage = T.tensor(advantages, dtype=T.float)
                ratio = T.exp(T.log(self.pi(s, softmax_dim=1).gather(1, a)) - T.log(prob_a))
                clipped = T.clamp(ratio, 1 - 0.1, 1 + 0.1) * advantage
                loss = -T.min(ratio * advantage, clipped) + F.smooth_l1_loss(self.v(s), target.detach())
                self.optimizer.zero_grad()
                loss.mean().backward()
                self.optimizer.step()
            return loss.mean().item()

    env, agent, record = Cart(), Agent(), []
    for _ in range(3):
        s, done, score = env.reset(), False, 0.0
        while not done:
            prob = agent.pi(T.from_numpy(s).float())
            a = T.distributions.Categorical(prob).sample().item()
            s_prime, r, done = env.step(2 * a - 1)
            agent.data.append((s, a, r, s_prime, prob[a].item(), done))
            s, score = s_prime, score + r
        record.append([score, agent.train_net()])
    return record, weights(agent)


def dqn(T):
    """A replay buffer, a target network loaded from the other, actions at random with a falling chance."""
    nn, F = T.nn, T.nn.functional

    def network():
        return nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2))

    q, q_target = network(), network()
    q_target.load_state_dict(q.state_dict())
    memory, coin = collections.deque(maxlen=200), random.Random(0)
    optimizer, env, record = T.optim.RMSprop(q.parameters(), lr=2e-3), Cart(1), []
    for episode in range(4):
        s, done = env.reset(), False
        epsilon = max(0.01, 0.5 - 0.1 * episode)
        while not done:
            with T.no_grad():
                a = coin.randint(0, 1) if coin.random() < epsilon else q(T.from_numpy(s).float()).argmax().item()
            s_prime, r, done = env.step(2 * a - 1)
            memory.append((s, a, r, s_prime, 0.0 if done else 1.0))
            s = s_prime
        for _ in range(3):
            batch = list(zip(*coin.sample(list(memory), 8)))  # noqa: B905
            s_, s_prime_ = (T.tensor(np.array(batch[k])) for k in (0, 3))
            a_, r_, mask = T.tensor(batch[1]).unsqueeze(1), T.tensor(batch[2], dtype=T.float32), T.tensor(batch[4])
            value = q(s_).gather(1, a_).squeeze(1)
            target = r_ + 0.9 * q_target(s_prime_).max(1)[0].detach() * mask
            loss = F.smooth_l1_loss(value, target)
            optimizer.zero_grad()
            loss.backward()
            for p in q.parameters():
                p.grad.data.clamp_(-1, 1)
            optimizer.step()
            record.append(loss.item())
        if episode % 2:
            q_target.load_state_dict(q.state_dict())
    return record, weights(q), weights(q_target)


def sac(T):
    """A squashed normal policy by reparametrisation, two critics with slowly following copies, a learned temperature."""
    nn, F = T.nn, T.nn.functional

    class Policy(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1, self.mu, self.std = nn.Linear(2, 16), nn.Linear(16, 1), nn.Linear(16, 1)
            self.log_alpha = T.tensor(np.log(0.1), dtype=T.float32)
            self.log_alpha.requires_grad = True
            self.alpha_optimizer = T.optim.Adam([self.log_alpha], lr=1e-2)

        def forward(self, x):
            x = F.relu(self.fc1(x))
            spread = T.distributions.Normal(self.mu(x), F.softplus(self.std(x)))
            action = spread.rsample()
            squashed = T.tanh(action)
            return squashed, spread.log_prob(action) - T.log(1 - squashed.pow(2) + 1e-7)

    class Critic(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc_s, self.fc_a, self.out = nn.Linear(2, 8), nn.Linear(1, 8), nn.Linear(16, 1)

        def forward(self, x, a):
            return self.out(T.cat([F.relu(self.fc_s(x)), F.relu(self.fc_a(a))], dim=1))

    pi, critics, copies = Policy(), [Critic(), Critic()], [Critic(), Critic()]
    for critic, copy in zip(critics, copies):  # noqa: B905
        copy.load_state_dict(critic.state_dict())
    pi_step = T.optim.Adam([p for n, p in pi.named_parameters()], lr=5e-3)
    q_steps = [T.optim.Adam(q.parameters(), lr=5e-3) for q in critics]
    env, memory, coin, record = Cart(2), [], random.Random(1), []
    for _ in range(3):
        s, done = env.reset(), False
        while not done:
            a, _ = pi(T.from_numpy(s).float())
            s_prime, r, done = env.step(a.item())
            memory.append((s, [a.item()], [r], s_prime, [0.0 if done else 1.0]))
            s = s_prime
        for _ in range(2):
            s_, a_, r_, s2, mask = (T.tensor(np.array(x), dtype=T.float) for x in zip(*coin.sample(memory, 8)))  # noqa: B905
            with T.no_grad():
                a2, log_prob = pi(s2)
                lowest = T.min(T.cat([q(s2, a2) for q in copies], dim=1), 1, keepdim=True)[0]
                target = r_ + 0.98 * mask * (lowest - pi.log_alpha.exp() * log_prob)
            for q, step in zip(critics, q_steps):  # noqa: B905
                loss = F.smooth_l1_loss(q(s_, a_), target)
                step.zero_grad()
                loss.mean().backward()
                step.step()
            a_new, log_prob = pi(s_)
            lowest = T.min(T.cat([q(s_, a_new) for q in critics], dim=1), 1, keepdim=True)[0]
            policy_loss = (pi.log_alpha.exp() * log_prob - lowest).mean()
            pi_step.zero_grad()
            policy_loss.backward()
            pi_step.step()
            pi.alpha_optimizer.zero_grad()
            alpha_loss = -(pi.log_alpha.exp() * (log_prob + 1.0).detach()).mean()
            alpha_loss.backward()
            pi.alpha_optimizer.step()
            for q, copy in zip(critics, copies):  # noqa: B905
                for slow, fast in zip(copy.parameters(), q.parameters()):  # noqa: B905
                    slow.data.copy_(slow.data * (1.0 - 0.01) + fast.data * 0.01)
            record.append([loss.item(), policy_loss.item(), alpha_loss.item()])
    return record, weights(pi), [weights(q) for q in copies], pi.log_alpha


AGENTS = [ppo, dqn, sac]
