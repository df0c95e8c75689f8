"""The MobileNetV3 family: integers of the releases, their width rules, and their weights.

MACs and parameters are those that the releases' own modules have, counted by PyTorch's FlopCounterMode, or
that follow from their definitions by hand.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import torch
from msgspec.structs import replace
from networks import with_values
from subjects import RELATIVE
from torch import nn

import mnv3prof
from mnv3prof.graph.errors import InputError
from mnv3prof.mobilenetv3.files import PRESETS, preset
from mnv3prof.mobilenetv3.table import HeadConv, LastLayer, Row, Table, with_defaults
from mnv3prof.mobilenetv3.variants import vary
from mnv3prof.mobilenetv3.width_rules import WidthRule
from mnv3prof.mobilenetv3.writing import to_csv, to_toml
from mnv3prof.record.run import Subject
from mnv3prof.show.costs import block_summary, table_sheet

RULES: tuple[WidthRule, ...] = ("paper", "torchvision", "timm", "keras")


def _totals(table: Table, size: Any = 224) -> tuple[int, int]:
    whole = mnv3prof.total(mnv3prof.count(mnv3prof.expand(table, size)))
    return whole.macs, whole.params


WIDTHS: dict[tuple[str, float], tuple[tuple[int, int], ...]] = {
    ("large", 0.35): (
        (39_472_336, 2_131_832),
        (35_278_408, 997_064),
        (43_887_824, 2_132_216),
        (43_887_824, 2_132_216),
    ),
    ("large", 0.5): (
        (69_247_600, 2_689_520),
        (64_962_192, 1_734_576),
        (73_663_088, 2_689_904),
        (73_663_088, 2_689_904),
    ),
    ("large", 0.6): (
        (100_102_688, 3_097_016),
        (91_603_824, 2_311_608),
        (100_102_688, 3_097_016),
        (100_102_688, 3_097_016),
    ),
    ("large", 0.75): (
        (154_560_624, 3_993_528),
        (140_033_816, 3_377_576),
        (154_560_624, 3_993_528),
        (154_560_624, 3_993_528),
    ),
    ("large", 1.25): (
        (355_925_920, 8_256_296),
        (343_461_000, 8_164_744),
        (355_221_920, 7_551_976),
        (349_904_800, 8_255_784),
    ),
    ("small", 0.35): (
        (12_795_104, 1_349_824),
        (11_238_936, 558_744),
        (15_951_968, 1_358_808),
        (15_931_232, 1_350_344),
    ),
    ("small", 0.5): (
        (21_052_560, 1_592_704),
        (18_970_736, 917_264),
        (24_188_688, 1_593_224),
        (24_188_688, 1_593_224),
    ),
    ("small", 0.6): (
        (30_790_784, 1_727_680),
        (27_640_320, 1_180_456),
        (30_820_928, 1_736_336),
        (30_790_784, 1_727_680),
    ),
    ("small", 0.75): (
        (43_399_344, 2_041_872),
        (39_115_576, 1_653_920),
        (43_399_344, 2_041_872),
        (43_399_344, 2_041_872),
    ),
    ("small", 1.25): (
        (91_241_184, 3_645_960),
        (88_155_944, 3_644_912),
        (90_800_864, 3_205_384),
        (87_703_648, 3_645_312),
    ),
}


@pytest.mark.parametrize(("name", "width"), WIDTHS)
def test_each_width_rule_is_its_release(name: str, width: float) -> None:
    found = tuple(_totals(vary(preset(name), width=width, width_rule=rule)) for rule in RULES)
    assert found == WIDTHS[name, width]


def _small_table(**changes: Any) -> Table:
    rows = (
        Row(expand=8, out=8, kernel=3, stride=1, se=False, activation="RE"),
        Row(expand=24, out=16, kernel=3, stride=2, se=True, activation="HS"),
    )
    return Table(
        **{"name": "small", "rows": rows, "stem": 8, "head": 48, "last": 32, "classes": 10, **changes}
    )


def _second_row(**changes: Any) -> dict[str, Any]:
    first, second = _small_table().rows
    return {"rows": (first, replace(second, **changes))}


EXPRESSIONS: tuple[tuple[dict[str, Any], int, int], ...] = (
    ({}, 229_056, 4_498),
    ({"channels": 1}, 192_192, 4_354),
    ({"channels": 4}, 247_488, 4_570),
    ({"stem_stride": 1}, 909_504, 4_498),
    ({"stem_stride": (2, 1)}, 455_872, 4_498),
    ({"stem_kernel": 5}, 327_360, 4_882),
    (_second_row(stride=(2, 1)), 316_608, 4_498),
    ({"expand_conv": True}, 245_440, 4_578),
    ({"conv": "fused"}, 258_240, 5_682),
    ({"conv": "fused", "expand_conv": True}, 405_696, 6_274),
    ({"conv_bias": True}, 229_056, 4_634),
    ({"conv_bias": True, "last": (LastLayer(32, norm=True),)}, 229_056, 4_666),
    ({"conv_bias": True, "head": (HeadConv(48, bias=False),)}, 229_056, 4_586),
    ({"head": ()}, 178_880, 2_610),
    ({"head": (48, 64)}, 426_176, 8_210),
    ({"last": ()}, 227_680, 3_090),
    ({"last": (32, 24)}, 229_744, 5_210),
    ({"last": (LastLayer(32, bias=False),)}, 229_056, 4_466),
    ({"last": (LastLayer(32, norm=True),)}, 229_056, 4_530),
    ({"last": (LastLayer(32, form="conv"),), "classifier_form": "conv"}, 229_056, 4_498),
    ({"head": (48, HeadConv(32, norm=False)), "last": ()}, 325_824, 4_498),
    ({"classes": 0}, 227_200, 2_600),
    ({"head": (48, HeadConv(10, bias=False, activation="none")), "classes": 0}, 257_920, 3_100),
    ({"se_divisor": 1}, 228_960, 4_400),
    ({"se_of": "input", "se_divisor": 1}, 228_768, 4_204),
    (_second_row(se=2), 228_768, 4_204),
    (_second_row(se_of="input", se_divisor=1), 228_768, 4_204),
    ({"se_place": "after-project", "se_divisor": 1}, 228_800, 4_230),
    ({"se_bias": False}, 229_056, 4_466),
    ({"project_activation": "HS", "se_place": "before-activation"}, 229_056, 4_498),
    ({"padding": "same"}, 229_056, 4_498),
)


@pytest.mark.parametrize(("changes", "macs", "params"), EXPRESSIONS)
def test_each_expression_alone(changes: dict[str, Any], macs: int, params: int) -> None:
    table = _small_table(**changes)
    assert _totals(table, 32) == (macs, params)
    assert sum(p.numel() for p in mnv3prof.build(table).parameters()) == params


def test_without_classes_the_output_is_the_heads() -> None:
    network = mnv3prof.build(_small_table(classes=0)).eval()
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 48, 8, 8)


CONFIGURATIONS: tuple[tuple[str, float, Any, int, int], ...] = (
    ("mobilenetv2", 1.0, 224, 300_774_272, 3_504_872),
    ("mobilenetv2", 0.35, 224, 59_285_808, 1_677_128),
    ("mobilenetv2", 0.5, 224, 97_131_840, 1_968_680),
    ("mobilenetv2", 1.4, 224, 582_195_824, 6_108_776),
    ("mnasnet-b1", 1.0, 224, 314_415_872, 4_383_312),
    ("mnasnet-b1", 0.5, 224, 104_455_968, 2_218_512),
    ("mnasnet-b1", 0.75, 224, 215_493_104, 3_170_208),
    ("mnasnet-b1", 1.3, 224, 526_362_432, 6_282_256),
    ("mnasnet-a1", 1.0, 224, 311_579_072, 3_887_038),
    ("mnasnet-a1", 0.5, 224, 103_162_992, 2_082_006),
    ("mnasnet-a1", 0.75, 224, 223_448_480, 2_912_278),
    ("mnasnet-small", 1.0, 224, 68_339_184, 2_030_264),
    ("efficientnet-lite0", 1.0, 224, 385_187_552, 4_652_008),
    ("tinynet-e", 1.0, 106, 24_356_848, 2_042_972),
    ("lcnet", 1.0, 224, 155_700_480, 2_953_800),
    ("lcnet", 0.35, 224, 27_357_832, 1_644_370),
    ("lcnet", 0.5, 224, 44_731_008, 1_880_856),
    ("lcnet", 0.75, 224, 94_786_496, 2_358_288),
    ("mobilenet-edgetpu", 1.0, 224, 990_669_184, 4_091_432),
    ("fbnetv3-b", 1.0, 224, 407_508_576, 8_598_464),
)


@pytest.mark.parametrize(("name", "width", "size", "macs", "params"), CONFIGURATIONS)
def test_a_preset_is_its_release(name: str, width: float, size: Any, macs: int, params: int) -> None:
    assert _totals(vary(preset(name), width=width), size) == (macs, params)


def test_every_preset_has_its_integers_here() -> None:
    counted = {name for name, *_ in CONFIGURATIONS} | {name for name, _ in WIDTHS}
    assert set(PRESETS) - counted == {"large-minimal", "small-minimal"}  # in test_variants


def _efficientat(width: float, **changes: Any) -> Table:
    """fschmid56/EfficientAT, models/mn/model.py: gray spectrograms of 128 × 1000."""
    table = vary(preset("large"), width=width, width_rule="torchvision")
    return replace(table, channels=1, classes=527, se_gate="sigmoid", se_form="linear", **changes)


def _with_strides(table: Table, **by_row: int) -> Table:
    """Give rows another stride; without the stride of 2, they have no identity."""
    rows = list(table.rows)
    for name, stride in by_row.items():
        number = int(name.removeprefix("row")) - 1
        rows[number] = replace(rows[number], stride=stride, identity=stride == 2)
    return replace(table, rows=tuple(rows))


def _conv_classifier(table: Table) -> Table:
    last = HeadConv(527, bias=False, activation="none")
    return replace(table, head=(960, last), last=(), classes=0)


EFFICIENTAT = (
    (_efficientat(0.4), (128, 1000), 110_643_072, 983_599),
    (_efficientat(0.5), (128, 1000), 159_964_672, 1_431_239),
    (_efficientat(1.0), (128, 1000), 541_078_208, 4_876_831),
    (_efficientat(2.0), (128, 1000), 2_059_375_488, 17_909_287),
    (_efficientat(3.0), (128, 1000), 4_554_880_320, 39_086_367),
    (_efficientat(4.0), (128, 1000), 8_027_611_904, 68_427_303),
    (_efficientat(1.0), (40, 1000), 208_038_048, 4_876_831),
    (_efficientat(1.0), (64, 1000), 272_244_384, 4_876_831),
    (_efficientat(1.0), (256, 1000), 1_078_745_856, 4_876_831),
    (_efficientat(1.0, stem_stride=1), (128, 1000), 2_139_427_840, 4_876_831),
    (_efficientat(1.0, stem_kernel=5), (128, 1000), 549_270_208, 4_877_087),
    (_efficientat(1.0, stem_kernel=5, stem_stride=1), (128, 1000), 2_172_195_840, 4_877_087),
    (_conv_classifier(_efficientat(1.0)), (128, 1000), 603_932_608, 3_478_638),
    (_conv_classifier(_with_strides(_efficientat(1.0), row13=1)), (128, 1000), 1_147_718_848, 3_478_638),
    (
        _conv_classifier(_with_strides(_efficientat(1.0), row7=1, row13=1)),
        (128, 1000),
        3_978_019_200,
        3_478_638,
    ),
)


def _paddleclas(name: str, width: float) -> Table:
    """PaddleClas, mobilenet_v3.py: every width of the table is scaled, squeeze-excite is not rounded."""
    base = preset(name)
    head = 6 * base.rows[-1].out
    changes: dict[str, Any] = {
        "expand_conv": True,
        "se_divisor": 1,
        "head": head,
        "last": (LastLayer(1280, form="conv", bias=False),),
    }
    scaled = vary(replace(base, **changes), width=width, width_rule="torchvision")
    return replace(scaled, last=changes["last"])


PADDLECLAS = (
    (_paddleclas("large", 1.0), 224, 219_799_200, 5_480_206),
    (_paddleclas("large", 0.5), 224, 66_704_432, 2_673_422),
    (_paddleclas("small", 0.35), 224, 13_161_528, 1_665_954),
    (_paddleclas("small", 1.0), 224, 60_119_520, 2_939_958),
    (_paddleclas("small", 1.25), 224, 95_364_424, 3_627_370),
)


def _paddleocr_detection() -> Table:
    table = vary(preset("large"), width=0.5, width_rule="torchvision", without_se=True)
    return replace(table, expand_conv=True, head=480, classes=0)


def _paddleocr_recognition() -> Table:
    table = vary(preset("small"), width=0.5, width_rule="torchvision")
    strides = {2: (2, 1), 4: (2, 1), 9: (2, 1)}
    rows = tuple(
        replace(row, stride=strides.get(n, 1), identity=n != 1) for n, row in enumerate(table.rows, 1)
    )
    return replace(table, rows=rows, expand_conv=True, se_divisor=1, head=288, classes=0)


def _fastseg(name: str) -> Table:
    """ekzhang/fastseg: output stride 16 by dilation, a hidden layer before the pool that it leaves out."""
    table, first, second, hidden = {
        "large": (preset("large"), 7, 13, 1280),
        "small": (preset("small"), 4, 9, 1024),
    }[name]
    unstrided = {"large": (7, 13), "small": (1, 4)}[name]
    rows = tuple(
        replace(
            row,
            stride=1 if n in unstrided else row.stride,
            identity=n not in unstrided,
            dilation=4 if n >= second else 2 if n >= first else 1,
        )
        for n, row in enumerate(table.rows, 1)
    )
    wide = 6 * table.rows[-1].out
    return replace(table, rows=rows, head=(wide, HeadConv(hidden, norm=False)), classes=0)


def _once_for_all() -> Table:
    """mit-han-lab/once-for-all: a searched subnet."""
    rows = [
        (16, 16, 3, 1, False, "RE"),
        (48, 24, 7, 2, False, "RE"),
        (96, 24, 5, 1, False, "RE"),
        (144, 40, 5, 2, True, "RE"),
        (120, 40, 3, 1, True, "RE"),
        (240, 80, 7, 2, False, "HS"),
        (320, 80, 3, 1, False, "HS"),
        (480, 112, 5, 1, True, "HS"),
        (336, 112, 7, 1, True, "HS"),
        (672, 160, 5, 2, True, "HS"),
        (640, 160, 3, 1, True, "HS"),
    ]
    last = (LastLayer(1280, form="conv", bias=False),)
    return Table(name="ofa", rows=tuple(Row(*row) for row in rows), last=last)


def _kuan_wang() -> Table:
    """kuan-wang/pytorch-mobilenet-v3: squeeze-excite after the projection, stride 2 one row later."""
    table = preset("large")
    rows = list(table.rows)
    rows[12] = replace(rows[12], stride=1)
    rows[13] = replace(rows[13], expand=672, stride=2)
    return replace(
        table,
        rows=tuple(rows),
        expand_conv=True,
        se_place="after-project",
        se_divisor=1,
        se_form="linear",
        se_bias=False,
        last=(LastLayer(1280, form="conv"),),
    )


OTHERS = (
    (_paddleocr_detection(), 640, 525_984_000, 398_480),
    (_paddleocr_recognition(), (32, 320), 58_153_856, 252_896),
    (_fastseg("large"), (512, 1024), 22_248_882_048, 4_202_032),
    (_fastseg("small"), (512, 1024), 11_520_638_976, 1_517_856),
    (replace(preset("large"), last=(LastLayer(1280, bias=False),)), 224, 216_588_480 + 1_280, 5_481_752),
    (_once_for_all(), 176, 117_595_648, 4_042_872),
    (_kuan_wang(), 224, 247_559_008, 3_923_872),
    (replace(vary(preset("small"), classes=2), channels=1), 96, 10_385_856, 1_519_618),
    (replace(vary(preset("small"), classes=2), channels=4), 224, 57_294_784, 1_520_050),
    (replace(vary(preset("small"), classes=2), channels=1), (64, 1001), 66_698_720, 1_519_618),
)


@pytest.mark.parametrize(("table", "size", "macs", "params"), (*EFFICIENTAT, *PADDLECLAS, *OTHERS))
def test_a_public_definition_written_as_a_table(table: Table, size: Any, macs: int, params: int) -> None:
    assert _totals(table, size) == (macs, params)


def test_fused_rows_by_hand() -> None:
    """Behind a stem of 32: 112² · 16 · 32 without the k×k convolution; (56² · 128 · 32 + ...) with it."""
    rows = (
        Row(32, 16, 3, 1, se=False, activation="RE", conv="fused"),
        Row(128, 32, 3, 2, se=False, activation="RE", conv="fused"),
    )
    table = Table(name="edge", rows=rows, stem=32)

    def macs(table: Table) -> list[int]:
        graph = mnv3prof.expand(table)
        return [each.macs for each in mnv3prof.subtotals(graph, mnv3prof.count(graph))[1:3]]

    assert macs(table) == [6_422_528, 70_647_808]
    assert macs(replace(table, expand_conv=True))[0] == 122_028_032
    standard = replace(table, rows=tuple(replace(row, conv="standard") for row in rows))
    assert macs(standard) == [57_802_752, 141_295_616]


def test_a_fused_row_without_expansion_has_no_stride() -> None:
    row = Row(16, 16, 3, 2, se=False, activation="RE", conv="fused")
    with pytest.raises(
        InputError, match=r"row 1 is fused without expansion.*expected stride 1 or expand_conv"
    ):
        Table(name="t", rows=(row,))
    assert Table(name="t", rows=(replace(row, expand_conv=True),)).rows[0].stride == 2


def _timm(name: str, **options: Any) -> nn.Module:
    import torchvision_oracle  # noqa: F401 - timm imports torchvision
    from timm import create_model

    model: nn.Module = create_model(name, **options)
    return model


def _torchvision(name: str) -> nn.Module:
    import torchvision_oracle

    model: nn.Module = getattr(torchvision_oracle, name)()
    return model


def _large_in_timm(name: str, **changes: Any) -> Table:
    last = (LastLayer({"large": 1280, "small": 1024}[name], form="conv"),)
    return replace(preset(name), names="timm", bn_eps=1e-5, bn_momentum=0.1, last=last, **changes)


LOADED: dict[str, tuple[Table, Any]] = {
    "mobilenetv2": (preset("mobilenetv2"), lambda: _torchvision("mobilenet_v2")),
    "mobilenetv2 of timm": (replace(preset("mobilenetv2"), names="timm"), lambda: _timm("mobilenetv2_100")),
    "mnasnet-b1": (preset("mnasnet-b1"), lambda: _timm("mnasnet_100")),
    "mnasnet-a1": (preset("mnasnet-a1"), lambda: _timm("semnasnet_100")),
    "mnasnet-a1 at 0.75": (vary(preset("mnasnet-a1"), width=0.75), lambda: _timm("semnasnet_075")),
    "mnasnet-small": (preset("mnasnet-small"), lambda: _timm("mnasnet_small")),
    "efficientnet-lite0": (preset("efficientnet-lite0"), lambda: _timm("tf_efficientnet_lite0")),
    "tinynet-e": (preset("tinynet-e"), lambda: _timm("tinynet_e")),
    "lcnet": (preset("lcnet"), lambda: _timm("lcnet_100")),
    "lcnet at 0.5": (vary(preset("lcnet"), width=0.5), lambda: _timm("lcnet_050")),
    "mobilenet-edgetpu": (preset("mobilenet-edgetpu"), lambda: _timm("mobilenet_edgetpu_100")),
    "fbnetv3-b": (preset("fbnetv3-b"), lambda: _timm("fbnetv3_b")),
    "large": (_large_in_timm("large"), lambda: _timm("mobilenetv3_large_100")),
    "small": (_large_in_timm("small"), lambda: _timm("mobilenetv3_small_100")),
    "small at 0.5": (
        vary(_large_in_timm("small"), width=0.5, width_rule="timm"),
        lambda: _timm("mobilenetv3_small_050"),
    ),
    "large of TensorFlow": (
        replace(_large_in_timm("large", padding="same"), bn_eps=1e-3),
        lambda: _timm("tf_mobilenetv3_large_100"),
    ),
}


@pytest.fixture
def one_thread() -> Iterator[None]:
    """More threads than free CPUs make small convolutions many times slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", LOADED)
