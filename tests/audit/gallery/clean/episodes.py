"""REINFORCE in an environment with a generator of its own: each update follows an episode of another length."""

import sys

import numpy as np
import torch
from torch import nn

seed = int(sys.argv[1])
torch.manual_seed(seed)


class Pole:
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def reset(self):
        self.x, self.t = self.rng.uniform(-0.05, 0.05, 2), 0
        return self.x.astype(np.float32)

    def step(self, action):
        angle, speed = self.x
        speed += 0.05 * (9.8 * np.sin(angle) - (1 if action else -1)) + 0.01 * self.rng.normal()
        self.x, self.t = np.array([angle + 0.05 * speed, speed]), self.t + 1
        return self.x.astype(np.float32), 1.0, abs(self.x[0]) > 0.2 or self.t >= 40


env = Pole(seed)
policy = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
opt = torch.optim.Adam(policy.parameters(), 1e-2)
for episode in range(20):
    state, done, logps, rewards = env.reset(), False, [], []
    while not done:
        dist = torch.distributions.Categorical(logits=policy(torch.from_numpy(state)))
        action = dist.sample()
        logps.append(dist.log_prob(action))
        state, reward, done = env.step(action.item())
        rewards.append(reward)
    returns = torch.tensor(np.cumsum(rewards[::-1])[::-1].copy(), dtype=torch.float32)
    loss = -(torch.stack(logps) * (returns - returns.mean())).sum()
    opt.zero_grad()
    loss.backward()
    opt.step()
