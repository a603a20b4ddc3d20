"""conf/policy.schema.json against the parser: what an editor takes, the parser takes, but for the
faults that no schema can see; what the parser takes, an editor takes."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from conf.parser import MAX_REASON, parse_files, parse_policy
from conf.sources import directory_of, read_any
from conf.times import DAYS
from tests.unit.conftest import GOLDEN
from tests.unit.editor_view import SCHEMA, faults, seen_by_editors
from tests.unit.man_examples import EXAMPLES, Example

ROOT = Path(__file__).parents[2]
_GOOD = [ROOT / "conf" / "policy.yaml", *sorted((GOLDEN / "policies").glob("*.yaml")),
         *sorted((GOLDEN / "server-rules").glob("*.yaml")),
         *(path for path in sorted((GOLDEN / "windows").glob("*.yaml"))
           if not parse_files(read_any(str(path))).problems)]
_BAD = sorted((GOLDEN / "errors").glob("*.yaml"))

_UNSEEN = {
    "it lies in what a name refers to": """
        except-a-code-in-small-letters except-a-country-of-three-letters except-a-day
        except-a-misspelt-calendar except-a-window except-an-unknown-calendar
        except-holidays-in-words unknown-console unknown-server unknown-window
        unknown-window-among-windows window-is-a-calendar date-in-german
        console-outside-the-guarded-ports no-newline-at-the-end windows-line-ends""",
    "the machine's zones and holidays decide": """
        timezone-directory timezone-unknown named-window-unknown-zone
        named-window-zone-is-an-abbreviation calendar-of-an-unknown-part
        except-an-unknown-country except-an-unknown-part""",
    "two values would have to be compared": """
        date-span-backwards except-backwards port-range-backwards valid-backwards
        valid-without-a-second-within window-empty-span window-time-from-midnight-to-midnight""",
    "months have their own lengths": """
        date-29-february except-a-day-that-is-none named-window-excepts-badly
        valid-until-the-30th-of-february""",
    "an address has kinds": "address-any address-mapped address-multicast",
    "Unicode decides what can be printed": "reason-that-turns-the-line",
    "the parsed document no longer shows how it was written": """
        alias calendar-twice duplicate-console duplicate-key-at-the-top duplicate-key-in-a-grant
        listed-workstation-twice
        named-window-twice port-is-a-fraction port-octal-010 torn-date-and-day torn-dates
        torn-day-and-time torn-literal torn-three-days torn-times torn-over-a-line-end
        torn-between-blank-and-comma torn-times-between-blank-and-comma utf-16""",
    "to YAML 1.2 it is text": "user-date user-no",
}
"""The golden error files that validate, by the reason why the schema can't see the fault."""

_NOT_YAML = set("""
    deep-nesting escape-byte invalid-utf-8 invalid-utf-8-first nul own-tag python-tag
    reason-with-a-colon tab-as-indentation tab-before-a-bad-value two-documents unclosed-bracket
    unclosed-mapping-at-the-end unclosed-quote workstations-unquoted-star
    workstations-unquoted-star-alone wrong-indentation""".split())
"""Those of which the editor complains before there is anything to validate."""

# The same reasons, as the parser puts them into words.
_BEYOND_A_SCHEMA = re.compile(
    r"there is no (server|console|time zone|window|[0-9]{4}-) ?|has an error itself$"
    r"|is no date and no calendar$"
    r"|is not (a day|a time of day|a date|a date or time|a window)$|has no end$|is empty$"
    r"|(ends|valid ends) before it begins$|is not a range of ports$|is not an IP address$"
    r"|is not among the guarded ports|the library holidays knows no |address of one host$"
    r"|is a mapped or link-local address$|is every machine itself$|is an address within a network$"
    r"|is not (a network|the network of one office)$|reason is not one line of text$")


def subschemas(schema: Any) -> Iterator[dict[str, Any]]:
    """Every schema within one, itself first."""
    if isinstance(schema, dict):
        yield schema
    for each in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(each, dict | list):
            yield from subschemas(each)


def mappings() -> dict[str, dict[str, Any]]:
    """The schemas of mappings with keys of their own, by the path of keys to them."""
    window = SCHEMA["$defs"]["window"]["anyOf"][2]
    grant = SCHEMA["$defs"]["grant"]
    return {"the policy": SCHEMA, "a file of policy.d": SCHEMA["$defs"]["fragment"],
            "server 's'": SCHEMA["$defs"]["server"], "console 'c'": SCHEMA["$defs"]["console"],
            "window 'w'": window, "a grant": grant, "valid": grant["properties"]["valid"],
            "workstation": SCHEMA["$defs"]["workstation"]}


