"""A policy acts with its network before the first step and between steps; a target network is a copy of it."""

import random, sys, collections
import numpy as np, torch

seed = int(sys.argv[1])
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)


class Env:
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def reset(self):
        self.s = self.rng.normal(size=3).astype("float32")
        return self.s

    def step(self, a):
        r = float(self.s[a])
        self.s = (self.s * 0.9 + 0.1 * self.rng.normal(size=3)).astype("float32")
        return self.s, r


env, buf = Env(seed), collections.deque(maxlen=200)
q = torch.nn.Sequential(torch.nn.Linear(3, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
tgt = torch.nn.Sequential(torch.nn.Linear(3, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
tgt.load_state_dict(q.state_dict())
opt = torch.optim.Adam(q.parameters(), 1e-3)
s = env.reset()
for t in range(80):
    with torch.no_grad():
        a = int(q(torch.from_numpy(s)).argmax()) if random.random() > 0.2 else random.randrange(3)
    s2, r = env.step(a)
    buf.append((s, a, r, s2))
    s = s2
    if t >= 30:
        S, A, R, S2 = zip(*random.sample(buf, 16))
        S, S2 = torch.tensor(np.array(S)), torch.tensor(np.array(S2))
        with torch.no_grad():
            y = torch.tensor(R) + 0.9 * tgt(S2).max(1)[0]
        opt.zero_grad()
        torch.nn.functional.mse_loss(q(S)[torch.arange(16), list(A)], y).backward()
        opt.step()
    if t % 20 == 0:
        tgt.load_state_dict(q.state_dict())
