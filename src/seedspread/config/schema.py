"""Every key of every config, said once: type, range, unit, help text, and whether a study's identity depends on it.

The defaults are in conf/. A Schema holds the keys of one group. Its annotations are the types that a key takes:
`int | None` may be null, `int | Auto` may be auto, `Literal` names the choices, a Schema is a group of its own.
Where a group is a `_target_` object, the Schema whose `target` is that object describes it; any other object is
checked against its signature (seedspread.config.targets).
"""

import math
import types
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from seedspread.config.streams import A_SEED, LARGEST_SEED

Auto = Literal["auto"]
Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true", "64-true"]
Interpolation = Literal["bilinear", "bicubic"]
Direction = Literal["auto", "maximize", "minimize", "max", "min"]
Unit = Literal["auto", "fraction", "percent", "points", "nats", "seconds", "none"]
IF_SET = "if set"  # part of a study's identity unless it has its usual value
WHOLE = "a seed is recorded only when it is trained and scored whole; {}"
PERCENT = "percent, from 0 to below 100"
MOST_THREADS = 1024
A_SIDE: Any = {"least": 1, "most": 4096, "unit": "pixels"}  # of a picture
SEED: Any = {"least": 0, "most": LARGEST_SEED, "needed": A_SEED}
SHORTEST_LEASE = 0.25  # minutes: three heartbeats of seedspread.execution.leases


@dataclass(frozen=True)
class Key:
    """What one key of a config may be."""

    help: str
    types: tuple[type, ...] = ()
    choices: tuple[Any, ...] = ()
    groups: tuple["type[Schema]", ...] = ()  # a mapping is one of these
    null: bool = False
    numbers: bool = False  # in a list
    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    below: float = math.inf
    unit: str = ""
    needed: str = ""  # what an error asks for, instead of `describe`
    identity: bool | str = True
    usual: Any = None  # the value that IF_SET leaves out
    follows: str = ""  # the key that this one copies by default
    refused: str = ""  # why nobody may set it
    file: bool = False  # has to exist
    folder: bool = False  # may not be a file

    def accepts(self, value: Any) -> bool:
        """Whether `value`, no group, is one that this key takes."""
        if value is None:
            return self.null
        if Any in self.types or any(value == choice and type(value) is type(choice) for choice in self.choices):
            return True
        if isinstance(value, bool):
            return bool in self.types
        if isinstance(value, int | float):
            return (float in self.types or (int in self.types and isinstance(value, int))) and self._is_within(value)
        if isinstance(value, list):
            return list in self.types and (not self.numbers or all(is_number(v) and self._is_within(v) for v in value))
        return isinstance(value, str) and str in self.types

    def _is_within(self, value: float) -> bool:
        return self.least <= value <= self.most and self.above < value < self.below and math.isfinite(value)

    def describe(self) -> str:
        """The values that it takes: `a whole number of at least 1, or auto`."""
        kinds = {bool: "true or false", str: "text", list: "a list of numbers" if self.numbers else "a list [A,B]"}
        parts = [words for kind, words in kinds.items() if kind in self.types]
        if str not in self.types and {int, float} & {*self.types}:
            parts.insert(0, ("a number" if float in self.types else "a whole number") + self._range())
        if self.choices:
            several = len(self.choices) > 1 and not parts
            parts.append(("one of " if several else "") + ", ".join(map(str, self.choices)))
        if self.groups or not parts:
            parts.append("any value" if Any in self.types else "an object")
        return ", or ".join([*parts, *(["null"] if self.null else [])])

    def _range(self) -> str:
        low, high = max(self.least, self.above), min(self.most, self.below)
        below = "below " if self.below < math.inf else ""
        if math.isinf(low):
            return f" {below or 'of at most '}{high:g}" if math.isfinite(high) else ""
        if math.isinf(high):
            return f" above {low:g}" if self.above == low else f" of at least {low:g}"
        return f" from {low:,.0f} to {below}{'2**63-1' if high >= LARGEST_SEED else f'{high:,.0f}'}"

    def complaint(self, where: str) -> str:
        """What an error says this key needs; `where` is its dotted name."""
        if self.needed:
            return self.needed.format(key=where)
        if names := [name for group in self.groups for name in group.keys]:
            return f"has keys of its own: {', '.join(f'{where}.{name}=' for name in names[:5])}"
        return ("choose " if self.choices and not self.types else "") + self.describe()


