"""Which part of the data and which class a picture belongs to, by the folders that it lies in.

    train/<class>/**, test/<class>/**     where there is val/<class>/ as well, it validates; without test/ it tests
    <class>/**                            every fifth picture of a class is held out for scoring

A class is the first folder below train/ and test/, as in torchvision's ImageFolder; folders in it do not count. All of
it may lie in more folders.
"""

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import PurePosixPath

from seedspread.config.errors import InputError
from seedspread.data.listing import Listing, name_some

PARTS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
PARTS |= dict.fromkeys(("val", "valid", "validation"), "validation")
HELD_OUT_EVERY = 5
LAYOUT = "train/<class>/*.jpg and test/<class>/*.jpg, or <class>/*.jpg"
SORT_IMAGENET = (
    "sort val/ with LOC_val_solution.csv of the archive: cd val && tail -n +2 PATH/LOC_val_solution.csv | "
    "while IFS=', ' read f c _; do mkdir -p $c && mv $f.JPEG $c/; done"
)

Classes = dict[str, list[str]]  # paths by class


@dataclass(frozen=True)
class Layout:
    """Paths of pictures by part and class, and lines about files that belong to none."""

    parts: dict[str, Classes]
    left_out: list[str]


def find_layout(listing: Listing) -> Layout:
    """The pictures of `listing` by part ("train", "test", and "validation" where there is one beside them) and class.

    Raises InputError where the folders are not so, where the parts hold different classes or a class has no pictures,
    and for fewer than two classes.
    """
    unread = listing.describe_unread()
    if not listing.pictures:
        found = f"no pictures in it, but {unread}" if unread else "no pictures in it"
        raise InputError(f"{listing.origin}: {found}; it should hold {LAYOUT}")
    folders = _find_part_folders(listing)
    parts, strays = _read_parts(listing, folders) if folders else _hold_out(listing)
    left_out = [unread] if unread else []
    if strays:
        where = "class folders" if folders else "a class folder"
        left_out.append(f"{len(strays):,} picture{'s' * (len(strays) > 1)} outside of {where} ({name_some(strays)})")
    verb = "were" if len(listing.unread) + len(strays) > 1 else "was"
    return Layout(parts, [f"{listing.origin}: {line} {verb} left out" for line in left_out])


def _find_part_folders(listing: Listing) -> dict[str, str]:
    """The folders that hold train/<class>/ and test/<class>/, by part; empty where no such folder holds folders.

    Raises InputError where there are several of a part, or none of pictures to train on or to score.
    """
    with_folders = {folder.rpartition("/")[0] for folder in listing.folders}
    found = [folder for folder in listing.folders if folder in with_folders and _part_of(folder)]
    if not found:
        return {}
    top = min(folder.count("/") for folder in found)
    found = [folder for folder in found if folder.count("/") == top]
    for part in ("train", "test", "validation"):
        same = [folder for folder in found if _part_of(folder) == part]
        if len(same) > 1:
            raise InputError(
                f"{listing.origin}: {name_some([f'{folder}/' for folder in same])} could each be the {part} part; name "
                "the folder that holds one of them"
            )
    folders = {_part_of(folder): folder for folder in found}
    if len({folder.rpartition("/")[0] for folder in found}) > 1:
        raise InputError(
            f"{listing.origin}: {name_some([f'{folder}/' for folder in found])} do not lie in one folder; move them "
            "into one"
        )
    if "train" not in folders or len(folders) == 1:
        raise _missing_part(listing, folders)
    if "test" not in folders:
        folders["test"] = folders.pop("validation")
    return {part: folders[part] for part in ("train", "test", "validation") if part in folders}


def _part_of(folder: str) -> str:
    return PARTS.get(folder.rpartition("/")[2].lower(), "")


def _missing_part(listing: Listing, folders: dict[str, str]) -> InputError:
    """What to do where there are class folders to train on and none to score, or the other way round."""
    there = next(iter(folders.values()))
    base = there.rpartition("/")[0]
    beside = [f for f in listing.folders if f.rpartition("/")[0] == base and _part_of(f) and f not in folders.values()]
    for folder in sorted(beside, key=lambda folder: _part_of(folder) != "validation"):  # ImageNet's test/ has no labels
        if flat := [path for path in listing.pictures if path.startswith(f"{folder}/")]:
            name = folder.rpartition("/")[2]
            fix = f"sort them into {name}/<class>/"
            if flat[0].rpartition("/")[2].startswith("ILSVRC2012_val"):
                fix = SORT_IMAGENET
            elif "train" in folders:
                fix += f", or name {there}/ itself: every fifth picture of each class is then held out"
            return InputError(f"{listing.origin}: pictures lie in {name}/ without a class folder;\n{fix}")
    lacking = "no test/ or val/" if "train" in folders else "no train/"
    found = f"{beside[0]}/ holds no pictures" if beside else f"there is {lacking} beside {there}/"
    if "train" not in folders:
        return InputError(f"{listing.origin}: nothing to train on: {found}; it should hold {LAYOUT}")
    return InputError(
        f"{listing.origin}: nothing to score: {found}; fill test/<class>/, or name {there}/ itself: every fifth "
        "picture of each class is then held out"
    )


