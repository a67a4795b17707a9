"""Text classification: which library the first sentence of a docstring comes from."""

from __future__ import annotations

import importlib
import inspect
import random
import re
import warnings
from collections import Counter
from functools import cache

import lightning as L
import torch
from lightning.pytorch.callbacks import EarlyStopping
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset
from torchmetrics.classification import MulticlassAccuracy

LIBRARIES = {
    "numpy": "numpy numpy.fft numpy.linalg numpy.ma numpy.polynomial numpy.random",
    "python": "argparse asyncio collections concurrent.futures csv datetime decimal email.message fractions http.client"
    " inspect io itertools json logging mailbox math os pathlib random shutil socket sqlite3 statistics string"
    " subprocess tarfile tempfile textwrap threading tkinter unittest unittest.mock urllib.request uuid zipfile",
    "scipy": "scipy.fft scipy.integrate scipy.interpolate scipy.linalg scipy.ndimage scipy.optimize scipy.signal"
    " scipy.sparse scipy.sparse.linalg scipy.spatial scipy.special scipy.stats",
    "sklearn": "sklearn.calibration sklearn.cluster sklearn.compose sklearn.covariance sklearn.datasets"
    " sklearn.decomposition sklearn.ensemble sklearn.feature_extraction sklearn.feature_selection"
    " sklearn.gaussian_process sklearn.impute sklearn.linear_model sklearn.manifold sklearn.metrics sklearn.mixture"
    " sklearn.model_selection sklearn.multioutput sklearn.naive_bayes sklearn.neighbors sklearn.neural_network"
    " sklearn.pipeline sklearn.preprocessing sklearn.svm sklearn.tree sklearn.utils",
    "torch": "torch torch.autograd torch.cuda torch.distributed torch.distributions torch.fft torch.jit torch.linalg"
    " torch.nn torch.nn.functional torch.nn.init torch.nn.utils torch.optim torch.optim.lr_scheduler torch.special"
    " torch.utils.data",
}
PADDING, UNKNOWN = 0, 1


def first_sentence(doc: str) -> str:
    paragraph = doc.strip().split("\n\n")[0]
    return re.split(r"(?<=\.)\s", " ".join(paragraph.split()))[0]


@cache
def collect(library: str) -> list[str]:
    """First sentences of what the public modules of a library offer, sorted, each once, without the library's name."""
    docs: set[str] = set()
    for name in LIBRARIES[library].split():
        try:
            module = importlib.import_module(name)
        except ImportError:  # tkinter, on some machines
            continue
        with warnings.catch_warnings(action="ignore"):  # some members are deprecated
            for _, item in inspect.getmembers(module, callable):
                members = inspect.getmembers(item, inspect.isroutine) if inspect.isclass(item) else []
                docs.update(inspect.getdoc(thing) or "" for thing in [item, *(member for _, member in members)])
    names = re.compile(r"\b(numpy|np|python|scipy|sklearn|scikit|torch|pytorch)\b", re.IGNORECASE)
    return sorted({names.sub("it", first_sentence(doc)) for doc in docs})


def words_of(sentence: str) -> list[str]:
    return re.findall(r"[a-z]+|[^a-z\s]", sentence.lower())


class Sentences(Dataset):
    """Sentences as word numbers; with ``word_dropout``, each word is hidden with that probability at every look."""

    def __init__(self, words: list[list[str]], labels: list[int], vocabulary: dict[str, int], word_dropout: float = 0):
        self.words, self.labels, self.vocabulary, self.word_dropout = words, labels, vocabulary, word_dropout

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        numbers = [self.vocabulary.get(word, UNKNOWN) for word in self.words[index]]
        if self.word_dropout:
            numbers = [UNKNOWN if random.random() < self.word_dropout else number for number in numbers]
        return torch.tensor(numbers), self.labels[index]


def pad(batch: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor, Tensor]:
    """(B, T) word numbers, padded with zeros to the longest sentence; (B,) lengths; (B,) labels."""
    sentences, labels = zip(*batch, strict=True)
    lengths = torch.tensor([len(sentence) for sentence in sentences])
    return pad_sequence(list(sentences), batch_first=True, padding_value=PADDING), lengths, torch.tensor(labels)