def is_number(value: Any) -> bool:
    """Whether `value` is a finite number: true, false and nan are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def key(help: str, **more: Any) -> Any:
    """A key of a schema: its help text and what `Key` knows besides type, choices and null."""
    return Key(help, **more)


def _with_types(key: Key, hint: Any) -> Key:
    parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    literals = [part for part in parts if get_origin(part) is Literal]
    groups = tuple(part for part in parts if isinstance(part, type) and issubclass(part, Schema))
    others = tuple(get_origin(part) or part for part in parts if part not in (*literals, *groups, types.NoneType))
    choices = tuple(choice for literal in literals for choice in get_args(literal))
    null, numbers = types.NoneType in parts, list[float] in parts
    return replace(key, types=others, choices=choices, groups=groups, null=null, numbers=numbers)


class Schema:
    """The keys of a group, `NAME: TYPE = key(HELP)`. A trailing underscore keeps a word of Python's apart: `with_`."""

    target: ClassVar[str | None] = None  # the `_target_` that it describes
    open: ClassVar[bool] = False  # takes further keys
    objects: ClassVar[bool] = False  # every further key is an object
    keys: ClassVar[dict[str, Key]]  # by name

    def __init_subclass__(cls) -> None:
        found = {name: (getattr(cls, name, None), hint) for name, hint in get_type_hints(cls).items()}
        cls.keys = {
            name.rstrip("_"): _with_types(key, hint) for name, (key, hint) in found.items() if isinstance(key, Key)
        }


class Target(Schema):
    """An object of any kind: `_target_` and the keys that it takes."""


def keys_of_all(key: Key) -> dict[str, Key]:
    """The keys of a group by name, those of all objects that it may be."""
    return {name: found for group in key.groups for name, found in group.keys.items()}


def group_schema(key: Key, target: Any) -> type[Schema] | None:
    """The schema of a group whose `_target_` is `target`; None for an object that no schema describes."""
    targets = {group.target: group for group in key.groups if group is not Target}
    return targets.get(target, targets.get(None))


# The groups of a seed


class StreamSeeds(Schema):
    init: int | None = key("first weights", **SEED)
    order: int | None = key("order of the training examples", **SEED)
    augment: int | None = key("augmentation", **SEED)
    other: int | None = key("dropout and whatever else draws while training", **SEED, identity=IF_SET)
    split: int | None = key("which training examples validate", **SEED, identity=IF_SET)


class _Metric(Schema):
    direction: Direction = key("of better; auto: by the name, minimize for val/loss")
    unit: Unit = key("unit of the logged values; fractions are shown as percent; auto: fraction for val/acc, else none")
    low: float | None = key("smallest possible value; null: 0 for a fraction, else none")
    high: float | None = key("largest possible value; null: 1 for a fraction, else none")


class Metric(_Metric):
    name: str = key("name that the module logs; every other logged metric is recorded as well")


class Checkpoint(Schema):
    every_minutes: float | None = key("time between checkpoints of a running seed", above=0, unit="minutes")
    every_n_epochs: int | None = key("epochs between checkpoints", least=1, unit="epochs")
    keep: bool = key("keep the trained network in results/STUDY/checkpoints/SEED.final.ckpt")


class Examples(Schema):
    probabilities: Literal["float16"] | None = key(
        "keep the probabilities of all classes, two bytes each, beside the predicted label; null: the label alone"
    )


class Augmentation(Schema):
    target = "seedspread.data.augment.Augmentation"
    padding: int = key("zeros around a picture before it is cropped", least=0, unit="pixels")
    flip: bool = key("mirror half of the pictures")
    cutout: int = key("side of the square that is blanked; 0 for none", least=0, unit="pixels")
    granularity: Literal["chunk", "image"] = key("one draw for each picture, or for each chunk of pictures")
    chunk: int = key("pictures in a chunk", least=1)


class RandomResizedCrop(Schema):
    target = "seedspread.data.crops.RandomResizedCrop"
    scale: list[float] = key("smallest and largest part of the picture's area")
    ratio: list[float] = key("smallest and largest width by height")
    flip: bool = key("mirror half of the pictures")
    interpolation: Interpolation | None = key("of the crops; null: that of the transform")


