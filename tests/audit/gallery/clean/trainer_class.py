"""A class with a loop, as that of Hugging Face: dictionaries, masks drawn while batches are collated."""

import sys, random, numpy as np, torch
from dataclasses import dataclass
from torch import nn


@dataclass
class TrainingArguments:
    seed: int = 42
    epochs: int = 2
    batch: int = 8
    accumulate: int = 2


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(50, 16)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(16, 3)

    def forward(self, input_ids=None, labels=None):
        logits = self.head(self.drop(self.emb(input_ids).mean(1)))
        out = {"logits": logits}
        if labels is not None:
            out["loss"] = nn.functional.cross_entropy(logits, labels)
        return out


class Trainer:
    def __init__(self, model_init, args, train, val):
        self.args = args
        random.seed(args.seed)
        np.random.seed(args.seed)
        torch.manual_seed(args.seed)
        self.model = model_init()
        self.t = train
        self.v = val

    def loader(self):
        g = torch.Generator()
        g.manual_seed(int(torch.empty((), dtype=torch.int64).random_().item()))
        return torch.utils.data.DataLoader(
            self.t,
            batch_size=self.args.batch,
            sampler=torch.utils.data.RandomSampler(self.t, generator=g),
            collate_fn=self.collate,
        )

    def collate(self, rows):
        ids = torch.tensor([r["input_ids"] for r in rows])
        mask = torch.rand(ids.shape) < 0.15
        return {"input_ids": ids.masked_fill(mask, 49), "labels": torch.tensor([r["labels"] for r in rows])}

    def train(self):
        opt = torch.optim.AdamW(self.model.parameters(), 1e-3)
        sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: 1 / (1 + s))
        dl = self.loader()
        for e in range(self.args.epochs):
            self.model.train()
            for i, b in enumerate(dl):
                (self.model(**b)["loss"] / self.args.accumulate).backward()
                if i % self.args.accumulate == 1:
                    nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
                    opt.step()
                    sched.step()
                    opt.zero_grad()
            self.evaluate()

    @torch.no_grad()
    def evaluate(self):
        self.model.eval()
        for b in torch.utils.data.DataLoader(
            self.v, batch_size=8, collate_fn=lambda r: {k: torch.tensor([x[k] for x in r]) for k in r[0]}
        ):
            self.model(**b)


data = [{"input_ids": [(i * j) % 48 for j in range(6)], "labels": i % 3} for i in range(64)]
Trainer(Model, TrainingArguments(seed=int(sys.argv[1])), data[:48], data[48:]).train()
