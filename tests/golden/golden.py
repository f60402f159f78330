"""Transcripts: command lines with what they print and how they exit, compared byte for byte.

A case is cases/NAME.golden:

    $ parity import --run r a.jsonl --db x.db     a command; its files are those of cases/
    lines 3                                       what it writes to standard output,
    ! parity: a.jsonl:2: ...                      to standard error,
    [3]                                           and its exit code, when it is not 0

`sql FILE STATEMENT` and `write FILE TEXT` prepare files. Times are blotted out.
`python3 tests/golden/golden.py PARITY_BINARY` writes the cases anew; read the difference before keeping it.
"""

import pathlib
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile

CASES = pathlib.Path(__file__).resolve().parent / "cases"


def blot(text):
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "yyyy-mm-dd hh:mm:ss", text)
    return re.sub(r'("created_at_nanos": ?)\d+', r"\g<1>0", text)


def commands(transcript):
    return [line[2:] for line in transcript.splitlines() if line.startswith("$ ")]


def run(words, binary, folder):
    """(standard output, standard error, exit code)"""
    if words[0] == "sql":
        with sqlite3.connect(str(folder / words[1])) as database:
            rows = database.execute(words[2]).fetchall()
        database.close()
        return "".join("|".join(str(value) for value in row) + "\n" for row in rows), "", 0
    if words[0] == "write":
        (folder / words[1]).write_text(words[2])
        return "", "", 0
    done = subprocess.run([str(binary)] + words[1:], cwd=str(folder), stdin=subprocess.DEVNULL, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    return done.stdout.decode("utf-8"), done.stderr.decode("utf-8"), done.returncode


def transcript_of(case, binary):
    """What the case's commands do now."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="golden-"))
    try:
        for log in CASES.iterdir():
            if log.suffix != ".golden":
                shutil.copyfile(str(log), str(folder / log.name))
        text = "".join(line + "\n" for line in case.read_text().split("$ ", 1)[0].splitlines())
        for command in commands(case.read_text()):
            out, err, code = run(shlex.split(command), binary, folder)
            text += "$ " + command + "\n" + blot(out)
            text += "".join("! " + line + "\n" for line in blot(err).splitlines())
            text += "[{}]\n".format(code) if code else ""
        return text
    finally:
        shutil.rmtree(str(folder))


if __name__ == "__main__":
    for path in sorted(CASES.glob("*.golden")):
        path.write_text(transcript_of(path, pathlib.Path(sys.argv[1]).resolve()))