class DocstringData(L.LightningDataModule):
    def __init__(
        self,
        batch_size: int = 64,
        num_workers: int = 0,
        word_dropout: float = 0.1,
        words: int = 2000,
        length: int = 16,
        each: int = 600,
    ):
        """At most ``each`` sentences of a library, cut after ``length`` words, in a vocabulary of ``words``."""
        super().__init__()
        self.save_hyperparameters()

    def setup(self, stage: str) -> None:
        hp = self.hparams
        texts: list[list[str]] = []
        labels: list[int] = []
        libraries_of = Counter(sentence for library in LIBRARIES for sentence in collect(library))
        shuffled = random.Random(0)
        for label, library in enumerate(LIBRARIES):
            own = [words_of(sentence)[: hp.length] for sentence in collect(library) if libraries_of[sentence] == 1]
            own = [words for words in own if len(words) >= 4]
            shuffled.shuffle(own)
            texts += own[: hp.each]
            labels += [label] * len(own[: hp.each])

        # The same split for everyone who trains on this.
        order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(0)).tolist()
        tenth = len(texts) // 10
        train, val, test = order[: 6 * tenth], order[6 * tenth : 8 * tenth], order[8 * tenth :]
        counts = Counter(word for i in train for word in texts[i])
        vocabulary = {word: number for number, (word, _) in enumerate(counts.most_common(hp.words), UNKNOWN + 1)}

        def subset(indices: list[int], word_dropout: float = 0) -> Sentences:
            return Sentences([texts[i] for i in indices], [labels[i] for i in indices], vocabulary, word_dropout)

        self.train_set = subset(train, hp.word_dropout)
        self.val_set, self.test_set = subset(val), subset(test)

    def loader(self, dataset: Sentences, shuffle: bool = False) -> DataLoader:
        return DataLoader(
            dataset,
            batch_size=self.hparams.batch_size,
            shuffle=shuffle,
            num_workers=self.hparams.num_workers,
            persistent_workers=self.hparams.num_workers > 0,
            collate_fn=pad,
        )

    def train_dataloader(self) -> DataLoader:
        return self.loader(self.train_set, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return self.loader(self.val_set)

    def test_dataloader(self) -> DataLoader:
        return self.loader(self.test_set)


class DocstringClassifier(L.LightningModule):
    """Embedding, one GRU in both directions, and a linear layer on its two last states."""

    def __init__(
        self,
        words: int = 2000,
        embedding: int = 48,
        hidden: int = 48,
        dropout: float = 0.3,
        lr: float = 5e-3,
        patience: int = 2,
    ):
        super().__init__()
        self.save_hyperparameters()
        self.embedding = nn.Embedding(words + 2, embedding, padding_idx=PADDING)
        self.dropout = nn.Dropout(dropout)
        self.gru = nn.GRU(embedding, hidden, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * hidden, len(LIBRARIES))
        self.val_acc = MulticlassAccuracy(len(LIBRARIES), average="micro")
        self.test_acc = MulticlassAccuracy(len(LIBRARIES), average="micro")

    def forward(self, sentences: Tensor, lengths: Tensor) -> Tensor:
        embedded = self.dropout(self.embedding(sentences))
        packed = pack_padded_sequence(embedded, lengths.cpu(), batch_first=True, enforce_sorted=False)
        _, last = self.gru(packed)
        return self.head(self.dropout(torch.cat([last[0], last[1]], dim=1)))

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], batch_idx: int) -> Tensor:
        sentences, lengths, labels = batch
        loss = F.cross_entropy(self(sentences, lengths), labels)
        self.log("train/loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor, Tensor], batch_idx: int) -> None:
        sentences, lengths, labels = batch
        logits = self(sentences, lengths)
        self.val_acc(logits, labels)
        self.log("val/loss", F.cross_entropy(logits, labels))
        self.log("val/acc", self.val_acc, prog_bar=True)

    def test_step(self, batch: tuple[Tensor, Tensor, Tensor], batch_idx: int) -> None:
        sentences, lengths, labels = batch
        self.test_acc(self(sentences, lengths), labels)
        self.log("test/acc", self.test_acc)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.hparams.lr)

    def configure_callbacks(self) -> list[L.Callback]:
        return [EarlyStopping("val/acc", mode="max", patience=self.hparams.patience)]
