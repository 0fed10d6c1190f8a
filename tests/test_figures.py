"""One style for all figures, and charts that show what they were given."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure
from skimage.color import deltaE_ciede2000, rgb2lab

from vidgen_tf.errors import CourseError
from vidgen_tf.figures import (
    FAMILIES,
    ROLES,
    color_of,
    compare_bars,
    compare_curves,
    loss_curves,
    running_mean,
    style,
    use_style,
)

# ---------------------------------------------------------------- style

# Machado, Oliveira and Fernandes, 2009, "A physiologically-based model for simulation of color vision deficiency"
COLOR_BLIND = {
    "red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def rgb(color):
    return np.array(matplotlib.colors.to_rgb(color))


def to_linear(values):
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def seen(colors, eyes):
    """Colours as eyes see them that lack one kind of cone; None: all three."""
    values = np.array([rgb(color) for color in colors])
    if eyes is None:
        return values
    linear = np.clip(to_linear(values) @ np.transpose(COLOR_BLIND[eyes]), 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def test_the_same_thing_has_the_same_colour_in_every_chapter():
    assert list(ROLES.items())[:6] == [
        ("real", "#1a1a1a"),
        ("generated", "#2c45fb"),
        ("reconstruction", "#0aa667"),
        ("prediction", "#d9500b"),
        ("reference", "#5c5c5c"),
        ("baseline", "#8c8c8c"),
    ]
    assert list(FAMILIES.items()) == [
        ("dense", "#834463"),
        ("gan", "#d9500b"),
        ("vae", "#0aa667"),
        ("convlstm", "#2c45fb"),
        ("simvp", "#5b8cff"),
        ("rnn", "#007b97"),
        ("diffusion", "#563b93"),
        ("text-to-video", "#a71809"),
    ]


@pytest.mark.parametrize("eyes", [None, *COLOR_BLIND])
def test_colours_can_be_told_apart_by_everybody(eyes):
    together = [ROLES["real"], ROLES["baseline"], *FAMILIES.values()]
    lab = rgb2lab(seen(together, eyes)[None])[0]
    distances = deltaE_ciede2000(lab[:, None], lab[None])[np.triu_indices(len(together), 1)]
    assert distances.min() > 10


@pytest.mark.parametrize("color", sorted({*ROLES.values(), *FAMILIES.values(), *style.CYCLE}))
def test_colours_stand_out_from_the_paper(color):
    luminance = to_linear(rgb(color)) @ [0.2126, 0.7152, 0.0722]
    assert 1.05 / (luminance + 0.05) >= 3


@pytest.mark.parametrize(
    "name, family",
    [("vae", "vae"), ("dcgan-faces", "gan"), ("latent-gru-digits", "rnn"), ("text-to-video-shapes", "text-to-video")],
)
def test_weights_have_the_colour_of_their_family(name, family):
    assert color_of(name) == FAMILIES[family]


def test_what_has_no_colour_is_told_so():
    with pytest.raises(CourseError, match="'vaes' has no colour"):
        color_of("vaes")


def test_series_take_their_own_colour_or_a_free_one():
    colors = style.series_colors(["generated", "one", "two", "baseline"])
    assert (colors[0], colors[3]) == (ROLES["generated"], ROLES["baseline"])
    assert len(set(colors)) == 4 and set(colors[1:3]) < set(style.CYCLE)
    assert len(style.series_colors([str(i) for i in range(30)])) == 30


def test_labels_have_ten_points_on_the_page():
    with matplotlib.rc_context():
        use_style()
        width, _ = matplotlib.rcParams["figure.figsize"]
        assert width * matplotlib.rcParams["figure.dpi"] <= style.PAGE_WIDTH
        assert matplotlib.rcParams["figure.dpi"] == 96  # so that a point is a point
        assert matplotlib.rcParams["figure.constrained_layout.use"]
        assert matplotlib.colors.to_rgba(matplotlib.rcParams["savefig.facecolor"])[3] == 1  # read on a dark page as well
        figure, axes = pyplot.subplots()
        axes.plot([0, 1], label="line")
        axes.set(xlabel="x", ylabel="y", title="title")
        axes.legend(title="legend")
        figure.suptitle("all")
        figure.canvas.draw()  # which makes the tick labels
        sizes = [text.get_fontsize() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]
        assert len(sizes) > 12 and min(sizes) >= 10
        pyplot.close(figure)


def test_chinese_is_drawn_by_a_font_that_is_there(monkeypatch):
    fonts = [type("Font", (), {"name": name}) for name in ("DejaVu Sans", "SimHei", "Noto Sans CJK SC")]
    monkeypatch.setattr(style.font_manager.fontManager, "ttflist", fonts)
    assert style.style_parameters()["font.family"] == ["DejaVu Sans", "Noto Sans CJK SC", "SimHei"]
    monkeypatch.setattr(style.font_manager.fontManager, "ttflist", fonts[:1])
    assert style.style_parameters()["font.family"] == ["DejaVu Sans"]


def test_figures_need_no_keras():
    code = "import vidgen_tf.figures, sys; print({'keras', 'tensorflow', 'matplotlib.pyplot'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


# ---------------------------------------------------------------- charts


@pytest.fixture
def axes():
    return Figure().subplots()


@pytest.mark.parametrize("window", [1, 3, 7, 31])
def test_the_running_mean_is_the_mean_of_what_is_there(window):
    values = np.random.default_rng(0).normal(size=20)
    half = window // 2
    expected = [values[max(0, i - half) : i + half + 1].mean() for i in range(20)]
    np.testing.assert_allclose(running_mean(values, window), expected, rtol=1e-12)


@pytest.mark.parametrize("window", [0, 4, -3])
def test_a_running_mean_has_a_middle(window):
    with pytest.raises(CourseError, match=f"window={window}"):
        running_mean([1.0, 2.0], window)


def test_loss_curves_show_what_was_recorded_and_its_running_mean(axes):
    step, rng = np.arange(25, 1025, 25), np.random.default_rng(0)
    history = {"step": step, "seconds": step, "d_loss": rng.normal(size=40), "g_loss": rng.normal(size=40)}
    assert loss_curves(history, axes=axes) is axes
    raw_d, smooth_d, raw_g, smooth_g = axes.lines
    for key, raw, smooth in (("d_loss", raw_d, smooth_d), ("g_loss", raw_g, smooth_g)):
        np.testing.assert_array_equal(raw.get_xydata(), np.transpose([step, history[key]]))
        np.testing.assert_allclose(smooth.get_xydata(), np.transpose([step, running_mean(history[key], 5)]))
        assert raw.get_linewidth() < smooth.get_linewidth() and raw.get_color() == smooth.get_color()
    assert smooth_d.get_color() == ROLES["discriminator"] and smooth_g.get_color() == ROLES["generator"]
    assert [text.get_text() for text in axes.get_legend().texts] == ["discriminator", "generator"]


def test_loss_curves_draw_what_is_asked_for_in_that_order(axes):
    history = {"step": [1, 2, 3], "loss": [3.0, 2.0, 1.0], "mse": [9.0, 4.0, 1.0]}
    loss_curves(history, {"mse": "squared error", "loss": "training"}, window=3, axes=axes)
    assert [line.get_label() for line in axes.lines[1::2]] == ["squared error", "training"]
    np.testing.assert_allclose(axes.lines[1].get_ydata(), [6.5, 14 / 3, 2.5])
    with pytest.raises(CourseError, match="no 'accuracy', only step, loss, mse"):
        loss_curves(history, {"accuracy": "accuracy"}, axes=axes)
    with pytest.raises(CourseError, match="no 'step'"):
        loss_curves({"loss": [1.0]}, axes=axes)


def test_bars_are_means_with_the_range_over_seeds(axes):
    compare_bars({"vae": [1.0, 4.0, 1.0], "baseline": [5.0]}, reference={"real": 6.0}, axes=axes)
    assert [bar.get_width() for bar in axes.patches] == [2.0, 5.0]
    assert [matplotlib.colors.to_hex(bar.get_facecolor()) for bar in axes.patches] == [FAMILIES["vae"], ROLES["baseline"]]
    ranges, seeds, _, _, line = axes.lines
    assert list(ranges.get_xdata()) == [1.0, 4.0] and list(seeds.get_xdata()) == [1.0, 4.0, 1.0]
    assert list(line.get_xdata()) == [6.0, 6.0] and line.get_label() == "real"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["vae", "baseline"]
    assert axes.yaxis_inverted()  # the first one is on top


@pytest.mark.parametrize(
    "values, said", [({}, "nothing to compare"), ({"a": []}, "nothing"), ({"a": [1, np.nan]}, "'a' has values")]
)
def test_bars_refuse_what_is_no_number(values, said, axes):
    with pytest.raises(CourseError, match=said):
        compare_bars(values, axes=axes)


def test_curves_are_means_with_a_band_over_seeds(axes):
    compare_curves([1, 2], {"simvp": [[1.0, 2.0], [3.0, 6.0]], "baseline": [7.0, 7.0]}, axes=axes)
    mean, baseline = axes.lines
    assert list(mean.get_ydata()) == [2.0, 4.0] and baseline.get_linestyle() == "--"
    (band,) = axes.collections
    assert {tuple(point) for point in band.get_paths()[0].vertices} == {(1, 1), (1, 3), (2, 2), (2, 6)}
    with pytest.raises(CourseError, match="3 values for 2 places"):
        compare_curves([1, 2], {"a": [1.0, 2.0, 3.0]}, axes=axes)


def test_charts_make_a_figure_of_their_own_where_there_is_none():
    with matplotlib.rc_context():
        use_style()
        figures = [loss_curves({"step": [1, 2], "loss": [2.0, 1.0]}).figure, compare_bars({"a": [1.0]}).figure]
        assert repr(figures[0]) == "<Figure size 720x312 with 1 Axes>"  # nbval compares it
        assert repr(figures[1]) == "<Figure size 720x108 with 1 Axes>"
    for figure in figures:
        pyplot.close(figure)