def test_a_releases_weights_load_and_the_outputs_are_equal(name: str) -> None:
    table, make = LOADED[name]
    torch.manual_seed(0)
    with torch.device("meta"):
        ours, theirs = mnv3prof.build(table), make()
    ours, theirs = ours.to_empty(device="cpu").eval(), with_values(theirs)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    with torch.no_grad():
        for size in ((64, 64), (75, 98)):
            images = torch.randn(2, 3, *size)
            assert torch.isfinite(theirs(images)).all()
            assert torch.equal(ours(images), theirs(images))


def test_variants_change_every_layer_of_lists_and_rows() -> None:
    table = replace(
        _small_table(),
        head=(48, HeadConv(64, activation="R6")),
        last=(LastLayer(40, activation="none"), 32),
        **_second_row(se=12, project_activation="SW"),
    )
    halved = vary(table, reduced_tail=True)
    assert (halved.head, halved.last) == (
        (24, HeadConv(32, activation="R6")),
        (LastLayer(20, activation="none"), 16),
    )
    assert (halved.rows[0], halved.rows[1].se) == (
        table.rows[0],
        12,
    )  # the tail's first row keeps its expansion
    wide = vary(table, width=2.0)
    assert (wide.head, wide.last) == (
        (96, HeadConv(128, activation="R6")),
        (LastLayer(80, activation="none"), 64),
    )
    assert [row.se for row in wide.rows] == [False, 24]
    everywhere = vary(table, activation="RE")
    assert everywhere.head == (48, HeadConv(64, activation="RE"))
    assert everywhere.last == (LastLayer(40, activation="none"), 32)
    assert everywhere.rows[1].project_activation == "RE"
    assert everywhere.project_activation == "none"