class _Data(Schema):
    name: str = key("name of the data")
    read: Target = key("function that reads the pictures")
    source: str | None = key("folder or archive of the data", identity=False)
    classes: int | None = key("number of classes; null: as found", least=1)
    batch_size: int = key("examples in a training step", least=1)
    score_batch_size: int | Auto = key(
        "examples scored at once; auto: 500, on a GPU five training batches where that is more", least=1
    )
    validation: float | None = key(
        "part of the training examples that validates, or how many; null: the data's own, or the test set",
        above=0,
        needed="a fraction of the training examples below 1, or a whole number of them, for example 0.1",
        identity=IF_SET,
    )


class PictureData(_Data):
    target = "seedspread.data.picture_data.PictureData"
    cache: str = key("folder of the decoded pictures", identity=False)
    size: int = key("side of a picture", **A_SIDE)
    channels: int = key("colour channels", least=1)
    train_size: int | None = key("a fixed balanced subset to train on; null: all", least=1)
    test_size: int | None = key("a fixed balanced subset to score; null: all", least=1)
    mean: list[float] = key("mean of each channel, taken out of the pictures")
    std: list[float] = key("standard deviation of each channel")
    augment: Augmentation | Target | None = key("augmentation of the training pictures")


class FileData(_Data):
    target = "seedspread.data.file_data.FileData"
    root: str | None = key("folder of train/ and test/ or val/", identity=False)
    size: int = key("side of a picture", **A_SIDE)
    resize: int = key("short side before the centre is scored", **A_SIDE)
    interpolation: Interpolation = key("of resized pictures")
    channels: int = key("colour channels; pictures from files have 3", least=1)
    mean: list[float] = key("mean of each channel, taken out of the pictures")
    std: list[float] = key("standard deviation of each channel")
    augment: RandomResizedCrop | Target = key("crops of the training pictures")
    workers: int = key("processes that decode", least=0, identity=False)


class FeatureData(_Data):
    target = "seedspread.data.feature_data.FeatureData"
    root: str | None = key("folder of train/ and test/ or val/", identity=False)
    cache: str = key("folder of the features", identity=False)
    size: int | None = key("side of a picture before it is cropped", **A_SIDE)
    train_size: int | None = key("a fixed balanced subset to train on; null: all", least=1)
    test_size: int | None = key("a fixed balanced subset to score; null: all", least=1)
    backbone: Target | None = key("the frozen network", identity=False, follows="backbone")
    views: int = key("augmented crops kept of each picture; 0: fresh crops in every step", least=0)
    view_seed: int = key("seed of the kept crops, the same for all seeds of the study", least=0)
    augment: RandomResizedCrop | Target = key("crops of the training pictures")
    skip_broken: bool = key("leave out pictures that do not decode, and name them")
    extract_batch_size: int = key("crops in one pass of the backbone", least=1)
    shard: int = key("crops between two savings of the features", least=1)


class ResNet9(Schema):
    target = "seedspread.models.resnet9.ResNet9"
    channels: int = key("colour channels", least=1, follows="data.channels")
    classes: int | None = key("number of classes; null: as found", least=1, follows="data.classes")
    width: int = key("channels of the first layer; 64 in the paper", least=1)
    activation: Literal["celu", "relu", "gelu", "silu", "smelu"] = key("activation")
    pooling: Literal["max", "avg"] = key("pooling")
    scale: float = key("factor of the logits")


class LinearProbe(Schema):
    target = "seedspread.models.linear_probe.LinearProbe"
    features: int | None = key("number of features; null: as the backbone gives", least=1)
    classes: int | None = key("number of classes; null: as found", least=1, follows="data.classes")
    init: Literal["torch", "kaiming", "tiny", "dino"] = key("initialisation of the head")


class FineTuned(Schema):
    target = "seedspread.models.finetuned.FineTuned"
    backbone: Target | None = key("the pretrained network", identity=False, follows="backbone")
    classes: int | None = key("number of classes; null: as found", least=1, follows="data.classes")
    mean: list[float] = key("mean that the pictures were normalised by", identity=False, follows="data.mean")
    std: list[float] = key("their standard deviation", identity=False, follows="data.std")
    head_epochs: int = key("epochs in which the head alone trains", least=0, unit="epochs")