def test_it_is_a_schema_of_draft_2020_12() -> None:
    assert SCHEMA["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(SCHEMA)


def test_every_key_has_a_description_for_editors_to_show() -> None:
    for schema in subschemas(SCHEMA):
        if not isinstance(schema.get("properties"), dict):
            continue
        for key, value in schema["properties"].items():
            if isinstance(value, dict):
                target = SCHEMA["$defs"].get(value.get("$ref", "").rpartition("/")[2], {})
                assert value.get("description") or target.get("description"), key


def test_every_pattern_has_words_for_editors_to_show_in_its_place() -> None:
    for schema in subschemas(SCHEMA):
        if isinstance(schema.get("pattern"), str):
            assert schema["patternErrorMessage"]


@pytest.mark.parametrize("path", _GOOD, ids=lambda path: path.stem)
def test_a_policy_without_problems_validates(path: Path) -> None:
    assert faults(seen_by_editors(path.read_bytes())) == []
    for file in sorted(Path(directory_of(str(path))).glob("*.yaml")):
        assert faults(seen_by_editors(file.read_bytes()), "fragment") == []


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_every_example_of_the_man_page_validates(example: Example) -> None:
    for name, text in example.files.items():
        part = None if name == "policy.yaml" else "fragment"
        assert faults(seen_by_editors(text.encode()), part) == []


@pytest.mark.parametrize("path", _BAD, ids=lambda path: path.stem)
def test_of_a_bad_policy_an_editor_complains_unless_it_can_t_see_the_fault(path: Path) -> None:
    unseen = {stem for stems in _UNSEEN.values() for stem in stems.split()}
    try:
        found = faults(seen_by_editors(path.read_bytes()))
    except (yaml.YAMLError, RecursionError):
        assert path.stem in _NOT_YAML
    else:
        assert bool(found) == (path.stem not in unseen)
        assert path.stem not in _NOT_YAML


def test_the_lists_of_what_is_unseen_name_golden_files_alone() -> None:
    named = [stem for stems in _UNSEEN.values() for stem in stems.split()] + list(_NOT_YAML)
    assert len(named) == len(set(named))
    assert set(named) <= {path.stem for path in _BAD}


# Keys

def as_yaml(document: Any) -> bytes:
    """JSON is YAML, if it has no pairs of surrogates."""
    return json.dumps(document, ensure_ascii=False).encode()


_PLACES: dict[str, Any] = {
    "the policy": lambda entry: entry, "server 's'": lambda entry: {"servers": {"s": entry}},
    "console 'c'": lambda entry: {"consoles": {"c": entry}},
    "window 'w'": lambda entry: {"windows": {"w": entry}},
    "a grant": lambda entry: {"grants": [entry]},
    "workstation": lambda entry: {"workstation": entry},
    "valid": lambda entry: {**base(), "grants": [{"user": "anne", "console": "c",
                                                  "valid": entry}]},
}


def problems_with(key: str, what: str) -> list[tuple[str, str]]:
    """Facts and remedies for a key in one of the mappings."""
    entry = {key: 1}
    files = ([("policy.yaml", b"{}"), ("a.yaml", as_yaml(entry))] if what == "a file of policy.d"
             else [("policy.yaml", as_yaml(_PLACES[what](entry)))])
    return [(problem.fact, problem.remedy) for problem in parse_files(files).problems]


def base() -> dict[str, Any]:
    """A server and a console, for what refers to them."""
    return {"servers": {"s": {"host": "h", "addresses": "192.0.2.1", "guarded_ports": "1-99",
                              "ca_file": "/ca.pem"}},
            "consoles": {"c": {"server": "s", "tls_port": 7}}}


@pytest.mark.parametrize("what", mappings())
def test_the_keys_are_the_parser_s_own(what: str) -> None:
    keys = mappings()[what]["properties"]
    for key in keys:
        assert not any("has no key" in fact for fact, _ in problems_with(key, what)), key
    [remedy] = [remedy for fact, remedy in problems_with("zzzzzz", what)
                if fact == f"{what} has no key 'zzzzzz'"]
    assert set(remedy.removeprefix("known are: ").split(", ")) == set(keys)
    assert mappings()[what]["additionalProperties"] is False


@pytest.mark.parametrize("what", [what for what in mappings() if what != "valid"])
def test_the_required_keys_are_the_parser_s_own(what: str) -> None:
    lacking = {fact.rpartition(" ")[2].strip("'") for fact, _ in problems_with("zzzzzz", what)
               if "lacks the key" in fact}
    assert lacking == set(mappings()[what].get("required", ()))


def test_the_days_and_the_length_of_a_reason_are_the_parser_s_own() -> None:
    literal = SCHEMA["$defs"]["literal"]["pattern"]
    assert f"({'|'.join(DAYS)})" in literal
    assert SCHEMA["$defs"]["grant"]["properties"]["reason"]["maxLength"] == MAX_REASON


def test_the_defaults_that_are_described_are_the_parser_s_own() -> None:
    policy = parse_policy(b"{}", "policy.yaml").policy
    assert policy is not None
    for key, schema in SCHEMA["$defs"]["workstation"]["properties"].items():
        default = getattr(policy.workstation, key)
        shown = ", ".join(default) if isinstance(default, tuple) else str(default).lower()
        assert schema["description"].endswith(f" Default: {shown}.")


@given(st.from_regex(r"[-+.:0-9a-fxoeET~ ]{0,12}", fullmatch=True))
def test_what_an_editor_takes_for_text_without_quotes_it_takes_for_text_with_them(
        text: str) -> None:
    try:
        value = seen_by_editors(f"[{text}]".encode())
        quoted = seen_by_editors(f"['{text}']".encode())
    except yaml.YAMLError:
        return
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        assert value == [quoted[0].strip()]


# Values. All are in quotes or numbers, so that editor and parser see the same types.

_DATES = st.sampled_from(["2026-12-24", "2026-12-24..2026-12-31", "2027-01-01", "1971-01-01",
                          "2399-12-31", "2026-02-30", "2026-12-31..2026-12-24", "2026-13-01",
                          "1970-12-31", "2400-01-01", "2026-1-1", "2026-12", "2026-12-24.."])
_DAYS = st.sampled_from(["Mon", "Tue-Fri", "Sat-Mon", "Sun", "Mo", "Mon-", "Fry", "sun",
                         "Mon-Tue-Wed"])
_TIMES = st.sampled_from(["08:00-12:00", "8:00-9:30", "22:00-06:00", "18:00:30-24:00",
                          "00:00-24:00:00", "08:00-08:00", "24:00-06:00", "08:00", "25:00-26:00",
                          "8-18", "08:00-12:60", "08:00-24:01"])


def _joined(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(st.lists(parts, max_size=3), st.sampled_from([",", ",", ",", ", ", ",,"])).map(
        lambda found: found[1].join(found[0]))


_LITERALS = st.tuples(st.lists(_joined(_DATES) | _joined(_DAYS) | _joined(_TIMES), max_size=3)
                      | st.tuples(_joined(_DATES), _joined(_DAYS), _joined(_TIMES)),
                      st.sampled_from([" ", " ", "  ", ""])).map(
    lambda found: found[1].join(filter(None, found[0])))
_CODES = st.sampled_from(["DE", "DE-BY", "NO", "XX", "DE-XX", "DE-BAYERN", "de-by", "D"])
_NAMES = st.sampled_from(["c", "w", "k", "s", "office", "Monday", "2026-12-x", "2026-exams",
                          "7", "x y", "", "_", "-x", "ä", "a" * 64, "a" * 65])
_ANY: st.SearchStrategy[Any] = (st.none() | st.booleans() | st.integers(-1, 70000)
                                 | st.sampled_from([[], {}]))


def one_or_more(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return value | st.lists(value, max_size=3)


def mapping(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of the keys, now and then one with a value of another type or an unknown one."""
    return st.tuples(st.fixed_dictionaries({}, optional=keys),
                     st.sampled_from([*[{}] * 8, {"zzz": 1}]),
                     st.dictionaries(st.sampled_from(sorted(keys)), _ANY, max_size=1)
                     | st.just({}) | st.just({}) | st.just({})).map(
        lambda found: {**found[0], **found[1], **{
            key: value for key, value in found[2].items() if key in found[0]}})


_EXCEPT = one_or_more(_joined(_DATES) | _CODES | st.sampled_from(["k", "office", "Mon", "08:00"]))
_INSTANTS = st.tuples(_DATES, st.sampled_from([
    "", "", " 18:00", "T18:00", "T18:00:30", "T17:00Z", "T17:00:00+01:00", " 8:00", " 24:00",
    "T18:00+0100", " 18:00 Z", "T18:00:00.5", "T18:60"])).map("".join)
_REASONS = st.sampled_from(["deputy of maggie", "", "  ", "x" * 200, "x" * 201, "a\tb", "a\nb",
                            "a\n", "a\u202eb", "a\u00a0b", "é 😀"])
_HOSTS = st.sampled_from(["pc7", "front-*", "*", "?", "pc_7", "-x", "", "a.b", "x" * 254, "pc7\n"])
_WHEN = one_or_more(_LITERALS | st.sampled_from(["w", "office", "k", "Mon-Fry"]))
_ZONES = st.sampled_from(["Europe/Berlin", "UTC", "Etc/GMT+1", "America/Port-au-Prince", "+01:00",
                          "", "Nowhere/Land", "/etc/passwd", "../UTC", "EST5EDT"])
_GRANT = mapping(
    user=st.sampled_from(["anne", "anne ", "CORP\\anne", "a$", "%x", "anne\n", "domain users", ""]),
    group=st.just("staff"), console=one_or_more(st.just("c") | _NAMES), when=_WHEN, **{
        "except": _EXCEPT}, valid=mapping(**{"from": _INSTANTS}, until=_INSTANTS),
    workstations=one_or_more(_HOSTS), reason=_REASONS)
_SECTIONS = {
    "servers": st.dictionaries(_NAMES, mapping(
        host=st.sampled_from(["h", "a.example", "-x", "a..b", "a b", "", "x" * 254]),
        addresses=one_or_more(st.sampled_from(["192.0.2.1", "fd00::2", "fe80::1%eth0", "0.0.0.0",
                                               "::ffff:1.2.3.4", "1.2.3", "01.2.3.4", ":", "h"])),
        guarded_ports=one_or_more(st.integers(-1, 70000) | st.sampled_from(
            ["1-99", "99-1", "65535", "65536", "1-65536", "0-9", "7", "007", "1-", "-1"])),
        ca_file=st.sampled_from(["/ca.pem", "/a/b", "ca.pem", "/a b", "/", "/a/", ""])),
        max_size=2),
    "consoles": st.dictionaries(_NAMES, mapping(
        server=st.sampled_from(["s", "S"]), tls_port=st.integers(-1, 70000)), max_size=2),
    "calendars": st.dictionaries(_NAMES | _CODES | _DATES, _EXCEPT, max_size=2),
    "windows": st.dictionaries(_NAMES | _DAYS | _DATES, one_or_more(_LITERALS) | mapping(
        when=one_or_more(_LITERALS), timezone=_ZONES, **{"except": _EXCEPT}), max_size=2),
    "grants": st.lists(_GRANT, max_size=2),
    "workstations": st.dictionaries(_HOSTS, one_or_more(st.sampled_from([
        "192.0.2.7", "10.0.0.0/8", "10.0.0.0/7", "10.0.0.1/8", "1.2.3.4/33", "1.2.3.0/024",
        "127.0.0.1", "224.0.0.0/8", "fd00::/32", "fd00::/31", "fd00::1/64", "::/64", "::1",
        "fd00::/128", "fd00::/129", "::ffff:1.2.3.0/120", "fe80::1%eth0", "pc7", "", "1.2.3.4/"])),
        max_size=2),
}
_SETTINGS = {
    "timezone": _ZONES,
    "workstation": mapping(one_user=st.booleans(), require_seat=st.booleans(),
                           sudo_password=st.booleans(), services=st.lists(st.sampled_from(
                               ["login", "Login", "/etc/pam.d/login", "gdm-password", ""]))),
}


@st.composite
def policies(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """A policy of which one section is random, and a random file of policy.d."""
    good = {**base(), "calendars": {"k": ["2026-12-24"]}, "windows": {"w": "Mon"}}
    key = draw(st.sampled_from([*_SECTIONS, *_SETTINGS]))
    main = {**good, key: draw({**_SECTIONS, **_SETTINGS}[key])}
    other = draw(mapping(**{key: section for key, section in _SECTIONS.items()
                            if key not in ("servers", "consoles")}))
    return main, draw(st.sampled_from([{}, other]))


@settings(max_examples=300, deadline=None)
@given(policies())
def test_what_validates_is_refused_only_for_what_no_schema_can_see_and_the_other_way_round(
        files: tuple[dict[str, Any], dict[str, Any]]) -> None:
    main, other = files
    texts = [("policy.yaml", as_yaml(main)), ("a.yaml", as_yaml(other))]
    problems = parse_files(texts).problems
    found = faults(main) + faults(other, "fragment")
    if not problems:
        assert found == []
    elif not found:
        unexpected = [str(problem) for problem in problems
                      if not _BEYOND_A_SCHEMA.search(problem.fact)
                      and "is in " not in problem.fact]  # the same name in two files
        assert unexpected == []


@settings(max_examples=500, deadline=None)
@given(_LITERALS | st.text("MonTueFri0123456789:-., ", max_size=24))
def test_a_literal_s_pattern_is_the_parser_s_grammar(text: str) -> None:
    parsed = parse_policy(as_yaml({"windows": {"w": text}}), "policy.yaml")
    is_good = not faults({"windows": {"w": text}})
    if not parsed.problems:
        assert is_good
    elif is_good:
        [problem] = parsed.problems
        assert re.search(r"is empty$|ends before it begins$"
                         r"|^there is no [0-9]{4}-[0-9]{2}-(29|30|31)$", problem.fact)