@pytest.mark.parametrize("changes", [{"width": 0.35}, {"reduced_tail": True}, {"dilated": True}])
def test_a_variant_keeps_timms_names(changes: dict[str, Any]) -> None:
    table = _large_in_timm("large")
    paths = [list(mnv3prof.build(each).state_dict()) for each in (table, vary(table, **changes))]
    assert paths[0] == paths[1]


@pytest.mark.parametrize("option", ["standard_conv", "dense_depthwise"])
def test_fused_rows_have_no_pair_to_replace(option: str) -> None:
    conv = option.removesuffix("_conv").replace("_", "-")
    edge = vary(preset("mobilenet-edgetpu"), **{option: True})  # type: ignore[arg-type]
    convs = [with_defaults(edge, row).conv for row in edge.rows]
    assert convs == ["fused"] * 9 + [conv] * 13
    with pytest.raises(InputError, match="its rows are fused; expected a row with a depthwise convolution"):
        vary(_small_table(conv="fused"), **{option: True})  # type: ignore[arg-type]


def test_a_table_survives_msgspec() -> None:
    encoded = msgspec.json.encode(RELATIVE)
    assert msgspec.json.decode(encoded, type=Table) == RELATIVE


def test_dilation_replaces_one_stride_of_2() -> None:
    """Other strides, as they are in one axis or above 2, stay."""
    rows = tuple(Row(16, 16, 3, stride, se=False, activation="RE") for stride in (2, 2, (2, 1), 4))
    dilated = vary(Table(name="t", rows=rows), dilated=True)
    assert [(row.stride, row.dilation) for row in dilated.rows] == [(2, 1), (1, 2), ((2, 1), 2), (4, 2)]


