"""Loading of labeled images: from a dataset spec to checked splits of images of one size."""

from pathlib import Path

from tfpar.data.images.dataset import ImageData, assemble
from tfpar.data.images.folder import read_image_folder
from tfpar.data.images.tfds import read_tfds_images
from tfpar.data.readers.specs import FOLDER, check_options, make_file_notice, parse_spec
from tfpar.errors import UserError

_BUNDLED = {"mnist_5k": "mnist_5k", "orl_faces": "orl_faces"}


def load_images(
    dataset: str = "mnist_5k",
    *,
    image_size: int = 0,
    cut_validation: bool = False,
    group: str = "",
    cache_dir: Path | str | None = None,
) -> ImageData:
    """Load labeled images.

    Published splits are taken as they are. A missing test split is cut from the training images by their md5, class by
    class; `split_rule` of the result says so. Images are gray only if all are. They keep their aspect ratio: where they
    differ in size, black fills them up to squares.

    Args:
        dataset: "mnist_5k" or "orl_faces" (bundled), "tfds:NAME[/CONFIG]", or "folder:PATH", with a sub-folder for each
            class and PNG, JPEG, GIF, BMP, PGM, TIFF or WebP files in it; or with train, validation and test, and the
            classes in them.
        image_size: pixels of the longer side; 0: as they are, or 64 where they differ.
        cut_validation: cut a validation split from training in the same way, if the source has none.
        group: of folder: a regular expression that is searched in a file's path below the folder; files for which its
            first group is the same, such as those of one person, share a split. A file `groups.tsv` in the folder, with
            path, tab and group in each line, says the same.
        cache_dir: where to fetch and prepare; by default $TFPAR_CACHE, else the user's cache directory.

    Raises:
        UserError: the spec, the folder, the size or the classes are not what is needed.
        MissingExtraError: TensorFlow Datasets or Pillow is needed and not installed.
    """
    if image_size and image_size < 8:
        raise UserError(f"image_size must be 0 or at least 8 pixels; got {image_size}")
    kind, rest = parse_spec(dataset, _BUNDLED, holds="images", kinds=FOLDER)
    check_options(dataset, kind, FOLDER, group=group)
    if kind == "tfds":
        collected, notice = read_tfds_images(rest, Path(cache_dir).expanduser() if cache_dir is not None else None)
    else:
        path = Path(rest).expanduser()
        collected, notice = read_image_folder(path, group), make_file_notice(path)
    return assemble(dataset, collected, notice, image_size, cut_validation)
