"""Trains a network: python train.py --dataset_folder DIR"""

import logging
import math
import sys
import time
import uuid
from argparse import Namespace
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from augmentations import Augmentation
from commons import devices, runs
from commons.checkpoints import load_checkpoint, save_checkpoint
from commons.compiling import check_compiler, compile_in_place
from commons.distributed import any_process, average_gradients, share_from_main
from commons.errors import PlacewiseError, UsageError, first_line, run, stopped, stopping_tells
from commons.logging import log_to, setup_logging
from commons.options import with_options
from commons.seeding import random_states, restore_random_states, seed_everything
from commons.signals import StopSignal
from commons.trackers import start_trackers
from datasets.decoding import ImageFiles, UnreadableImages
from datasets.device_decoding import choose_decoder
from datasets.fingerprints import fingerprints
from datasets.grouping import make_groups
from datasets.image_cache import cached_images
from datasets.layouts import TestFolders, check_sets, test_folders, train_folder, validation_folders
from datasets.places import Places
from datasets.reading import read_images, read_places
from datasets.test_dataset import image_batches, read_test_set
from datasets.train_dataset import to_device, train_loader
from datasets.unlabelled import ImageSampler, ImageStream
from demo import SIZES as DEMO_SIZES
from demo.write import make_demo
from eval import CACHE, evaluate, load_published_network, report
from losses import make_loss
from losses.self_supervised import SELF_SUPERVISED
from methods import METHODS
from metrics.recall import recalls_of
from model.cost import network_cost
from model.network import GeoLocalizationNet, fit_pca_layer, initialise_aggregation, network_settings
from model.pretrained import load_network, load_pretrained
from parser import configuration, parse_train_arguments
from reports.curves import save_training_curves
from retrieval.index import check_index
from tasks.adaptation import adaptation_records
from training.adaptation import DESCRIPTOR_ADAPTATIONS, IMAGE_ADAPTATIONS
from training.extras import Extras
from training.optimizers import build_optimizer, read_optimizer_options
from training.schedules import Schedule

CLUSTER_IMAGES = 512
PCA_IMAGES = 4096