@pytest.mark.parametrize("name", ["mobilenetv2", "mnasnet-b1", "efficientnet-lite0", "lcnet"])
@pytest.mark.parametrize("rule", ["torchvision", "timm", "keras"])
def test_a_rule_of_mobilenetv3_is_refused_for_others(name: str, rule: WidthRule) -> None:
    with pytest.raises(
        InputError, match=f"width_rule: {rule} is for MobileNetV3; .* has its own: expected paper"
    ):
        vary(preset(name), width=0.5, width_rule=rule)


@pytest.mark.parametrize(
    ("name", "head", "last"), [("mobilenet-edgetpu", 1280, ()), ("fbnetv3-b", 1680, 1984)]
)
def test_widths_that_timm_does_not_scale(name: str, head: int, last: Any) -> None:
    """num_features is fixed; FBNetV3's last 1×1 convolution is scaled: md(1344 · 1.25)."""
    wide = vary(preset(name), width=1.25)
    assert wide.head == head
    assert wide.last == (last and (LastLayer(last, form="conv", bias=False),))


def test_an_explicit_squeezed_width_does_not_grow_in_a_narrower_network() -> None:
    table = _small_table(**_second_row(se=6))
    assert [vary(table, width=width).rows[1].se for width in (0.5, 1.0, 4.0)] == [6, 6, 24]