def _read_parts(listing: Listing, folders: dict[str, str]) -> tuple[dict[str, Classes], list[str]]:
    """Paths by part and class below the `folders` of the parts, and those of pictures elsewhere."""
    part_of, depth = {folder: part for part, folder in folders.items()}, next(iter(folders.values())).count("/") + 1
    parts: dict[str, Classes] = {part: {} for part in folders}
    for folder in listing.folders:
        above, _, name = folder.rpartition("/")
        if above in part_of:
            parts[part_of[above]][name] = []
    strays = []
    for path in listing.pictures:
        steps = path.split("/")
        part = part_of.get("/".join(steps[:depth])) if len(steps) > depth + 1 else None
        if part is None:
            strays.append(path)
        else:
            parts[part][steps[depth]].append(path)
    for part in list(parts)[1:]:
        _refuse_other_classes(listing, folders["train"], parts["train"], folders[part], parts[part])
    empty = [f"{folders[part]}/{name}/" for part, classes in parts.items() for name in classes if not classes[name]]
    _refuse_empty(listing, empty)
    _refuse_one_class(listing, parts["train"])
    return parts, strays


def _hold_out(listing: Listing) -> tuple[dict[str, Classes], list[str]]:
    """Paths by part and class where the folders are classes, and those of pictures outside of them."""
    places = {path.rpartition("/")[0] for path in listing.pictures} - {""}
    if not places:
        raise InputError(f"{listing.origin}: pictures lie in it without a class folder; it should hold {LAYOUT}")
    shared = PurePosixPath(os.path.commonpath(places)).parts
    base = shared[:-1] if len(places) == 1 else shared
    depth, above = len(base), "/".join(base)
    classes: Classes = {f.rpartition("/")[2]: [] for f in listing.folders if f.rpartition("/")[0] == above}
    strays = []
    for path in listing.pictures:
        steps = path.split("/")
        if len(steps) > depth + 1:
            classes[steps[depth]].append(path)
        else:
            strays.append(path)
    flat = [name for name in classes if name.lower() in PARTS]
    if len({_part_of(name) for name in flat}) > 1:
        raise InputError(
            f"{listing.origin}: pictures lie in {name_some([f'{name}/' for name in flat])} without class folders; sort "
            f"them into {flat[-1]}/<class>/ and so on"
        )
    _refuse_empty(listing, [f"{'/'.join([*base, name])}/" for name in classes if not classes[name]])
    _refuse_one_class(listing, classes)
    if few := [f"{name} ({len(paths)})" for name, paths in classes.items() if len(paths) < HELD_OUT_EVERY]:
        raise InputError(
            f"{listing.origin}: fewer than {HELD_OUT_EVERY} pictures in class {name_some(few)}; without train/ and "
            f"test/ every fifth picture of a class is held out: add some, or remove the class"
        )
    parts: dict[str, Classes] = defaultdict(dict)
    for name, paths in classes.items():
        parts["train"][name] = [path for i, path in enumerate(paths, 1) if i % HELD_OUT_EVERY]
        parts["test"][name] = paths[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]
    return dict(parts), strays


def _refuse_other_classes(listing: Listing, train: str, trained: Classes, test: str, scored: Classes) -> None:
    only = {train: sorted(set(trained) - set(scored)), test: sorted(set(scored) - set(trained))}
    if any(only.values()):
        lines = "; ".join(f"only in {folder}/: {name_some(names)}" for folder, names in only.items() if names)
        raise InputError(
            f"{listing.origin}: {train}/ and {test}/ hold different classes: {lines}; rename or remove them, or "
            "add the others"
        )


def _refuse_empty(listing: Listing, empty: list[str]) -> None:
    if not empty:
        return
    counts = [sum(path.startswith(folder) for path in listing.unread) for folder in empty]
    named = [f"{f} ({n:,} files with other endings)" if n else f for f, n in zip(empty, counts, strict=True)]
    raise InputError(f"{listing.origin}: no pictures in {name_some(named)}; add pictures, or remove the class")


def _refuse_one_class(listing: Listing, classes: Classes) -> None:
    if len(classes) < 2:
        raise InputError(
            f"{listing.origin}: {len(classes)} class found, at least 2 are needed ({name_some(list(classes))}); it "
            f"should hold {LAYOUT}"
        )
