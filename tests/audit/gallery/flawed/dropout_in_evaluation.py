"""Nobody calls model.eval() before the accuracy is computed.

expected: evaluation.dropout
"""

import sys

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(10, 32)
        self.drop = nn.Dropout(0.3)
        self.fc2 = nn.Linear(32, 3)

    def forward(self, x):
        return self.fc2(self.drop(torch.relu(self.fc1(x))))


def evaluate(model, loader):
    correct = 0
    with torch.no_grad():
        for x, y in loader:
            correct += (model(x).argmax(1) == y).sum().item()
    return correct / len(loader.dataset)


torch.manual_seed(int(sys.argv[1]))
data = torch.sin(torch.arange(600.0)).reshape(60, 10)
y = torch.arange(60) % 3
train_loader = DataLoader(TensorDataset(data[:48], y[:48]), batch_size=12, shuffle=True)
val_loader = DataLoader(TensorDataset(data[48:], y[48:]), batch_size=6)
model = Classifier()
optimizer = torch.optim.AdamW(model.parameters())
criterion = nn.CrossEntropyLoss()
for epoch in range(3):
    model.train()
    for xb, yb in train_loader:
        optimizer.zero_grad()
        criterion(model(xb), yb).backward()
        optimizer.step()
    print(epoch, evaluate(model, val_loader))