class Backbone(Schema):
    target = "seedspread.models.backbones.Backbone"
    name: str = key("network, as its library names it")
    library: Literal["timm", "torchvision"] = key("library that builds the network")
    checkpoint: str | None = key("local file of weights", identity=False, file=True)
    url: str | None = key("where the weights are downloaded from; null: where the library says")
    blocks: int = key("class tokens of a ViT's last blocks, side by side", least=1)
    size: int | None = key("side of a picture; null: as the library says", **A_SIDE)
    resize: int | None = key(
        "short side before the centre is cropped; null: as the library says", least=1, unit="pixels"
    )
    interpolation: Interpolation | None = key("of resized pictures; null: as the library says")
    mean: list[float] | None = key("mean of each channel; null: as the library says")
    std: list[float] | None = key("standard deviation of each channel; null: as the library says")
    precision: Literal["auto", "bf16-mixed", "32-true"] = key("precision of the pass; auto: what the hardware has")


class SharpAndSmoothed(Schema):
    target = "seedspread.training.losses.SharpAndSmoothed"
    weight: float = key("weight of the label-smoothed part; 0: plain cross-entropy")
    smoothing: float = key("label smoothing", least=0, most=1)


class Optimizer(Schema):
    """Any optimizer of torch or of the user's: its other keys go by its signature."""

    open = True
    lr: float | None = key("base learning rate", least=0)
    momentum: Any = key("momentum of SGD")
    nesterov: bool = key("Nesterov's momentum")
    weight_decay: Any = key("weight decay")


class RiseAndFall(Schema):
    target = "seedspread.training.schedules.RiseAndFall"
    rise: float = key("epochs until the peak", least=0, unit="epochs")
    end: float = key("epoch from which the rate stays at the floor", least=0, unit="epochs")
    height: float = key("height of the peak above the floor, as a factor of lr")
    floor: float = key("smallest factor of lr")


class LambdaLR(Schema):
    target = "torch.optim.lr_scheduler.LambdaLR"
    open = True
    lr_lambda: RiseAndFall | Target = key("factor of lr for each epoch")


class CosineAnnealingLR(Schema):
    target = "torch.optim.lr_scheduler.CosineAnnealingLR"
    open = True
    T_max: int = key("epochs from lr down to 0", least=1, unit="epochs", follows="trainer.max_epochs")


class WarmUp(Schema):
    target = "seedspread.training.schedules.WarmUp"
    epochs: int = key("epochs of the training", least=1, unit="epochs", follows="trainer.max_epochs")
    warmup: float = key(
        "epochs of linear warm-up; 0.5 is half of one",
        least=0,
        unit="epochs",
        needed="a number of epochs of at least 0, for example 0.5",
    )
    decay: Literal["cosine", "linear", "constant"] = key("decay after the warm-up")


class Trainer(Schema):
    """Lightning's Trainer: its other keys go by its signature."""

    open = True
    accelerator: Literal["auto", "cpu", "gpu"] = key("auto: a GPU where there is one")
    devices: int = key("devices that share one seed, with strategy=ddp", least=1, identity=IF_SET, usual=1)
    strategy: str = key("how several devices share a seed: ddp", identity=IF_SET, usual="auto")
    max_epochs: int | None = key("epochs of a seed; null: until max_steps", least=1, unit="epochs")
    max_steps: int = key("steps of a seed; -1: by max_epochs", least=-1, unit="steps", identity=IF_SET, usual=-1)
    precision: Precision = key("auto: bf16-mixed where the hardware has it, else 32-true")
    deterministic: bool | Literal["warn"] = key("deterministic kernels; warn: a warning where an operation has none")
    gradient_clip_val: float | None = key("norm that gradients are clipped to", above=0, identity=IF_SET)
    enable_progress_bar: bool = key("Lightning's progress bar", identity=False)
    enable_model_summary: bool = key("Lightning's table of layers", identity=False)
    enable_checkpointing: bool = key(
        "Lightning's checkpoints, in logs/STUDY/seed-SEED/checkpoints, for ckpt_path", identity=False
    )
    default_root_dir: str | None = key("folder of Lightning's files", identity=False)
    num_sanity_val_steps: int = key("scoring steps before training", least=-1, identity=False)
    log_every_n_steps: int = key(
        "steps between values of what a module logs in single steps",
        least=0,
        unit="steps",
        identity=False,
    )
    profiler: str | Target | None = key("Lightning's profiler", identity=False)
    fast_dev_run: Any = key("", refused=WHOLE.format("for a quick try say trainer.max_epochs=1"))
    overfit_batches: Any = key("", refused=WHOLE.format("for less data say data.train_size="))
    limit_train_batches: Any = key("", refused=WHOLE.format("for less data say data.train_size="))
    limit_val_batches: Any = key("", refused=WHOLE.format("for less data say data.test_size="))
    max_time: Any = key("", refused=WHOLE.format("say how long with trainer.max_epochs="))
    callbacks: Any = key("", refused="callbacks are a group of their own: +callbacks.NAME._target_=")
    logger: Any = key("", refused="loggers are a group of their own: logger=csv, tensorboard, wandb or mlflow")