def test_a_fused_row_without_expansion_is_shown_as_it_is_built() -> None:
    row = Row(16, 16, 5, 1, se=False, activation="RE", dilation=2, conv="fused")
    (sheet,) = (table_sheet(Subject(Table(name="t", rows=(row,)), (32, 32))),)
    shown = dict(zip([column.key for column in sheet.columns], sheet.rows[1], strict=True))
    assert (shown["kernel"], shown["dilation"], shown["activation"]) == ((1, 1), 1, "")
    preset_row = table_sheet(Subject(preset("small"), (32, 32))).rows[4]
    assert preset_row[4:9] == ((5, 5), 2, 1, 24, "HS")


def test_each_layer_of_head_and_last_is_a_row_of_the_sheet() -> None:
    table = _small_table(
        head=(48, HeadConv(32, kernel=3, activation="RE"), HeadConv(24, norm=False, activation="none")),
        last=(40, LastLayer(20, activation="R6")),
    )
    shown = [row[:9] + row[10:12] for row in table_sheet(Subject(table, (32, 32))).rows]
    assert shown[3:] == [
        ("head 1", 16, None, 48, (1, 1), 1, 1, None, "HS", (8, 8), (8, 8)),
        ("head 2", 48, None, 32, (3, 3), 1, 1, None, "RE", (8, 8), (8, 8)),
        ("head 3", 32, None, 24, (1, 1), 1, 1, None, "", (8, 8), (1, 1)),
        ("hidden 1", 24, None, 40, None, None, None, None, "HS", None, None),
        ("hidden 2", 40, None, 20, None, None, None, None, "R6", None, None),
        ("classifier", 20, None, 10, None, None, None, None, "", None, None),
    ]
    for changes, names in (
        ({}, ["head", "hidden", "classifier"]),
        ({"head": (), "last": ()}, ["classifier"]),
        ({"classes": 0}, ["head"]),
        ({"classes": 0, "head": ()}, []),
    ):
        sheet = table_sheet(Subject(_small_table(**changes), (32, 32)))
        assert [row[0] for row in sheet.rows[3:]] == names