def main() -> None:
    """Entry point."""
    args = parse_train_arguments()
    flags = configuration(args)
    stop = StopSignal()
    devices.keep_freed_memory()
    accelerator = devices.make_accelerator(args.device)
    device, is_main = accelerator.device, accelerator.is_main_process
    if args.cache_images == "ram" and accelerator.num_processes > 1:
        raise UsageError("--cache_images ram: every process would hold all images, use --cache_images disk")
    check_batches(args, accelerator.num_processes)
    seed_everything(args.seed)
    checkpoint = load_checkpoint(args.resume_train) if args.resume_train else None
    precision = devices.choose_precision(args.precision, device)
    if args.compile:
        check_compiler(device)

    #### Data
    if args.dataset_folder in DEMO_SIZES:
        with accelerator.main_process_first():
            args.dataset_folder = str(make_demo(CACHE / args.dataset_folder, args.dataset_folder))
    train_set = train_folder(args.dataset_folder, args.train_set_folder)
    val_folders = validation_folders(args.dataset_folder, args.val_set_folder, args.queries_folder)
    test_set_folders = find_test_sets(args)
    val_folders, *test_set_folders = check_sets([val_folders, *test_set_folders], args.queries_folder)
    runs.check_run_folder(args.save_dir, args.output_folder, resuming=checkpoint is not None)
    setup_logging(quiet=not is_main)
    logging.info(" ".join(sys.argv))
    logging.info(f"Device: {device}, precision {precision}, {accelerator.num_processes} process(es)")
    groups = []
    if METHODS[args.method].losses:
        with accelerator.main_process_first():
            places = read_places(train_set, cache=CACHE)
        grid = dict(M=args.M, alpha=args.alpha, N=args.N, L=args.L, groups_num=args.groups_num)
        with accelerator.main_process_first():
            groups = make_groups(places, **grid, min_images_per_class=args.min_images_per_class, cache=CACHE)
    else:
        places = read_images(train_set)
        logging.info(f"{len(places)} training images, without labels")
    targets = read_images(args.target_folder) if args.target_folder else None
    val_set = read_test_set(val_folders)
    test_sets = [read_test_set(test) for test in test_set_folders]
    for test_set in (val_set, *test_sets):
        logging.info(str(test_set))
        check_index(args.index, len(test_set.database))
    if not test_sets:
        logging.info("No test set: give --test_set_folder, or measure best_model.pth with eval.py later")

    #### Network, loss, optimizers
    network, earlier = build_network(args, accelerator, checkpoint is None)
    if checkpoint is not None:
        earlier = checkpoint.get("targets", {})
    cost = network_cost(network, args.image_size)
    seen_targets = dict(earlier)
    if targets:
        seen_targets[str(Path(args.target_folder).resolve())] = torch.from_numpy(fingerprints(targets))
        logging.info(f"Adaptation to {len(targets)} images of {args.target_folder}")
    records = adaptation_records((val_set, *test_sets), seen_targets) if is_main else {}
    method = METHODS[args.method](
        groups=groups,
        loss=make_loss(args.loss, args.loss_options, args.miner, args.miner_options),
        descriptor_dim=network.descriptor_dim,
        classifiers_lr=args.classifiers_lr,
        places=places,
        min_images_per_class=args.min_images_per_class,
        **args.method_options,
    )
    sampler = method.sampler(
        args.batch_size, args.iterations_per_epoch, args.seed, accelerator.process_index, accelerator.num_processes
    )
    logging.info(f"Method: {describe_training(args)}")
    shorter_side = args.image_size if args.resize_test_imgs else None
    with accelerator.main_process_first():
        train_images = cached_images(places, args.image_size, args.cache_images, CACHE)
        val_images = {
            what: cached_images(part, shorter_side, args.cache_images, CACHE)
            for what, part in (("database", val_set.database), ("queries", val_set.queries))
        }
        target_images = cached_images(targets, args.image_size, args.cache_images, CACHE) if targets else None
    if checkpoint is None and not (args.resume_model or args.pretrained_model):
        start_aggregation(network, args, places, device, precision)
    if device.type == "cpu":
        devices.depthwise_in_fp32(network)
    average = None
    if args.ema:
        average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(args.ema), use_buffers=True)
    networks = [network] if average is None else [network, average.module]
    tested = networks[-1]
    if args.compile:
        for each in networks:
            compile_in_place(each)
    test_precision = devices.choose_precision(args.precision, device, described_by=network)
    if test_precision != precision:
        logging.info(f"Validation and test in {test_precision}")
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    options = read_optimizer_options(args.optimizer_options)
    optimizer = build_optimizer(network, args.optimizer, args.lr, args.weight_decay, args.layer_decay, options)
    schedule = Schedule(
        args.scheduler, optimizer, args.epochs_num, args.iterations_per_epoch, args.warmup_iterations,
        args.milestones, args.lr_gamma, args.plateau_patience,
    )  # fmt: skip
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
    augment = Augmentation(
        args.brightness, args.contrast, args.saturation, args.hue, args.random_resized_crop, args.color_jitter,
        args.augmentations, args.augmentation_options,
    )  # fmt: skip
    decoder = choose_decoder(args.decode, train_images, device, args.num_workers)
    if device.type == "cuda":
        args.decode = "gpu" if decoder else "cpu"  # a resumed run shall see the same pixels
    loader = train_loader(train_images, sampler, args.num_workers, device.type == "cuda", decoder)
    extras = make_extras(args, network.descriptor_dim, target_images, accelerator, decoder)
    unreadable = UnreadableImages(len(places))

    #### The run's folder: from here on no mistake in flags or data is to be expected that would leave an empty one
    folder, checkpoint_file = None, args.resume_train or "last_checkpoint.pth of its folder"
    if is_main:
        folder = runs.make_run_folder(args.save_dir, args.output_folder)
        checkpoint_file = folder / "last_checkpoint.pth"
        log_to(folder)
        logging.info(f"The run's folder is {folder}")
        if checkpoint is not None:
            flags = runs.prolong(folder, flags, checkpoint["config"], vars(args))
        runs.save_config(flags, folder)
        record = {"kind": "training", "config": vars(args), "network": cost, "validation": val_set.name}
        runs.save_record(folder, **record, precision=precision, processes=accelerator.num_processes)
    test = partial(
        evaluate,
        tested,
        accelerator=accelerator,
        precision=test_precision,
        batch_size=args.infer_batch_size,
        num_workers=args.num_workers,
        shorter_side=shorter_side,
        threshold=args.positive_dist_threshold,
        predictions=args.num_preds_to_save,
        index=args.index,
        scratch_folder=folder,
    )

    #### Where the run stands: all that a resumed run needs beside the weights
    seed_everything(args.seed, accelerator.process_index)
    state = {
        "epoch": 0,
        "iteration": 0,
        "loss_sum": 0.0,
        "seconds": 0.0,
        "best_recall": -1.0,
        "best_epoch": 0,
        "history": [],
        "results": {},
        "run_id": uuid.uuid4().hex,
    }
    parts = {"network": network, "method": method, "optimizer": optimizer, "extras": extras, "schedule": schedule}
    if average is not None:
        parts["average"] = average
    if checkpoint is not None:
        # Those of earlier versions had fewer parts.
        state |= restore(
            checkpoint, args, {name: parts[name] for name in parts if name in checkpoint}, scaler, accelerator
        )
        logging.info(f"Going on with epoch {state['epoch']} at iteration {state['iteration']}")
    if is_main:
        start_trackers(accelerator, args.trackers, folder, flags, state["run_id"], state["epoch"])
    wrapped = accelerator.prepare_model(network)

    def save() -> None:
        rng = gather_object([random_states()])
        if is_main:
            states = {name: part.state_dict() for name, part in parts.items()}
            states |= {"scaler": scaler.state_dict(), "targets": seen_targets}
            position = state | {"random_states": rng}
            save_checkpoint(states | {"config": vars(args), "position": position}, checkpoint_file)

    def save_best() -> None:
        if is_main:
            best = {"network": tested.state_dict(), "config": vars(args), "epoch": state["epoch"]}
            best |= {"results": state["results"], "targets": seen_targets}
            save_checkpoint(best, folder / "best_model.pth")

    if checkpoint is None:
        if args.test_untrained or args.epochs_num == 0:
            before = adaptation_records((val_set, *test_sets), earlier) if is_main else {}
            for test_set in (val_set, *test_sets):
                evaluation = test(test_set, sources=val_images if test_set is val_set else None)
                if is_main:
                    results = evaluation.results | before.get(test_set.name, {})
                    state["results"][f"{test_set.name}, before training"] = results
        save()
        if args.epochs_num == 0:
            save_best()

    #### Training
    # To hear whether another process was stopped one waits for its GPU, so several GPUs ask seldom.
    several_gpus = accelerator.num_processes > 1 and device.type == "cuda"
    ask_every = 10 * args.accumulate if several_gpus else args.accumulate
    for epoch in range(state["epoch"], args.epochs_num):
        if args.patience and epoch - state["best_epoch"] > args.patience:
            logging.info(f"No better validation R@1 in {args.patience} epochs: training ends")
            break
        started, first = time.monotonic(), state["iteration"]
        sampler.set_epoch(method.begin_epoch(epoch, device), epoch, first)
        extras.begin_epoch(epoch, first)
        wrapped.train()
        loss_sum = torch.tensor(state["loss_sum"], device=device)
        bar = tqdm(
            loader, f"epoch {epoch}", args.iterations_per_epoch, initial=first, unit="batch", disable=not is_main
        )
        with stop.deferred():
            for iteration, batch in enumerate(bar, first + 1):
                images, labels, failures = to_device(batch, args.image_size, device)
                for failure in failures:
                    unreadable.add(*failure)
                if not len(images):
                    raise PlacewiseError(f"no image of a batch can be decoded, the last one is {failures[-1][0]}")
                images = extras.images(images, augment)
                with devices.autocast(device, precision):
                    descriptors = wrapped(images)
                done = (epoch * args.iterations_per_epoch + iteration) / (args.epochs_num * args.iterations_per_epoch)
                loss = method.loss(descriptors[: len(labels)], labels) + extras.loss(descriptors, len(labels), done)
                optimizers = (optimizer, *method.optimizers, *extras.optimizers)
                if (iteration - 1) % args.accumulate == 0:
                    for each in optimizers:
                        each.zero_grad()
                scaler.scale(loss / args.accumulate).backward()
                stepping = iteration % args.accumulate == 0
                if stepping:
                    average_gradients([*method.parameters, *extras.parameters], accelerator)
                    schedule.begin_iteration(epoch, iteration - 1)
                    if args.clip_grad:
                        scaler.unscale_(optimizer)
                        torch.nn.utils.clip_grad_norm_(trained, args.clip_grad)
                    for each in optimizers:
                        scaler.step(each)
                    scaler.update()
                    if average is not None:
                        average.update_parameters(network)
                loss_sum += loss.detach()
                state["iteration"] = iteration
                if iteration % 10 == 0 or iteration == args.iterations_per_epoch:
                    show_progress(bar, float(loss_sum) / iteration, (iteration - first) * args.batch_size, started)
                if iteration % ask_every == 0 and any_process(stop.requested, accelerator):
                    break
            bar.close()
            method.end_epoch()
            for each in networks:  # in one order, so that all processes send and take the same buffers
                share_from_main(each.buffers(), accelerator)
            state["loss_sum"] = float(loss_sum)
            state["seconds"] += time.monotonic() - started
            save()
        if any_process(stop.requested, accelerator):
            raise stopped(checkpoint_file)

        #### Validation
        with stopping_tells(checkpoint_file):
            evaluation = test(val_set, sources=val_images)
        (recall,) = broadcast_object_list([evaluation.results["R@1"] if is_main else None])
        schedule.end_epoch(recall)
        if is_main:
            state["lr"], beside = optimizer.param_groups[-1]["lr"], extras.means(args.iterations_per_epoch)
            log_epoch(
                state, evaluation.results, beside, args.iterations_per_epoch, args.batch_size, folder, accelerator
            )
        if recall > state["best_recall"]:
            state |= {"best_recall": recall, "best_epoch": epoch}
            if is_main:
                state["results"][val_set.name] = evaluation.results
                save_best()
        state |= {"epoch": epoch + 1, "iteration": 0, "loss_sum": 0.0, "seconds": 0.0}
        save()

    #### Test of the best network
    evaluations = {}
    if args.epochs_num > 0:
        load_best(tested, args, accelerator, folder)
        with stopping_tells(checkpoint_file):
            evaluations = {test_set.name: test(test_set) for test_set in test_sets}
    if is_main:
        for name, evaluation in evaluations.items():
            recalls = recalls_of(evaluation.results)
            accelerator.log({f"{name}, {recall}": value for recall, value in recalls.items()}, args.epochs_num)
        report(evaluations, folder, args.num_preds_to_save, args.save_only_wrong_preds, state["results"], records)
        logging.info(f"Finished: everything is in {folder}")
    accelerator.end_training()