class EpochLines(Schema):
    target = "seedspread.training.callbacks.epoch_lines.EpochLines"
    after: float = key("time that a seed may take in silence", least=0, unit="seconds")
    every: float = key("time between lines where the output is no terminal", least=0, unit="seconds")


class GradientNorms(Schema):
    target = "seedspread.training.callbacks.gradient_norms.GradientNorms"


class Callbacks(Schema):
    """Lightning's callbacks by name. What only observes is no part of a study's identity."""

    objects = True
    epoch_lines: EpochLines | Target | None = key("lines that show how far a long seed is", identity=False)
    gradient_norms: GradientNorms | Target | None = key("the gradient norm of each epoch", identity=False)


class LocalExecutor(Schema):
    target: ClassVar[str] = "seedspread.execution.local.LocalExecutor"


class RayExecutor(Schema):
    target: ClassVar[str] = "seedspread.execution.ray.RayExecutor"
    address: str = key("host:port of the cluster; auto: the one of this machine; local: of this machine alone")
    cpus: int = key("cores that a seed takes", least=1, follows="threads")
    gpus: float = key("GPUs that a seed takes; 0.25: four share one", least=0)


class SlurmExecutor(Schema):
    target: ClassVar[str] = "seedspread.execution.slurm.SlurmExecutor"
    partition: str | None = key("partition; null: the cluster's default")
    time: str | int = key("limit of a job: 90m, 4h, 2d, or 1-12:30:00")
    cpus: int = key("cores of a job", least=1, follows="threads")
    gpus: int = key("GPUs of a job", least=0)
    memory: str | None = key("memory of a job, for example 8G")
    seeds_per_job: int = key("seeds that a job trains one after another", least=1)
    folder: str = key("folder of logs that the nodes share")
    options: Any | None = key("further options of sbatch: executor.options={account:lab}")


# The commands


