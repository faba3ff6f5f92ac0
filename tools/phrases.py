"""Count the phrases that no text of the project should have: `python -m tools.phrases [CHECKOUT]`.

They avoid the nouns of the field, as a translation would. The table has the number of each phrase, and of each file.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

PHRASES = (
    r"nobody|is told|tells?(?: of)?|told|said|by way of|takes? along|stands? on|is none|are none|as (?:it is|they are)"
    r"|of (?:its|their|one's) own|but for|goes? on|comes? to|by its cause|let in|made from something else"
    r"|what (?:an?|the|is|was|it|they) [a-z]+ (?:has|have|takes?|stands?|lacks?)"
)
PATTERN = re.compile(rf"\b(?:{PHRASES})\b", re.IGNORECASE)
# Locked, another's, or the list itself.
LEFT_OUT = re.compile(r"\.lock$|go\.sum$|LICENSE$|openapi\.json$|tools/phrases\.py$")


def phrases_of(checkout: Path) -> tuple[Counter[str], Counter[str]]:
    """Return how often each phrase is in the files that git has of a checkout, and how many are in each file."""
    listed = subprocess.run(["git", "-C", str(checkout), "ls-files"], capture_output=True, text=True, check=True)
    phrases: Counter[str] = Counter()
    files: Counter[str] = Counter()
    for name in listed.stdout.splitlines():
        path = checkout / name
        if LEFT_OUT.search(name) or not path.is_file():
            continue
        found = PATTERN.findall(" ".join(path.read_text(errors="replace").split()))
        phrases.update(phrase.lower() for phrase in found)
        files[name] += len(found)
    return phrases, files


def main() -> None:
    """Print both tables and the sum."""
    phrases, files = phrases_of(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
    for phrase, number in phrases.most_common():
        print(f"{number:6} {phrase}")
    print()
    for name, number in files.most_common(30):
        print(f"{number:6} {name}")
    print(f"\n{phrases.total():6} in {sum(1 for number in files.values() if number)} files")


if __name__ == "__main__":
    main()