def check_batches(args: Namespace, processes: int) -> None:
    """Refuses batches that the method, or what stands beside it, cannot train with, before any file is read."""
    METHODS[args.method].check(args.batch_size, processes, **args.method_options)
    beside = {"a loss on two views": args.self_supervised_weight, "--adaptation coral": "coral" in args.adaptation}
    for what, wanted in beside.items():
        if wanted and args.batch_size < 2 * processes:
            raise UsageError(
                f"--batch_size {args.batch_size}: {what} compares the images of a batch, and each of the {processes} "
                f"process(es) needs two: raise it to {2 * processes}"
            )


def find_test_sets(args: Namespace) -> list[TestFolders]:
    """Returns the test sets to measure at the end; none where the data set has no test folder."""
    if args.test_set_folder is None and (args.dataset_folder is None or not Path(args.dataset_folder, "test").is_dir()):
        return []
    folder = args.test_set_folder or Path(args.dataset_folder) / "test"
    name = None if args.test_set_folder else f"{Path(args.dataset_folder).resolve().name}/test"
    return [test_folders(folder, args.queries_folder, name)]


def describe_training(args: Namespace) -> str:
    """Returns the method, the loss and the miner with their options, for the log."""
    parts = [with_options(args.method, args.method_options)]
    if args.loss != "none":
        parts.append(f"loss {with_options(args.loss, args.loss_options)}")
    if args.miner != "none":
        parts.append(f"miner {with_options(args.miner, args.miner_options)}")
    if args.self_supervised_weight:
        loss = with_options(args.self_supervised_loss, args.self_supervised_loss_options)
        parts.append(f"{args.self_supervised_weight:g} * {loss} on two views")
    for name in args.adaptation:
        weight = f"{args.adaptation_weight:g} * " if name in DESCRIPTOR_ADAPTATIONS else ""
        parts.append(f"{weight}{with_options(name, args.adaptation_options[name])}")
    return ", ".join(parts)


