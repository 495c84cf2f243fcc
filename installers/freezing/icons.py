"""The program's icon in the forms that systems want, drawn from assets/mark.svg.

Usage: python -m installers.freezing.icons [FOLDER]        (default: build/icons)
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from installers.freezing.layout import NAME, ROOT

if TYPE_CHECKING:
    from PIL.Image import Image

MARK: Final = ROOT / "assets" / "mark.svg"
FOLDER: Final = ROOT / "build" / "icons"
SIZES: Final = (16, 20, 24, 32, 40, 48, 64, 128, 256, 512, 1024)
_LARGEST_OF_WINDOWS: Final = 256


def drawn(size: int) -> Image:
    """A square picture, its edges in pixels."""
    from PIL import Image
    from PySide6.QtCore import QBuffer, QIODevice
    from PySide6.QtGui import QImage, QPainter
    from PySide6.QtSvg import QSvgRenderer

    image = QImage(size, size, QImage.Format.Format_ARGB32)
    image.fill(0)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    QSvgRenderer(str(MARK)).render(painter)
    painter.end()
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")
    return Image.open(io.BytesIO(bytes(buffer.data().data()))).convert("RGBA")


def write(folder: Path = FOLDER) -> Path:
    """Put kubiya-worker.ico, kubiya-worker.icns and NAME-SIZE.png (pixels) there; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {size: drawn(size) for size in SIZES}
    for size, picture in pictures.items():
        picture.save(folder / f"{NAME}-{size}.png")
    small = [pictures[size] for size in SIZES if size <= _LARGEST_OF_WINDOWS]
    small[-1].save(
        folder / f"{NAME}.ico", sizes=[one.size for one in small], append_images=small[:-1], bitmap_format="png"
    )  # fmt: skip
    pictures[1024].save(folder / f"{NAME}.icns", append_images=[pictures[size] for size in (32, 64, 128, 256, 512)])
    return folder


def of_a_program() -> str | None:
    """The path of what PyInstaller puts into programs of this system; None: they have no icon here."""
    forms = {"win32": ".ico", "darwin": ".icns"}
    return str(write() / f"{NAME}{forms[sys.platform]}") if sys.platform in forms else None


if __name__ == "__main__":
    print(write(*map(Path, sys.argv[1:2])))