class Train(Schema):
    seed: int = key("seed to train; with -m several: seed=range(0,20)", **SEED, identity=False)
    seeds: Any = key("", refused="name seeds with seed=; several are 'seed=range(0,20)', to train with -m")
    streams: StreamSeeds = key("seeds of single streams; null: each follows the seed")
    study: str | int = key("folder in results/; an experiment gives its own name", identity=False)
    butterfly: int | None = key(
        "epochs after which the lowest bit of one weight is flipped, another for each seed; 0: before the first step",
        least=0,
        unit="epochs",
        identity=IF_SET,
    )
    results: str = key("folder of all studies", identity=False, folder=True)
    overwrite: bool = key("train a seed again that has its record", identity=False)
    metric: Metric = key("what a seed is scored by; study.yaml keeps it", identity=False)
    ckpt_path: str | None = key("checkpoint to resume from", identity=False, file=True)
    trace: bool = key("keep a trace of each seed, by which `reproduce locate=true` finds a difference", identity=False)
    checkpoint: Checkpoint = key("checkpoints of a long seed, from which it resumes", identity=False)
    examples: Examples = key("what a seed records of each test example", identity=False)
    jobs: int | Auto = key(
        "workers at once; auto: one a GPU, or one for each `threads` cores; on a cluster all it has",
        least=1,
        identity=False,
    )
    workers_per_gpu: int = key("worker processes on each GPU", least=1, identity=False)
    seeds_per_job: Any = key("", refused="say executor=slurm executor.seeds_per_job=")
    report: bool = key("write the report after a sweep", identity=False)
    stack: int | Auto = key("seeds of a linear probe in one step; auto: 64 on a GPU", least=1, identity=False)
    lease_minutes: float = key(
        "time without a heartbeat after which another sweep trains a worker's seed",
        least=SHORTEST_LEASE,
        unit="minutes",
        identity=False,
    )
    fail_fast: int = key("consecutive failures with one reason that stop a sweep", least=1, identity=False)
    threads: int = key("CPU threads of one seed; results depend on them", least=1, most=MOST_THREADS)
    memory_format: Literal["auto", "channels_last", "contiguous"] = key("layout of images; auto: by precision")
    compile: Target | None = key(
        "arguments of torch.compile",
        identity=IF_SET,
        needed="arguments of torch.compile, for example compile={{mode:default}}",
    )
    capture: bool = key(
        "capture forward and backward pass of a step as one CUDA graph, which all seeds of a process repeat",
        identity=IF_SET,
        usual=False,
    )
    data: PictureData | FileData | FeatureData | Target = key("the data")
    model: ResNet9 | LinearProbe | FineTuned | Target = key("the network")
    backbone: Backbone | Target | None = key("pretrained network of model=finetuned, or frozen one of data=features")
    module: Target | None = key(
        "LightningModule of your own; null: the Classifier of model, loss, optimizer and schedule", identity=IF_SET
    )
    loss: SharpAndSmoothed | Target = key("the training loss")
    optimizer: Optimizer = key("the optimizer")
    schedule: LambdaLR | CosineAnnealingLR | WarmUp | Target | None = key("the learning-rate schedule")
    trainer: Trainer = key("Lightning's Trainer")
    callbacks: Callbacks | None = key("Lightning's callbacks")
    logger: Target | None = key("Lightning's logger", identity=False)
    executor: LocalExecutor | RayExecutor | SlurmExecutor | Target = key(
        "where seeds train; executor=slurm --help has Slurm's keys", identity=False
    )
    space: Target | None = key("what seedspread tune searches", identity=False)


CLASSIFIER = "seedspread.training.module.Classifier"


def is_foreign(cfg: Any, group: str) -> bool:
    """Whether the object of a group of Train, `data` or `module`, is none of the project's own."""
    own = (schema.target for schema in Train.keys[group].groups)
    return (cfg.get(group) or {}).get("_target_") not in (None, CLASSIFIER, *own)


class ScriptMetric(_Metric):
    name: str | None = key("metric that a seed is scored by; null: the first that is recorded")


class Run(Schema):
    """A program, or a function of `ss.sweep`, a seed at a time."""

    seed: int | str | list[float] = key("seeds: 3, or 'seed=range(0,20)'")
    study: str | int | None = key("folder in results/; null: the name of the first file in the command")
    results: str = key("folder of all studies", folder=True)
    overwrite: bool = key("run a seed again that has its record")
    metric: ScriptMetric = key("what a seed is scored by; study.yaml keeps it")
    file: str | None = key("CSV or JSON file that the program writes; {seed} and {folder} stand for the seed's")
    regex: str | None = key("pattern of its output with the number in brackets: 'accuracy: ([0-9.]+)'")
    events: str | None = key("folder of TensorBoard that it writes; {seed} and {folder} stand for the seed's")
    timeout: str | float | None = key("time after which a seed has failed: 90s, 30m, 4h; null: none")
    jobs: int | Auto = key("workers at once; auto: one a GPU, or one for each `threads` cores", least=1)
    threads: int = key("CPU threads of one seed; results depend on them", least=1, most=MOST_THREADS)
    gpus: int | Auto = key("GPUs of this machine that the workers take turns over; auto: all", least=0)
    workers_per_gpu: int = key("worker processes on each GPU", least=1)
    report: bool = key("write the report at the end")
    lease_minutes: float = key(
        "time without a heartbeat after which another sweep runs a worker's seed", least=SHORTEST_LEASE, unit="minutes"
    )
    fail_fast: int = key("consecutive failures with one reason that stop it", least=1)
    executor: LocalExecutor | RayExecutor | SlurmExecutor | Target = key(
        "where seeds run; executor=slurm --help has Slurm's keys"
    )


