"""Figures beside their targets, as Markdown tables that can be pasted."""


class Table:
    """Rows of text under a title; printed when the part is done."""

    def __init__(self, title, *columns):
        self.title, self.columns, self.rows = title, columns, []

    def row(self, *cells):
        self.rows.append([str(cell) for cell in cells])

    def __str__(self):
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        return f"{self.title}:\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


class Figures(Table):
    """What is measured, against a target."""

    def __init__(self):
        super().__init__("Against the targets", "what", "figure", "target", "")

    def at_most(self, what, value, target, unit=""):
        self.add(what, value, f"≤ {number(target)}{unit}", value <= target, unit)

    def at_least(self, what, value, target, unit=""):
        self.add(what, value, f"≥ {number(target)}{unit}", value >= target, unit)

    def beside(self, what, value, unit=""):
        """A figure without a target, to read the others by."""
        self.row(what, number(value) + unit, "", "")

    def add(self, what, value, target, reached, unit):
        self.row(what, number(value) + unit, target, "reached" if reached else "missed")


def number(value):
    """Three figures are all that such a measurement has."""
    if isinstance(value, int):
        return f"{value:,}"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
