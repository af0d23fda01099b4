"""Cases of the base types: one argument, and another value as the result."""

from __future__ import annotations

import uuid
from typing import Any

from tests.cross_test.values import NOT_RUN, Case, Refused, Returns

ROWED, SLOOP, KETCH, BARQUE, HULK = 0, 1, 2, 40, 2**31 - 1
"""The members of ``Rig``."""

NO_JSON = "Thrift for Python does not escape control characters"
NO_DOUBLE = "Thrift for Python writes inf and nan, which are not JSON"

TEXTS = {
    "empty": ("", "not empty"),
    "ascii": ("Hoist the mainsail!", "aye"),
    "umlauts": ("Fährschiff über Öland – größer", "ÄÖÜß"),
    "french": ("Où est l'île d'Oléron, naïf cœur ?", "élève à l'œil"),
    "polish": ("Zażółć łódź, gęślą jaźń", "Świnoujście"),
    "turkish": ("İstanbul ığüşöç", "I ve ı"),  # noqa: RUF001
    "icelandic": ("Þorlákshöfn æðarfugl", "Ísafjörður"),
    "greek": ("Ο λιμένας του Πειραιά", "ἄνεμος"),  # noqa: RUF001
    "russian": ("Порт Архангельск ещё замёрз", "Ёж"),
    "hebrew": ("נמל חיפה", "שָׁלוֹם"),
    "arabic": ("ميناء الإسكندرية", "٠١٢٣٤٥٦٧٨٩"),
    "hindi": ("मुंबई बंदरगाह", "नमस्ते"),
    "thai": ("ท่าเรือกรุงเทพ", "น้ำขึ้น"),
    "georgian": ("ბათუმის ნავსადგური", "ზღვა"),
    "chinese": ("上海港 集裝箱碼頭", "潮汐表"),
    "japanese": ("横浜みなと、コンテナ船", "ガガ"),
    "korean": ("부산항 여객선", "한국"),
    "two_directions": ("pier \u202bרציף\u202c 7", "a\u200eb\u200f"),  # noqa: RUF001
    "combined": ("e\u0301 is not é", "\u1100\u1161\u11a8"),
    "emoji": ("⚓🚢 👩\u200d✈️ 🇳🇴", "🐋"),
    "last_code_points": ("\ud7ff\ue000\uffff\U00010000\U0010ffff", "\ufffd\ufeff"),
    "json_signs": ('"quoted", a \\ and a / : {"1":[]}', "\\u0041 \\n \\\\"),
    "code_that_is_cut": ("x" * 126 + "é", "y" * 127),
    "length_of_two_bytes": ("z" * 16383, "w" * 16384),
    "long": ("Grüße von Bord! " * 5000, "m" * 70000),
}

INTEGERS = {
    "octet": ((0, 1), (1, -1), (-1, 0), (127, -128), (-128, 127), (63, -64), (64, -65)),
    "small": ((0, -1), (255, 256), (-256, -257), (32767, -32768), (-32768, 32767), (8191, 8192), (-8192, -8193)),
    "middle": (
        (0, 1),
        (-1, -2),
        (127, 128),
        (65535, 65536),
        (-65536, -65537),
        (2**24 + 1, -(2**24) - 1),
        (2**31 - 1, -(2**31)),
        (-(2**31), 2**31 - 1),
    ),
    "large": (
        (0, -1),
        (2**31, -(2**31) - 1),
        (2**32, 2**32 - 1),
        (-(2**32), -(2**32) - 1),
        (2**53 + 1, -(2**53) - 1),
        (2**56 - 1, -(2**56)),
        (2**63 - 1, -(2**63)),
        (-(2**63), 2**63 - 1),
        (0x0102030405060708, -0x0102030405060708),
    ),
}