class Tune(Train):
    search: Literal["explore", "exploit"] = key("quasi-random points, or points where scores promise most")
    trials: int = key("points of this search, recorded ones included", least=1)
    seeds_per_trial: int = key("seeds of each trial, the same for all", least=1)
    fresh_seeds: int = key(
        "seeds on which the winner meets the baseline until it is decided, at most; 0: none", least=0
    )
    worth: float | None = key(
        "smallest difference that matters, in the scores' units: less ends it as equivalent; null: nothing does",
        above=0,
        needed="the smallest difference that matters, a positive number in the scores' units",
    )
    search_seed: int = key("seed of the points", least=0)
    report: bool = key("write the page from the records and train nothing", identity=False)


class Sources(Train):
    butterfly: int | list[float] | None = key(  # type: ignore[assignment]
        "epochs after which the lowest bit of one weight is flipped, a study each, against another seed; 0: before the "
        "first step; null: the spread by source",
        least=0,
        unit="epochs",
        needed="epochs, for example butterfly=[0,5]; 0: before the first step",
    )
    n: int = key("seeds of each study", least=2)


class BatchSize(Train):
    start: int = key("smallest batch; each next one is twice as large", least=1)
    gain: float = key("two sizes in a row that gain less end it", least=0, below=100, unit="percent", needed=PERCENT)
    within: float = key(
        "distance from the best rate that is near enough", least=0, below=100, unit="percent", needed=PERCENT
    )


class Report(Schema):
    results: str = key("folder of all studies", folder=True)
    study: str | int | list[str] | None = key("study to read, or several: study=[ONE,OTHER]")
    metric: str | None = key("recorded metric to report on, for example val/loss; null: the study's own")
    direction: Direction = key("of better in metric=; auto: by its name")


class Luck(Report):
    pass


class Agree(Schema):
    results: str = key("folder of all studies", folder=True)
    study: str | int | list[str] | None = key("study whose seeds are compared, or several: study=[ONE,OTHER]")


class Status(Schema):
    results: str = key("folder of all studies", folder=True)
    study: str | int | list[str] | None = key("study to show, or several; null: all")


class Published(Schema):
    """A result of which only a summary is known; all but ddof are needed."""

    mean: float | None = key("mean of the published scores", needed="the published mean, a number")
    std: float | None = key("their std over seeds", above=0, needed="the published std over seeds, a positive number")
    n: int | None = key("how many runs they are of", least=2, needed="how many runs, a whole number of at least 2")
    ddof: Literal[0, 1] | None = key(
        "whether the std divides by n (0, NumPy's default) or n-1 (1); null: 1, needed for fewer than 100 runs",
        needed="0 where the std divides by n, as NumPy's does, or 1 where by n-1",
    )


class Compare(Schema):
    results: str = key("folder of all studies", folder=True)
    baseline: str | int | list[str] | Published | None = key(
        "study, CSV file of scores, or published result in quotes: '{mean: 90.02, std: 0.23, n: 10000}'"
    )
    target_: float | None = key("number instead of a baseline: is the mean at least that, or at most, as is better")
    candidate: str | int | list[str] | None = key("study or CSV file, or several: candidate=[ONE,OTHER]")
    metric: str | None = key("recorded metric of the studies to compare; null: the studies' own")
    direction: Direction = key("of better in metric= and in files; auto: by the metric's name, and of files maximize")
    column: str | None = key("column of scores in files; null: the only one beside seeds")
    seed_column: str | None = key("column of seeds to pair by, where files have it; null: none")
    pair: bool | None = key("compare seed by seed; null: where both have the same seeds")
    same_examples: bool | None = key("whether both were scored on the same examples; null: as the records say")
    worth: float | None = key(
        "smallest difference that matters, in the scores' units; arms that differ by less are equivalent",
        above=0,
        needed="the smallest difference that matters, a positive number in the scores' units",
    )


