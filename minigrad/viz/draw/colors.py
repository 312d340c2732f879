"""The colours of pages, graphs and plots."""

# Colours of lines and points. Okabe and Ito, "Color Universal Design" (2008): distinguishable with
# colour blindness, and in this order in print.
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")

LIGHT = {
    "paper": "#ffffff",
    "ink": "#1b1f24",
    "faint": "#5b6470",
    "line": "#c9cfd6",
    "panel": "#f5f6f8",
    "active": "#b3261e",
    "edge": "#8a939e",
    "focus": "#0b57d0",
    "wrong": "#b3261e",
    "mark": "#fff3b8",
    "low": SERIES[1],
    "high": SERIES[0],
    # By op family
    "leaf": "#e3f1e5",
    "constant": "#eceef1",
    "unary": "#e1ecfb",
    "binary": "#fdeedc",
    "reduce": "#efe4f8",
    "movement": "#e0f3f3",
    "processing": "#fbe3e8",
    "group": "#f5f6f8",
}
DARK = LIGHT | {
    "paper": "#14171b",
    "ink": "#e9ecef",
    "faint": "#a7b0ba",
    "line": "#434b55",
    "panel": "#1d2126",
    "active": "#ffb4a8",
    "edge": "#77818c",
    "focus": "#8ab4f8",
    "wrong": "#ffb4a8",
    "mark": "#544a14",
    "leaf": "#1f3a25",
    "constant": "#2b3036",
    "unary": "#1d3350",
    "binary": "#46331a",
    "reduce": "#38264a",
    "movement": "#163c3c",
    "processing": "#4a222c",
    "group": "#1d2126",
}
