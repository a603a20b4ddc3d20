"""``python -m tests.fuzz``: mutated policies, led by coverage of ``conf`` (atheris, libFuzzer).

    python -m tests.fuzz [SECONDS]      until the time is over or 10,000,000 texts were judged

Seeds are the example policy and the tests' golden files. What it finds is left in build/fuzz as
``crash-...``; ``python -m tests.fuzz FILE`` judges one file again.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["conf"]):
    from tests.fuzz.judging import judge

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "fuzz"
RUNS = 10_000_000
TOKENS = (
    "timezone servers consoles calendars windows grants workstation host addresses guarded_ports "
    "ca_file server tls_port user group console when except valid from until workstations reason "
    "one_user services require_seat sudo_password mysrv webdev Mon Mon-Fri Sat,Sun 08:00-18:00 "
    "22:00-06:00 24:00 2026-12-24 2026-12-24..2027-01-02 DE-BY Europe/Berlin 20001-20010 <<: !!str "
    "&a *a --- ... |- >-").split()


def main() -> None:
    """Fuzz; ends the process."""
    arguments = sys.argv[1:]
    if arguments and not arguments[0].isdigit():
        for name in arguments:
            judge(Path(name).read_bytes())
        return
    seeds, corpus = BUILD / "seeds", BUILD / "corpus"
    for directory in (seeds, corpus):
        directory.mkdir(parents=True, exist_ok=True)
    golden = ROOT / "tests" / "unit" / "golden"
    for number, path in enumerate([ROOT / "conf" / "policy.yaml", *golden.rglob("*.yaml")]):
        if path.stat().st_size < 4096:
            (seeds / f"{number}").write_bytes(path.read_bytes())
    dictionary = BUILD / "tokens"
    dictionary.write_text("".join(f'"{token}"\n' for token in TOKENS))
    atheris.Setup([sys.argv[0], f"-runs={RUNS}", f"-max_total_time={(arguments or ['600'])[0]}",
                   f"-dict={dictionary}", f"-artifact_prefix={BUILD}/", "-max_len=4096",
                   "-timeout=10", "-print_final_stats=1", "-verbosity=0",
                   str(corpus), str(seeds)], judge_any)
    atheris.Fuzz()


def judge_any(data: bytes) -> None:
    """For libFuzzer, which looks at what is returned."""
    judge(data)


if __name__ == "__main__":
    main()
