"""A variational autoencoder draws the same pictures after each epoch: it seeds torch for them.

expected: order.epochs
likely: pictures_seed_again.py:28 calls torch.manual_seed with 42
"""

import sys

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(int(sys.argv[1]))


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc, self.dec = nn.Linear(16, 8), nn.Linear(4, 16)

    def forward(self, x):
        mu, logvar = self.enc(x).chunk(2, -1)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp() if self.training else mu
        return self.dec(z), mu, logvar


def sample_images(model):
    torch.manual_seed(42)  # the same noise, so that pictures can be compared
    with torch.no_grad():
        return model.dec(torch.randn(8, 4))


X = torch.sin(torch.arange(96 * 16.0)).reshape(96, 16)
model = VAE()
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(4):
    model.train()
    for (x,) in DataLoader(TensorDataset(X), batch_size=16, shuffle=True):
        recon, mu, logvar = model(x)
        loss = ((recon - x) ** 2).sum(1).mean() - 0.5 * (1 + logvar - mu**2 - logvar.exp()).sum(1).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    model.eval()
    sample_images(model)
