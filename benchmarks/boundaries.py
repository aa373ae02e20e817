"""How fast the boundary benchmark counts: side by side, in one run, on this machine.

python benchmarks/boundaries.py [--data FOLDER] [--rounds N] [--images N] [matching] [thinning] [image]

matching  one map at a low, a middle and a high threshold against one drawing: ours; the same exact assignment by
          scipy's linear_sum_assignment on the pairs of each connected part; and scipy's maximum_bipartite_matching,
          which finds as many pairs but not the nearest ones, so that precision comes out otherwise
thinning  the same map: ours and scikit-image's thin
image     seconds for an image at 99 thresholds against all its drawings, in one process and in as many as there are
          cores, and what 100 images take
"""

import argparse
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from rich.progress import track
from scipy import ndimage
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, maximum_bipartite_matching
from scipy.spatial import cKDTree
from skimage.morphology import thin
from tables import console, print_machine, print_rounds

from cnnlab.data.boundaries.berkeley import photographs, read_boundaries
from cnnlab.data.photographs.decode import decode
from cnnlab.edges.benchmark.counting import Settings, counted
from cnnlab.edges.benchmark.evaluation import THRESHOLDS, TOLERANCE
from cnnlab.edges.benchmark.matching import matched, prepare
from cnnlab.edges.benchmark.skeleton import thinned


def strength(path: Path) -> np.ndarray:
    """(H, W) in [0, 1]: a Gaussian gradient (sigma 2) where it is largest along itself, full scale 1/8 a pixel."""
    image_HW = decode(path, channels=1)[:, :, 0] / 255
    slopes = [ndimage.gaussian_filter(image_HW, 2, order) for order in ((1, 0), (0, 1))]
    size_HW = np.hypot(*slopes)
    place = np.mgrid[: image_HW.shape[0], : image_HW.shape[1]]
    step = np.stack(slopes) / np.maximum(size_HW, 1e-9)
    beside = [ndimage.map_coordinates(size_HW, place + sign * step, order=1, mode="nearest") for sign in (1, -1)]
    return np.clip(np.where(size_HW >= np.maximum(*beside), 8 * size_HW, 0), 0, 1)


def by_parts(predicted_HW: np.ndarray, drawn_HW: np.ndarray, distance: float) -> int:
    """The number of pairs: scipy's dense assignment, for each connected part of the pairs within the distance."""
    near = pairs(predicted_HW, drawn_HW, distance)
    rows, columns = near.shape
    size = (near.row, near.col + rows)
    _, part = connected_components(coo_array((np.ones(near.nnz), size), shape=(rows + columns,) * 2), directed=False)
    order = np.argsort(part[near.row], kind="stable")
    found = 0
    for chosen in np.split(order, np.flatnonzero(np.diff(part[near.row][order])) + 1):
        one, row = np.unique(near.row[chosen], return_inverse=True)
        other, column = np.unique(near.col[chosen], return_inverse=True)
        cost = np.full((len(one), len(other)), 1e6)
        cost[row, column] = near.data[chosen]
        found += int((cost[linear_sum_assignment(cost)] < 1e6).sum())
    return found


def by_cardinality(predicted_HW: np.ndarray, drawn_HW: np.ndarray, distance: float) -> int:
    return int((maximum_bipartite_matching(pairs(predicted_HW, drawn_HW, distance).tocsr()) >= 0).sum())


def pairs(predicted_HW: np.ndarray, drawn_HW: np.ndarray, distance: float) -> coo_array:
    one, other = (cKDTree(np.argwhere(map_HW)) for map_HW in (predicted_HW, drawn_HW))
    return coo_array(one.sparse_distance_matrix(other, distance, output_type="coo_matrix"))


def take_turns(title: str, runs: dict[str, Callable[[], object]], rounds: int, steps: int = 1) -> None:
    for run in runs.values():
        run()  # compiled, and in the cache
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in track(range(rounds), description=title, transient=True):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    print_rounds(title, seconds, steps, reference=next(iter(runs)))


def matching(root: Path, rounds: int, images: int) -> None:
    photograph = photographs(root, "val")[0]
    strength_HW, drawn_HW = strength(photograph.image), read_boundaries(photograph.truth)[0]
    distance = TOLERANCE * math.hypot(*drawn_HW.shape)
    for threshold in (0.05, 0.2, 0.6):
        predicted_HW = thinned(strength_HW >= threshold)
        runs = {
            "ours": lambda map_HW=predicted_HW: int(matched(map_HW, prepare(drawn_HW, distance))[0].sum()),
            "linear_sum_assignment by parts": lambda map_HW=predicted_HW: by_parts(map_HW, drawn_HW, distance),
            "most pairs, not nearest": lambda map_HW=predicted_HW: by_cardinality(map_HW, drawn_HW, distance),
        }
        pairs_found = {name: run() for name, run in runs.items()}
        assert len(set(pairs_found.values())) == 1, pairs_found
        title = f"threshold {threshold}: {predicted_HW.sum()} predicted and {drawn_HW.sum()} drawn pixels"
        take_turns(f"{title}, {pairs_found['ours']} pairs", runs, rounds)


def thinning(root: Path, rounds: int, images: int) -> None:
    strength_HW = ndimage.gaussian_filter(strength(photographs(root, "val")[0].image), 1)
    map_HW = strength_HW >= 0.05
    assert (thinned(map_HW) == thin(map_HW)).all()
    runs = {"ours": lambda: thinned(map_HW), "scikit-image": lambda: thin(map_HW)}
    take_turns(f"thinning {map_HW.sum()} of {map_HW.size} pixels", runs, rounds)


def image(root: Path, rounds: int, images: int) -> None:
    works = [(strength(one.image), read_boundaries(one.truth)) for one in photographs(root, "val")[:images]]
    drawings = mean(len(boundaries_AHW) for _, boundaries_AHW in works)
    for processes in (1, os.cpu_count() or 1):
        settings = Settings(THRESHOLDS, TOLERANCE, True, None, processes)
        results = counted(works, settings)
        next(results)  # the processes have started
        start, spent = time.perf_counter(), time.process_time()
        others = len(list(results))
        each = (time.perf_counter() - start) / others
        spent = (time.process_time() - spent) / others
        mine = f"; {spent:.2f} s of the processor" if processes == 1 else ""
        console.print(
            f"{len(works)} images at {THRESHOLDS} thresholds, {drawings:.1f} drawings each, processes: {processes}: "
            f"{each:.2f} s an image, {each / THRESHOLDS * 1e3:.1f} ms a threshold, {100 * each:.0f} s for 100{mine}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"matching": matching, "thinning": thinning, "image": image}
    parser.add_argument("parts", nargs="*", help=", ".join(parts))
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("CNNLAB_DATA", "data")))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print_machine()
    for name in arguments.parts or parts:
        parts[name](arguments.data, arguments.rounds, arguments.images)


if __name__ == "__main__":
    main()
