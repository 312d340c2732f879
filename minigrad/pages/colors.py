"""The colours of pages, graphs and plots."""

# Colours of lines and points. Okabe and Ito, "Color Universal Design" (2008): distinguishable with
# colour blindness, and in this order in print.
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")

# The same on a dark ground.
SERIES_DARK = ("#4ea3e0", "#f08a4b", "#3cc79a", "#e3a1c4", "#f2bd4a", "#9ad3f5", "#e9ecef")


def numbered(colors: tuple[str, ...]) -> dict[str, str]:
    return {f"series-{k}": color for k, color in enumerate(colors, start=1)}


LIGHT = {
    "paper": "#ffffff",
    "ink": "#1b1f24",
    "faint": "#5b6470",
    "line": "#d9dee4",
    "panel": "#f5f6f8",
    "active": "#8a1fa8",  # the reverse pass, and what it lights up
    "edge": "#868f9a",
    "focus": "#0b57d0",  # the forward pass, controls, what is selected
    "on-focus": "#ffffff",  # text on it
    "wrong": "#b3261e",
    "mark": "#fff3b8",
    "good": "#1a7a3c",
    "low": SERIES[1],  # negative numbers
    "high": SERIES[0],  # positive numbers
    # By op family
    "leaf": "#e3f1e5",
    "constant": "#eceef1",
    "unary": "#e1ecfb",
    "binary": "#fdeedc",
    "reduce": "#efe4f8",
    "movement": "#e0f3f3",
    "processing": "#fbe3e8",
    "group": "#f5f6f8",
    **numbered(SERIES),
}
DARK = LIGHT | {
    "paper": "#14171b",
    "ink": "#e9ecef",
    "faint": "#a7b0ba",
    "line": "#353c45",
    "panel": "#1d2126",
    "active": "#e3a6f5",
    "edge": "#77818c",
    "focus": "#8ab4f8",
    "on-focus": "#10233f",
    "wrong": "#ffb4a8",
    "mark": "#544a14",
    "good": "#7fd79b",
    "low": SERIES_DARK[1],
    "high": SERIES_DARK[0],
    "leaf": "#1f3a25",
    "constant": "#2b3036",
    "unary": "#1d3350",
    "binary": "#46331a",
    "reduce": "#38264a",
    "movement": "#163c3c",
    "processing": "#4a222c",
    "group": "#1d2126",
    **numbered(SERIES_DARK),
}
