"""Two networks and two optimizers, pictures drawn from noise after each epoch."""

import sys, torch
from torch import nn

torch.manual_seed(int(sys.argv[1]))
G = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
D = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(), nn.Dropout(0.2), nn.Linear(16, 1))
og = torch.optim.Adam(G.parameters(), 1e-3)
od = torch.optim.Adam(D.parameters(), 1e-3)
t = torch.arange(64) / 10
real = torch.stack([t.sin(), t.cos()], 1)
bce = nn.BCEWithLogitsLoss()
dl = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(real), 16, shuffle=True, drop_last=True)
fixed = torch.randn(8, 4)
for e in range(4):
    for (x,) in dl:
        z = torch.randn(16, 4)
        od.zero_grad()
        l = bce(D(x), torch.ones(16, 1)) + bce(D(G(z).detach()), torch.zeros(16, 1))
        l.backward()
        od.step()
        og.zero_grad()
        bce(D(G(z)), torch.ones(16, 1)).backward()
        og.step()
    with torch.no_grad():
        G.eval()
        G(fixed)
        G.train()
