"""What a figure is: a data frame in, axes out. `README.md` shows how to add one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, Literal, NamedTuple, TypeVar

import pandas as pd
from matplotlib.axes import Axes

from reports.figures import style
from reports.figures.labels import label_ends, label_heights, named_lines
from reports.figures.selection import MAX_HIGHLIGHTED
from reports.figures.style import Styles
from reports.formats.markdown import FIGURES_FOLDER, plural
from results.store import ResultsError

Source = TypeVar("Source")


class Words(NamedTuple):
    """What is said of a figure."""

    alt: str
    """The figure for somebody who cannot see it: the kind of chart, and its main numbers."""
    caption: str
    """One or two sentences below the figure: what is shown, and what lines, bands and dots stand for."""


@dataclass(frozen=True, slots=True)
class FigureFile:
    """A figure on disk and its words."""

    file: str
    """Name of the PNG inside the folder of figures; the SVG and the CSV differ in the suffix."""
    alt: str
    caption: str


class Figure(ABC, Generic[Source]):
    """One figure. Source: what it is made from; in the report of a run, the `DatasetView` of a data set."""

    name: ClassVar[str]
    """The end of its file names."""
    legend: ClassVar[Literal["ends", "margin", "lines", "markers", None]] = "ends"
    """How the methods in the frame's column `method` are named: right of the last panel, at the ends of its lines or at
    their heights in the margin; or in a legend of lines or markers; None: the figure does it itself."""
    share: ClassVar[Literal["x", "y", None]] = None
    """Whether all panels have the same x axis or the same y axis."""

    @abstractmethod
    def frame(self, source: Source) -> pd.DataFrame | None:
        """One row for each mark that is drawn, as it is written to the CSV; None or empty: nothing to draw.

        Names of columns carry units. The column `method` has labels of methods.
        """

    def layout(self, frame: pd.DataFrame) -> tuple[int, int, float]:
        """Rows of panels, panels per row, and the height of the whole figure in inches."""
        return 1, 1, style.HEIGHT_INCHES

    @abstractmethod
    def draw(self, frame: pd.DataFrame, axes: Sequence[Axes], styles: Styles) -> None:
        """Draw the frame into the panels (row by row); `styles` has the colour and marker of each method."""

    @abstractmethod
    def words(self, frame: pd.DataFrame, source: Source) -> Words:
        """The alternative text and the caption."""

    def write(self, source: Source, folder: Path, styles: Styles, prefix: str = "") -> FigureFile | None:
        """Write `folder/<prefix><name>.png`, `.svg` and `.csv`; None if there is nothing to draw.

        Raises:
            OSError: the folder cannot be written to.
        """
        frame = self.frame(source)
        if frame is None or frame.empty:
            return None
        path = folder / f"{prefix}{self.name}.png"
        with style.themed():
            figure, axes = style.new_figure(*self.layout(frame), share=self.share)
            used = {method: styles[method] for method in styles if method in set(frame["method"])}
            if len(used) <= MAX_HIGHLIGHTED:
                used = style.highlight(used, used)
            self.draw(frame, axes, used)
            named = named_lines(axes[-1], used)
            if self.legend == "ends":
                label_ends(axes[-1], named, used)
            elif self.legend == "margin":
                label_heights(axes[-1], named, used)
            elif self.legend is not None:
                style.add_legend(figure, used, lines=self.legend == "lines")
            style.save(figure, path, frame)
        words = self.words(frame, source)
        faded = len(used) - len(named) if self.legend in ("ends", "margin") else 0
        grey = f" Thin grey: {plural(faded, 'other method')}." if faded else ""
        return FigureFile(path.name, words.alt, words.caption + grey)


def write_all(
    figures: Iterable[Figure[Source]], source: Source, folder: Path, styles: Styles, prefix: str = ""
) -> list[FigureFile]:
    """Write those figures that have something to draw into a report's folder.

    Raises:
        ResultsError: it cannot be written to.
    """
    try:
        (folder / FIGURES_FOLDER).mkdir(exist_ok=True)
        drawn = [each.write(source, folder / FIGURES_FOLDER, styles, prefix) for each in figures]
    except OSError as error:
        raise ResultsError(f"cannot write to {folder / FIGURES_FOLDER}: {error.strerror or error}") from None
    return [each for each in drawn if each]
