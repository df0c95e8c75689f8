"""Verdicts of `check` as JUnit XML, which CI systems show as tests."""

from collections.abc import Sequence
from xml.etree import ElementTree as Xml

from ..budgets.figures import Side
from ..budgets.judge import Judgment
from ..graph.errors import printable
from .comparison import label
from .gate import limit_of, sentence
from .load import busy_note


def to_junit(checked: Side, judged: Sequence[Judgment]) -> str:
    """Write a test per budget: exceeded is a failure, any other that is not met an error; warnings pass.

    What is said of a busy machine is the suite's output.
    """
    failures = [j for j in judged if _kind(j) == "failure"]
    errors = [j for j in judged if _kind(j) == "error"]
    counts = {"tests": len(judged), "failures": len(failures), "errors": len(errors)}
    attributes = {key: str(value) for key, value in counts.items()}
    root = Xml.Element("testsuites", attributes)
    name = printable(f"budgets of {label(checked.subject.graph)}")
    suite = Xml.SubElement(root, "testsuite", {"name": name, **attributes})
    for judgment in judged:
        suite.append(_case(judgment))
    if checked.run and (note := busy_note(checked.run, with_times=False)):
        Xml.SubElement(suite, "system-out").text = printable(note)
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def _case(judgment: Judgment) -> Xml.Element:
    name = f"{limit_of(judgment)}{f' ({judgment.measured_as})' if judgment.measured_as else ''}"
    case = Xml.Element("testcase", {"classname": "mnv3prof.check", "name": printable(name)})
    message = printable(sentence(judgment))
    kind = _kind(judgment)
    if kind:
        Xml.SubElement(case, kind, {"message": message, "type": judgment.status}).text = message
    else:
        warning = "warning: " if judgment.breach == "warn" else ""
        Xml.SubElement(case, "system-out").text = warning + message
    return case


def _kind(judgment: Judgment) -> str:
    if judgment.breach != "error":
        return ""
    return "failure" if judgment.status == "exceeded" else "error"