class Decide(Train):
    baseline: str | int | list[str] | None = key("study, experiment, overrides in quotes, or CSV file of scores")
    candidate: str | int | list[str] | None = key("the same, or several: candidate=[ONE,OTHER]; baseline=[A,B]: tasks")
    worth: float | list[float] | None = key(
        "smallest difference that matters, in the scores' units; a list: of each task; null: none is equivalent",
        above=0,
        needed="the smallest difference that matters, a positive number in the scores' units",
    )
    budget: int = key("seeds that each arm trains at most", least=3)
    direction: Direction = key("of better in files; auto: maximize")
    column: str | None = key("column of scores in files; null: the only one beside seeds")
    seed_column: str | None = key("column of seeds to pair by, where files have it; null: pair row by row")


class Power(Schema):
    results: str = key("folder of all studies", folder=True)
    std: float | None = key("standard deviation between seeds, in the units of difference", above=0)
    study: str | int | None = key("study that has the standard deviation")
    metric: str | None = key("recorded metric of that study; null: the study's own")
    difference: float | None = key("difference to show", above=0)
    n: int | None = key("seeds per arm", least=2)
    candidates: int = key("candidates compared with one baseline; more need more seeds", least=1)
    paired: bool = key("whether std is that of differences of pairs")


class ImportedMetric(Schema):
    name: str | None = key("metric of the logs that runs are scored by; all others are recorded as well")
    direction: Direction = Metric.direction
    unit: Unit = Metric.unit
    low: float | None = Metric.low
    high: float | None = Metric.high


class Import(Schema):
    logs: list[str] = key("files, folders and patterns, typed without logs=: what has no = , or is there")
    format: Literal["auto", "lightning", "tensorboard", "wandb", "mlflow", "table"] = key("of the logs; auto: as found")
    results: str = key("folder of all studies", folder=True)
    study: str | int | None = key("folder in results/ that the runs become; null: of an exported study, its own name")
    metric: ImportedMetric = key("what a run is scored by, at its last step; study.yaml keeps it")
    seed_from: str | None = key(
        "setting or column that holds the seed, or a regular expression over the path with one group; "
        "null: a setting named seed, else the digits in which names differ"
    )
    run: str | None = key("column of a table that tells its runs apart; null: run, run_id, run_name, else the seed")
    step: str | None = key("column of steps in a table; null: step, global_step, iteration, else epoch")
    mlflow_experiment: str | None = key("MLflow's experiment, where a store has several")
    ignore: list[str] = key("settings and metrics to leave out: ignore=[output_dir,run_name]")
    unequal_steps: bool = key("take runs of different lengths, as early stopping leaves them")
    report: bool = key("write the report after the import")


class Export(Schema):
    results: str = key("folder of all studies", folder=True)
    study: str | int | list[str] | None = key("study to export, or several: study=[ONE,OTHER]")
    folder: str = key("folder of the files: STUDY.parquet for each study")


class Reproduce(Schema):
    results: str = key("folder of all studies", folder=True)
    study: str | int | None = key("study to reproduce")
    seed: int | None = key("recorded seed to train again", **SEED)
    n: int | None = key("how many recorded seeds, drawn at random each time", least=1)
    locate: bool = key("say where it first differs: from its trace, which trace=true keeps, else between two runs now")
    with_: str | list[str] | None = key("places on this machine: \"with=['data.source=PATH']\"")


class Audit(Schema):
    """Traces of a program, and what follows from them."""

    results: str = key("folder of all studies; audits lie in its folder audits/", folder=True)
    folder: str | None = key("traces and page; null: RESULTS/audits/ and the name of the program")
    steps: int = key("steps of the optimizer after which each run is ended", least=1)
    seeds: list[float] = key("two seeds: the first is run twice, the other once")
    workers: list[float] = key("numbers of DataLoader workers to run the first seed with as well: workers=[0,2,4]")
    resume: str | None = key(
        "command that resumes a run: {seed} and {folder} stand for those of the run that was ended"
    )
    timeout: str | float | None = key("time after which a run is ended: 90s, 30m, 4h; null: none")
    traces: str | list[str] | None = key("two folders of traces to compare instead: traces=[A,B]")


SCHEMAS: dict[str, type[Schema]] = {
    "train": Train,
    "report": Report,
    "run": Run,
    "compare": Compare,
    "decide": Decide,
    "reproduce": Reproduce,
    "audit": Audit,
    "luck": Luck,
    "agree": Agree,
    "power": Power,
    "tune": Tune,
    "sources": Sources,
    "status": Status,
    "batch_size": BatchSize,
    "import": Import,
    "export": Export,
}