def make_extras(
    args: Namespace,
    descriptor_dim: int,
    targets: ImageFiles | None,
    accelerator: Accelerator,
    decoder: torch.device | None,
) -> Extras:
    """Builds what is trained beside the method: the self-supervised loss and the adaptation to target images."""
    share = (accelerator.process_index, accelerator.num_processes)
    losses, weights, views = {}, {}, None
    if args.self_supervised_weight:
        views = args.self_supervised_loss
        losses[views] = SELF_SUPERVISED[views](descriptor_dim, **args.self_supervised_loss_options)
        weights[views] = args.self_supervised_weight
    for name in args.adaptation:
        if name in DESCRIPTOR_ADAPTATIONS:
            losses[name] = DESCRIPTOR_ADAPTATIONS[name](descriptor_dim, **args.adaptation_options[name])
            weights[name] = args.adaptation_weight
    looks = [IMAGE_ADAPTATIONS[n](**args.adaptation_options[n]) for n in args.adaptation if n in IMAGE_ADAPTATIONS]
    stream = None
    if targets is not None:
        # A seed of its own, which no run can have: a set as large as selfsup's would come in the same order.
        seed = args.seed + 2**32
        sampler = ImageSampler(len(targets.places), args.batch_size, args.iterations_per_epoch, seed, *share)
        stream = ImageStream(targets, sampler, args.num_workers, accelerator.device, decoder)
    return Extras(losses, weights, views, looks, stream, args.auxiliary_lr, accelerator.device)


