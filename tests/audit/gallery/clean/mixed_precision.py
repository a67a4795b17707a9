"""Automatic mixed precision with a scaler, as on a GPU."""

import sys

import numpy as np
import torch

seed = int(sys.argv[1])
np.random.seed(seed)
torch.manual_seed(seed)
device = "cuda" if torch.cuda.is_available() else "cpu"
x = np.sin(np.arange(400, dtype=np.float32)).reshape(50, 8)
model = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.ReLU(), torch.nn.Linear(32, 8)).to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
scaler = torch.amp.GradScaler(device)
for epoch in range(3):
    order = np.random.permutation(50)
    for i in range(0, 50, 10):
        batch = torch.from_numpy(x[order[i : i + 10]]).to(device)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device, dtype=torch.bfloat16):
            loss = torch.nn.functional.mse_loss(model(batch), batch)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