@pytest.mark.parametrize(
    ("conv", "words"),
    [
        ("separable", "8→24→16, 5×5 /2, SE, HS"),
        ("fused", "8→24→16, fused 5×5 /2, SE, HS"),
        ("standard", "8→24→16, standard 5×5 /2, SE, HS"),
        ("dense-depthwise", "8→24→16, dense 5×5 /2, SE, HS"),
    ],
)
def test_a_block_is_called_by_its_convolution(conv: Any, words: str) -> None:
    graph = mnv3prof.expand(_small_table(**_second_row(kernel=5, conv=conv)), 32)
    assert block_summary(graph.blocks[2]) == words
    assert block_summary(graph.blocks[1]) == "8→8, 3×3, RE"


def test_a_fused_row_of_kernel_1_is_called_as_it_is_built() -> None:
    rows = (
        Row(24, 8, 1, 2, se=False, activation="RE", conv="fused"),
        Row(8, 16, 5, 1, se=False, activation="RE", conv="fused"),
    )
    graph = mnv3prof.expand(_small_table(rows=rows), 32)
    assert [block_summary(block) for block in graph.blocks[1:3]] == ["8→24→8, fused 1×1 /2, RE", "8→16, 1×1"]


def test_the_largest_table_can_be_written_and_read(tmp_path: Any) -> None:
    row = Row(
        65_536,
        10_922,
        63,
        (8, 7),
        65_536,
        "HS-RELU6",
        64,
        False,
        "dense-depthwise",
        False,
        False,
        "HS-CLAMP",
        1_024,
        "expand",
        1_024,
        "linear",
        False,
        "hardswish_relu6",
        "hardsigmoid_relu6",
        "before-activation",
    )
    table = Table(name="x" * 200, rows=(row,) * 1_000)
    for text, suffix in ((to_toml(table), ".toml"), (to_csv(table), ".csv")):
        path = tmp_path / f"largest{suffix}"
        path.write_text(text, encoding="utf-8")
        assert mnv3prof.read_table(path) == table
    assert len(msgspec.json.encode(table)) < 2**19