def build_network(
    args: Namespace, accelerator: Accelerator, first_start: bool
) -> tuple[GeoLocalizationNet, dict[str, torch.Tensor]]:
    """Builds the network on its device; its first weights are only fetched if a checkpoint will not overwrite them.

    Returns:
        It, and the fingerprints of images that its first weights were adapted to, by their folders.
    """
    trained, config = None, {}
    if first_start and (args.resume_model or args.pretrained_model):
        if args.resume_model:
            trained, config = load_network(args.resume_model)
            logging.info(
                f"Network: {config['backbone']}, {trained.descriptor_dim} dimensions, from {args.resume_model}"
            )
        else:
            trained, config = load_published_network(args.pretrained_model, args.pretrained_model_file, accelerator)
        vars(args).update(network_settings(config))
    network = GeoLocalizationNet(
        **network_settings(vars(args)),
        train_all_layers=args.train_all_layers,
        num_trainable_blocks=args.num_trainable_blocks,
        freeze_batch_norm=args.freeze_batch_norm,
        freeze=args.freeze,
    )
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise UsageError(
            "nothing of the network would be trained: raise --num_trainable_blocks, name fewer blocks in --freeze, or "
            "add a layer with --fc_output_dim"
        )
    if trained is not None:
        network.load_state_dict(trained.state_dict())
    elif first_start:
        with accelerator.main_process_first():
            source = load_pretrained(network.backbone, args.backbone, args.pretrained)
        cut = f" cut after {args.cut_after}" if args.cut_after else ""
        logging.info(
            f"Network: {args.backbone}{cut} with {source}, {args.aggregation}, {network.descriptor_dim} dimensions"
        )
    return network.to(accelerator.device, memory_format=torch.channels_last), config.get("targets", {})


