"""The contenders of benchmarks/features.py, each in a new process of its own.

    echo JOB | python benchmarks/features_peers.py

JOB is an object in JSON: `contender` is a key of `CONTENDERS`; `files` and `warm` are what it works
on, lists of files, or folders of catalogues for kit; `threads`, `torch_threads`, `mean` and
`scratch` as a contender needs them. The contender does `warm` first, then `files`, timed. One line
of JSON is printed. Each contender takes the first 30 seconds of a file to the same array: 1280
frames of 128 mel bands, dB below the clip's peak.
"""

import json
import multiprocessing
import os
import platform
import re
import resource
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path

import numpy as np

SR, SECONDS, FRAMES = 22050, 30, 1280
BATCH = 8

Job = dict
# The work on files or on a catalogue; gives the CPU seconds of processes that go on after it.
Work = Callable[[list[str] | str], float | None]


def machine() -> dict[str, object]:
    import soundfile

    names = ("genre-kit", "jax", "jaxlib", "numpy", "scipy", "librosa", "numba", "torch")
    versions = {"libsndfile": soundfile.__libsndfile_version__}
    for name in (*names, "torchaudio", "soundfile", "soxr", "tensorstore"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    facts = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", facts.read_text()) if facts.exists() else None
    return {
        "cpu": found[1] if found else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": versions,
        "threads": {k: v for k, v in os.environ.items() if k.endswith("NUM_THREADS")},
        "date": time.strftime("%Y-%m-%d"),
    }


def machine_cpu() -> float | None:
    """CPU seconds of the whole machine since it started, those taken by its host with them."""
    try:
        user, nice, system, _, _, *rest = Path("/proc/stat").read_text().split()[1:9]
    except OSError:
        return None
    return sum(map(int, (user, nice, system, *rest))) / os.sysconf("SC_CLK_TCK")


def features_command(folder: Path, workers: int | None) -> list[str]:
    """Arguments of Python; kit's own default for `workers` unless there is a number."""
    given = [] if workers is None else ["--workers", str(workers)]
    return ["-m", "kit", "features", str(folder), *given]


def clip(path: str, mean: bool = False) -> np.ndarray:
    """soundfile and soxr, and nothing that is not needed."""
    import soundfile
    import soxr

    with soundfile.SoundFile(path) as file:
        rate = file.samplerate
        y = file.read(SECONDS * rate, dtype="float32", always_2d=True)
    if y.shape[1] == 1:
        y = y[:, 0]
    elif mean or y.shape[1] > 2:
        y = y.mean(axis=1)
    else:
        y = (y[:, 0] + y[:, 1]) * 0.5
    return y if rate == SR else soxr.resample(y, rate, SR, quality="HQ")


def with_kit(folder: str, workers: int | None) -> tuple[list[str], list[str], object]:
    """Track ids and files of a catalogue whose store is made anew, and the store."""
    from kit.catalogue import load
    from kit.config import ExtractConfig
    from kit.defaults import ORIGINAL_FEATURES
    from kit.features import extract, store_path

    catalogue, config = load(Path(folder)), ORIGINAL_FEATURES
    path = store_path(catalogue, config)
    if path.exists():
        raise SystemExit(f"{path} exists; it has to be deleted before each round")
    result = extract(catalogue, config, ExtractConfig(workers=workers))
    if result.failures or result.computed != len(catalogue.table):
        raise SystemExit(f"kit left out {len(result.failures)} of {folder}")
    rows = catalogue.table.to_dict("records")
    files = [str(catalogue.path_of(row)) for row in rows]
    return [row["track_id"] for row in rows], files, result.store


def kit(job: Job) -> Work:
    """`extract` as the command calls it, with everything that it writes to the disk."""
    return lambda folder: with_kit(folder, job["threads"]) and None


def floor(job: Job) -> Work:
    """Decoding, down-mix and resampling in threads; nothing is kept."""
    pool = ThreadPoolExecutor(job["threads"])

    def work(files: list[str]) -> None:
        for _ in pool.map(lambda path: len(clip(path, job["mean"])), files):
            pass

    return work


def librosa_db(path: str) -> np.ndarray:
    import librosa

    y, _ = librosa.load(path, sr=SR, duration=SECONDS)
    power = librosa.feature.melspectrogram(y=y, sr=SR, n_fft=2048, hop_length=512, n_mels=128)
    return librosa.power_to_db(power, ref=np.max).T[:FRAMES]


def librosa_loop(job: Job) -> Work:
    """A list, and an array that is saved at the end."""

    def work(files: list[str]) -> None:
        np.save(job["scratch"], np.stack([librosa_db(path) for path in files]))

    return work


def _start(everyone: object) -> None:
    import librosa  # noqa: F401

    warnings.simplefilter("ignore")
    everyone.wait()


def _with_cpu(path: str) -> tuple[np.ndarray, float]:
    before = time.process_time()
    return librosa_db(path), time.process_time() - before


def librosa_pool(job: Job) -> Work:
    """The same in processes that have all started."""
    context = multiprocessing.get_context("spawn")
    everyone = context.Barrier(job["threads"] + 1)
    pool = context.Pool(job["threads"], _start, (everyone,))
    everyone.wait()

    def work(files: list[str]) -> float:
        found = list(pool.imap(_with_cpu, files))
        np.save(job["scratch"], np.stack([features for features, _ in found]))
        return sum(cpu for _, cpu in found)

    return work


def torch_log_mel() -> Callable[[np.ndarray], np.ndarray]:
    """(clips, samples) to (clips, frames, mels); inference mode holds in one thread only."""
    import torch
    from torchaudio.transforms import MelSpectrogram

    mel = MelSpectrogram(
        SR, 2048, hop_length=512, n_mels=128, norm="slaney", mel_scale="slaney", power=2.0,
        pad_mode="constant",
    )  # fmt: skip

    def log_mel(y: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            db = mel(torch.from_numpy(y)).clamp_(min=1e-10).log10_().mul_(10)
            db = db.sub_(db.amax(dim=(1, 2), keepdim=True)).clamp_(min=-80.0)
            return db[..., :FRAMES].transpose(1, 2).contiguous().numpy()

    return log_mel


def torch_a_clip(job: Job) -> Work:
    """Each thread takes a file all the way."""
    import torch

    torch.set_num_threads(job["torch_threads"])
    log_mel, pool = torch_log_mel(), ThreadPoolExecutor(job["threads"])

    def work(files: list[str]) -> None:
        list(pool.map(lambda path: log_mel(clip(path)[None])[0], files))

    return work


def torch_batched(job: Job) -> Work:
    """Threads decode ahead, the main thread takes batches."""
    import torch

    torch.set_num_threads(job["torch_threads"])
    log_mel, pool = torch_log_mel(), ThreadPoolExecutor(job["threads"])

    def work(files: list[str]) -> None:
        kept = []
        clips = _ahead(pool, files, 2 * BATCH)
        while group := list(islice(clips, BATCH)):
            batch = np.zeros((len(group), SECONDS * SR), np.float32)
            for row, y in zip(batch, group, strict=True):
                row[: len(y)] = y
            kept.append(log_mel(batch))

    return work


def _ahead(pool: ThreadPoolExecutor, files: list[str], count: int) -> Iterator[np.ndarray]:
    waiting = deque()
    for path in files:
        waiting.append(pool.submit(clip, path))
        if len(waiting) > count:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


CONTENDERS: dict[str, Callable[[Job], Work]] = {
    "kit": kit,
    "floor": floor,
    "librosa_loop": librosa_loop,
    "librosa_pool": librosa_pool,
    "torch_a_clip": torch_a_clip,
    "torch_batched": torch_batched,
}


def agreement(folder: str, workers: int | None, skip: list[str]) -> dict[str, float]:
    """Return the largest differences from kit's features, dB, above librosa's floor."""
    track_ids, files, store = with_kit(folder, workers)
    ours = store.read(track_ids)
    theirs = np.stack([librosa_db(path) for path in files])
    above = theirs > -80 + 1e-3
    found = {"librosa": float(np.abs(theirs - ours)[above].max())}
    if "torchaudio" not in skip:
        log_mel = torch_log_mel()
        with_torch = np.stack([log_mel(clip(path)[None])[0] for path in files])
        found["torchaudio"] = float(np.abs(with_torch - ours)[above].max())
    return found


def stages(files: list[str], scratch: str) -> dict[str, float]:
    """CPU ms a track of each stage of kit and of the floor, one after another, least of five."""
    import hashlib

    import soundfile

    from kit.defaults import ORIGINAL_FEATURES
    from kit.features import FeatureStore
    from kit.features.decoders import reader
    from kit.features.device import local_device
    from kit.features.excerpts import room
    from kit.features.schedule import Track

    class Sequential(soundfile.SoundFile):
        """One that does not seek after every read."""

        def seekable(self) -> bool:
            return False

    config, device = ORIGINAL_FEATURES, local_device()
    read, buffer = reader(config), room(config)
    blocks: dict[int, np.ndarray] = {}
    tracks, clips = [], []
    for i, file in enumerate(files):
        digest = hashlib.sha256(Path(file).read_bytes()).hexdigest()
        tracks.append(Track(i, str(i), digest, Path(file)))
        clips.append((room(config), read(tracks[-1], buffer)[0]))
        clips[-1][0][:] = buffer

    def libsndfile(i: int) -> None:
        with Sequential(files[i]) as file:
            block = blocks.setdefault(file.channels, np.empty((1 << 16, file.channels), "f4"))
            for _ in range(-(-SECONDS * file.samplerate // len(block))):
                file.read(len(block), out=block)

    def log_mel(i: int) -> np.ndarray:
        samples, length = clips[i]
        return device.submit([(samples[0], length)], config).result()[0][0]

    def least(work: Callable[[int], object]) -> float:
        work(0)
        total = 0.0
        for i in range(len(files)):
            took = []
            for _ in range(5):
                before = time.process_time()
                work(i)
                took.append(time.process_time() - before)
            total += min(took)
        return 1e3 * total / len(files)

    features = np.stack([log_mel(i) for i in range(len(files))])

    def write(_: int) -> None:
        store = FeatureStore.create(Path(scratch) / "stages.zarr", config, ["a"])
        ids = [track.track_id for track in tracks]
        store.write(ids, [track.source_hash for track in tracks], features)

    found = {
        "libsndfile alone": least(libsndfile),
        "floor": least(lambda i: clip(files[i])),
        "kit: hash, decode, mix, resample, check": least(lambda i: read(tracks[i], buffer)),
        "kit: log-mel": least(log_mel),
    }
    before = time.process_time()
    write(0)
    found["kit: store"] = 1e3 * (time.process_time() - before) / len(files)
    return found


def cpu() -> float:
    """CPU seconds of this process and of those children that have ended."""
    used = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def main() -> None:
    job = json.loads(sys.stdin.readline())
    warnings.simplefilter("ignore")
    if job["contender"] == "agreement":
        result = agreement(job["warm"], job["threads"], job["skip"])
    elif job["contender"] == "stages":
        result = stages(job["files"], job["scratch"])
    else:
        work = CONTENDERS[job["contender"]](job)
        before = time.perf_counter()
        work(job["warm"])
        warmed, used = time.perf_counter(), cpu()
        elsewhere = work(job["files"]) or 0.0
        result = {
            "wall_s": time.perf_counter() - warmed,
            "cpu_s": cpu() - used + elsewhere,
            "warm_up_s": warmed - before,
        }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