DOUBLES = {
    "zero": (0.0, 1.0),
    "minus_zero": (-0.0, 0.0),
    "tenth": (0.1, -0.3),
    "whole": (1e15, -42.0),
    "more_than_an_i64": (1e20, -1e22),
    "all_digits": (3.141592653589793, 2.2250738585072011e-3),
    "largest": (1.7976931348623157e308, -1.7976931348623157e308),
    "smallest_normal": (2.2250738585072014e-308, -2.2250738585072014e-308),
    "smallest": (5e-324, -5e-324),
    "next_to_one": (1.0000000000000002, 0.9999999999999999),
    "each_byte": (-2.9073870959331e-301, 8.20788039913184e-304),
}

SPECIAL_DOUBLES = {
    "infinite": (float("inf"), float("-inf")),
    "minus_infinite": (float("-inf"), float("inf")),
    "not_a_number": (float("nan"), 0.5),
    "not_a_number_back": (0.5, float("nan")),
}

BLOBS = {
    "empty": (b"", b"\x00"),
    "one_byte": (b"\x80", b"\xff\xfe"),
    "two_bytes": (b"\xff\x00", b""),
    "three_bytes": (b"abc", b"=="),
    "every_byte": (bytes(range(256)), bytes(reversed(range(256)))),
    "looks_like_text": (b"Kai", "Grün".encode()),
    "invalid_text": (b"\xc3\x28\xed\xa0\x80", b"\xf8"),
    "plus_and_slash": (b"\xfb\xef\xbe\xff\xff", b"\xff\xef\xff"),
    "long": (bytes(range(256)) * 400, b"\x00" * 20000),
}


def one(method: str, name: str, argument: Any, result: Any, **more: Any) -> Case:
    """Return a case with one argument and a result."""
    return Case(f"{method}_{name}", method, (argument,), Returns(result), **more)


def _cases() -> list[Case]:
    cases = [Case("nothing", "nothing"), one("flag", "yes", True, False), one("flag", "no", False, True)]
    cases += [one("text", name, *pair) for name, pair in TEXTS.items()]
    cases += [
        one("text", "control_signs", "a\tb\r\nc\b\f\x01\x1f\x7f", "\n\t", apart=NO_JSON, apart_in=("json",)),
        one("text", "null_sign", "before\0after", "\0", apart=NO_JSON, apart_in=("json",)),
        Case("text_half_a_character", "text", ("\ud83d",), seen=NOT_RUN, outcome=Refused),
    ]
    for method, pairs in INTEGERS.items():
        bits = {"octet": 8, "small": 16, "middle": 32, "large": 64}[method]
        cases += [one(method, str(argument), argument, result) for argument, result in pairs]
        cases += [
            Case(f"{method}_{name}", method, (outside,), seen=NOT_RUN, outcome=Refused)
            for name, outside in (("too_large", 2 ** (bits - 1)), ("too_small", -(2 ** (bits - 1)) - 1))
        ]
    cases += [one("real", name, *pair) for name, pair in DOUBLES.items()]
    cases += [one("real", name, *pair, apart=NO_DOUBLE, apart_in=("json",)) for name, pair in SPECIAL_DOUBLES.items()]
    cases += [one("blob", name, *pair) for name, pair in BLOBS.items()]
    rigs = {"none": (ROWED, SLOOP), "next": (KETCH, ROWED), "apart": (BARQUE, HULK), "largest": (HULK, BARQUE)}
    cases += [one("rig", name, *pair) for name, pair in rigs.items()]
    cases += [one("rig", "of_another_version", 41, -7)]
    cases += [one("hull", "typedef", 2**40 + 3, -(2**40) - 5)]
    ids = [uuid.UUID(int=number) for number in (0, 1, 2**128 - 1, 0x00112233445566778899AABBCCDDEEFF)]
    cases += [
        one("number", name, argument, result, service="Passports")
        for name, argument, result in (
            ("empty", ids[0], ids[1]),
            ("full", ids[2], ids[0]),
            ("each_byte", ids[3], ids[2]),
        )
    ]
    return cases


CASES = _cases()