def start_aggregation(
    network: GeoLocalizationNet, args: Namespace, places: Places, device: torch.device, precision: str
) -> None:
    """Sets what the aggregation learns from training images before training: NetVLAD's clusters, the layer's PCA."""

    def sample(count: int) -> Places:
        return places.take(np.arange(0, len(places), -(-len(places) // count)))

    def images(sample: Places, what: str) -> Iterator[torch.Tensor]:
        source = ImageFiles(sample, args.image_size)
        batches = image_batches(source, args.infer_batch_size, args.num_workers, device)
        for _, batch in tqdm(batches, what, -(-len(sample) // args.infer_batch_size)):
            yield batch.to(device)

    with devices.autocast(device, precision):
        if hasattr(network.aggregation, "initialise"):
            few = sample(CLUSTER_IMAGES)
            initialise_aggregation(network, images(few, "clusters"))
            logging.info(f"The clusters start from k-means on {len(few)} images' local features")
        if args.fc_init == "pca":
            many = sample(PCA_IMAGES)
            kept = fit_pca_layer(network, images(many, "PCA"))
            source = f"{len(many)} images' features"
            logging.info(f"The linear layer starts as a PCA of {source} and keeps {kept:.1%} of their variance")


def restore(
    checkpoint: dict,
    args: Namespace,
    parts: dict[str, Any],
    scaler: torch.amp.GradScaler,
    accelerator: Accelerator,
) -> dict:
    """Loads everything a checkpoint holds and returns where its run stood."""
    try:
        for name, part in parts.items():
            part.load_state_dict(checkpoint[name])
        if checkpoint["scaler"] and scaler.is_enabled():
            scaler.load_state_dict(checkpoint["scaler"])
    except (KeyError, ValueError, RuntimeError) as error:
        raise PlacewiseError(
            f"--resume_train {args.resume_train}: its {name} does not fit ({first_line(error)}); have "
            "the training images changed since, or was it made by another version?"
        ) from error
    position = dict(checkpoint["position"])
    if position["best_recall"] >= 0 and not Path(args.output_folder, "best_model.pth").is_file():
        raise PlacewiseError(f"{args.output_folder}: best_model.pth is missing; put it back beside last_checkpoint.pth")
    position.setdefault("best_epoch", position["epoch"])  # earlier versions did not note it
    states = position.pop("random_states")
    restore_random_states(states[accelerator.process_index % len(states)])
    return position


def show_progress(bar: tqdm, loss: float, images: int, started: float) -> None:
    """Writes the mean loss and the speed into the progress bar; stops a run whose loss is no number."""
    if not math.isfinite(loss):
        raise PlacewiseError("the loss is no longer a number: lower --lr or --classifiers_lr, or use --precision fp32")
    bar.set_postfix_str(f"loss {loss:.3f}, {images / (time.monotonic() - started):.0f} img/s")


def log_epoch(
    state: dict,
    results: dict,
    beside: dict[str, float],
    iterations: int,
    batch_size: int,
    folder: Path,
    accelerator: Accelerator,
) -> None:
    """Adds an epoch to metrics.csv, training_curves.png, the trackers and the log.

    Args:
        state: where the run stands.
        results: of the validation.
        beside: means of the losses beside the method's, which "loss" contains with their weights.
        iterations, batch_size: of the epoch.
        folder: of the run.
        accelerator: whose trackers are started.
    """
    speed = iterations * batch_size / state["seconds"]
    recalls = {f"val_{name}": value for name, value in recalls_of(results).items()}
    row = {"epoch": state["epoch"], "loss": state["loss_sum"] / iterations, "images_per_second": speed}
    row |= {f"loss_{name}": value for name, value in beside.items()}
    row |= {"lr": state["lr"], "seconds": state["seconds"]} | recalls
    state["history"] = [old for old in state["history"] if old["epoch"] < state["epoch"]] + [row]
    runs.save_metrics(state["history"], folder / "metrics.csv")
    save_training_curves(folder / "metrics.csv", folder / "training_curves.png")
    accelerator.log(row, state["epoch"])
    logging.info(
        f"Epoch {state['epoch']}: loss {row['loss']:.3f}"
        + (f" ({', '.join(f'{name} {value:.3f}' for name, value in beside.items())})" if beside else "")
        + f", {speed:.0f} images/s, validation "
        + ", ".join(f"{name.removeprefix('val_')} {value:.1f}" for name, value in recalls.items())
    )


def load_best(network: GeoLocalizationNet, args: Namespace, accelerator: Accelerator, folder: Path | None) -> None:
    """Puts the best epoch's weights into the network of every process."""
    if accelerator.is_main_process:
        network.load_state_dict(load_checkpoint(folder / "best_model.pth")["network"])
    share_from_main([*network.parameters(), *network.buffers()], accelerator)


if __name__ == "__main__":
    run(main)
